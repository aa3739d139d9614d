//! Sets and counters: against their naive definitions, and planted violations.

use atoll_history::{Call, History, Level, Outcome, check};
use fastrand::Rng;

use crate::generate::percent;
use crate::naive::collections::{is_counter, is_set};
use crate::script::{Op, history, op};

fn add(element: &str) -> Call {
    Call::SetAdd {
        element: element.to_owned(),
    }
}

const READ: Call = Call::SetRead {
    level: Level::Linearizable,
};
const DONE: Outcome = Outcome::Written { version: None };

fn elements(found: &[&str]) -> Outcome {
    Outcome::Elements(found.iter().map(|&element| element.to_owned()).collect())
}

#[track_caller]
fn set_says(what: &str, operations: &[Op]) {
    let verdict = check::set(&history(operations));
    assert_eq!(verdict.exit_code(), u8::from(!what.is_empty()), "{verdict}");
    assert!(verdict.to_string().contains(what), "{verdict}");
}

#[test]
fn element_lost() {
    set_says("lost", &[op(1, 2, add("a"), DONE), op(3, 4, READ, elements(&[]))]);
}

#[test]
fn element_seen_and_lost() {
    set_says(
        "lost",
        &[
            op(1, 2, add("a"), Outcome::Unknown),
            op(3, 4, READ, elements(&["a"])),
            op(5, 6, READ, elements(&[])),
        ],
    );
}

#[test]
fn element_stale() {
    set_says(
        "stale",
        &[
            op(1, 2, add("a"), DONE),
            op(3, 4, READ, elements(&[])),
            op(5, 6, READ, elements(&["a"])),
        ],
    );
}

#[test]
fn element_duplicated() {
    set_says(
        "twice",
        &[op(1, 2, add("a"), DONE), op(3, 4, READ, elements(&["a", "a"]))],
    );
}

#[test]
fn element_out_of_nowhere() {
    set_says("nobody had added", &[op(3, 4, READ, elements(&["a"]))]);
    set_says(
        "nobody had added",
        &[
            op(1, 2, add("a"), Outcome::Failed),
            op(3, 4, READ, elements(&["a"])),
        ],
    );
    set_says(
        "nobody had added",
        &[op(1, 2, READ, elements(&["a"])), op(3, 4, add("a"), DONE)],
    );
}

#[test]
fn sets_in_order() {
    let eventual = Call::SetRead {
        level: Level::Eventual,
    };
    set_says(
        "",
        &[
            op(1, 2, add("a"), DONE),
            op(3, 4, eventual, elements(&[])),
            op(5, 6, add("b"), Outcome::Unknown),
            op(7, 8, READ, elements(&["a"])),
            op(9, 10, READ, elements(&["a", "b"])),
        ],
    );
}

fn raise(amount: i64) -> Call {
    Call::CounterAdd { amount }
}

const COUNT: Call = Call::CounterRead {
    level: Level::Linearizable,
};

#[track_caller]
fn counter_is(code: u8, found: i64) {
    let history = history(&[
        op(1, 2, raise(5), DONE),
        op(3, 4, raise(2), Outcome::Unknown),
        op(5, 6, raise(-1), Outcome::Unknown),
        op(7, 8, raise(100), Outcome::Failed),
        op(9, 10, COUNT, Outcome::Counted(found)),
        op(11, 12, raise(50), DONE),
    ]);
    let verdict = check::counter(&history);
    assert_eq!(verdict.exit_code(), code, "{found}: {verdict}");
}

#[test]
fn counter_below_and_above_its_bounds() {
    for inside in 4..=7 {
        counter_is(0, inside);
    }
    for outside in [3, 8, 55, 105, i64::MIN, i64::MAX] {
        counter_is(1, outside);
    }
}

/// Sequential or overlapping operations of a few processes, with answers near the truth.
fn random(rng: &mut Rng, is_set: bool) -> Vec<Op> {
    let count = rng.u64(2..8);
    let mut moments: Vec<u64> = (1..=2 * count).collect();
    for from in 0..moments.len() {
        let to = (from + rng.usize(..3)).min(moments.len() - 1);
        moments.swap(from, to);
    }
    let (mut held, mut sum) = (Vec::new(), 0);
    let mut ops = Vec::new();
    for pair in moments.chunks(2) {
        let reads = rng.bool();
        let (call, outcome) = if is_set {
            set_operation(rng, reads, &mut held)
        } else {
            counter_operation(rng, reads, &mut sum)
        };
        ops.push(op(pair[0].min(pair[1]), pair[0].max(pair[1]), call, outcome));
    }
    ops
}

fn ending(rng: &mut Rng) -> Outcome {
    match rng.u32(..10) {
        0 => Outcome::Failed,
        1..4 => Outcome::Unknown,
        _ => DONE,
    }
}

fn level(rng: &mut Rng) -> Level {
    if percent(rng, 20) {
        Level::Eventual
    } else {
        Level::Linearizable
    }
}

fn set_operation(rng: &mut Rng, reads: bool, held: &mut Vec<String>) -> (Call, Outcome) {
    if !reads {
        let element = rng.u32(..4).to_string();
        let outcome = ending(rng);
        if outcome != Outcome::Failed && percent(rng, 90) && !held.contains(&element) {
            held.push(element.clone());
        }
        return (Call::SetAdd { element }, outcome);
    }
    let mut found = held.clone();
    found.retain(|_| !percent(rng, 7));
    if percent(rng, 4) {
        found.push(rng.u32(..4).to_string());
    }
    (Call::SetRead { level: level(rng) }, Outcome::Elements(found))
}

fn counter_operation(rng: &mut Rng, reads: bool, sum: &mut i64) -> (Call, Outcome) {
    if !reads {
        let amount = rng.i64(-3..6);
        let outcome = ending(rng);
        *sum += if outcome == Outcome::Failed { 0 } else { amount };
        return (Call::CounterAdd { amount }, outcome);
    }
    let found = *sum + if percent(rng, 25) { rng.i64(-4..5) } else { 0 };
    (Call::CounterRead { level: level(rng) }, Outcome::Counted(found))
}

fn compare(is_a_set: bool, seed: u64, agrees: fn(&History) -> (bool, bool)) {
    let (mut fine, mut wrong) = (0, 0);
    for number in 0..100_000 {
        let mut rng = Rng::with_seed(seed << 32 | number);
        let history = history(&random(&mut rng, is_a_set));
        let (ours, naive) = agrees(&history);
        assert_eq!(ours, naive, "history {number}\n{:#?}", history.operations());
        *(if naive { &mut fine } else { &mut wrong }) += 1;
    }
    assert!(fine >= 10_000 && wrong >= 10_000, "{fine} fine, {wrong} wrong");
}

#[test]
fn sets_are_what_the_definition_says() {
    compare(true, 7, |history| {
        (check::set(history).is_ok(), is_set(history.operations()))
    });
}

#[test]
fn counters_are_what_all_choices_say() {
    compare(false, 8, |history| {
        (check::counter(history).is_ok(), is_counter(history.operations()))
    });
}
