//! Budgets: what cannot be decided is not passed, and does not hide what can.

use atoll_history::check::{Budget, linearizable};
use atoll_history::{Call, Event, Outcome, Seen, Verdict};

use crate::script::{ABSENT, Op, events, from_events, op, put, written};

/// Many puts at once, of values stored before and again, without versions; at the end one is read
/// that was overwritten for sure. All their orders have to be tried.
fn hard() -> Vec<Op> {
    let count = 24;
    let mut operations: Vec<Op> = (0..count)
        .map(|number| {
            let untold = Outcome::Written { version: None };
            op(
                number + 1,
                number + 1 + count,
                put(&(number % 12).to_string()),
                untold,
            )
        })
        .collect();
    let seen = Seen {
        value: "nobody's".to_owned(),
        version: None,
    };
    operations.push(op(1000, 1001, Call::GET, Outcome::Read(Some(seen))));
    operations
}

fn merged(keys: &[(&str, Vec<Op>)]) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for (number, (key, operations)) in keys.iter().enumerate() {
        let mut one = events(key, operations);
        for event in &mut one {
            event.index += 10_000 * number as u64;
            event.time_ns += 100_000 * number as u64;
        }
        all.extend(one);
    }
    all
}

#[test]
fn a_budget_spent_is_unknown() {
    let history = from_events(merged(&[("hard", hard())]));
    let verdict = linearizable(&history, Budget { steps: 10_000 });
    assert_eq!(verdict.exit_code(), 2, "{verdict}");
    assert!(
        verdict.to_string().contains("hard: undecided after 10000 steps"),
        "{verdict}"
    );
    assert_eq!(linearizable(&history, Budget { steps: 0 }).exit_code(), 2);
}

#[test]
fn a_hard_key_does_not_hide_a_violation_of_another() {
    let lost = vec![op(1, 2, put("1"), written(10)), op(3, 4, Call::GET, ABSENT)];
    let history = from_events(merged(&[("hard", hard()), ("lost", lost)]));
    let Verdict::Violation(found) = linearizable(&history, Budget { steps: 10_000 }) else {
        panic!("the lost write is not seen");
    };
    let keys: Vec<&str> = found.iter().map(|violation| violation.key.as_str()).collect();
    assert_eq!(keys, ["lost"]);
}

#[test]
fn a_search_goes_on_where_it_was_paused() {
    // Small enough to be decided, but not in the first share.
    let mut operations = hard();
    operations.retain(|one| one.from == 1000 || one.from <= 9);
    let history = from_events(merged(&[("k", operations)]));
    let needed = (0..40).find(|power| linearizable(&history, Budget { steps: 1 << power }).exit_code() == 1);
    assert!(needed.is_some_and(|power| power > 10), "{needed:?}");
    assert_eq!(linearizable(&history, Budget::default()).exit_code(), 1);
}

#[test]
fn unknown_writes_that_nobody_saw_cost_nothing() {
    // Open for ever, each could stand anywhere; the last read makes sure that all orders fail.
    let mut operations: Vec<Op> = (0..200)
        .map(|number| {
            op(
                2 * number + 1,
                2 * number + 2,
                put(&number.to_string()),
                Outcome::Unknown,
            )
        })
        .collect();
    operations.push(op(1001, 1002, put("last"), written(9)));
    operations.push(op(1003, 1004, Call::GET, ABSENT));
    let history = from_events(merged(&[("k", operations)]));
    assert_eq!(linearizable(&history, Budget { steps: 100 }).exit_code(), 1);
}

#[test]
fn verdicts_merge_to_the_worst() {
    let ok = || Verdict::Ok { judged: 2 };
    let history = from_events(merged(&[("hard", hard())]));
    let unknown = linearizable(&history, Budget { steps: 10 });
    let lost = vec![op(1, 2, put("1"), written(10)), op(3, 4, Call::GET, ABSENT)];
    let wrong = linearizable(&from_events(merged(&[("lost", lost)])), Budget::default());
    assert_eq!(ok().merge(ok()), Verdict::Ok { judged: 4 });
    assert_eq!(ok().merge(unknown.clone()).exit_code(), 2);
    assert_eq!(unknown.clone().merge(ok()).exit_code(), 2);
    assert_eq!(unknown.clone().merge(wrong.clone()).exit_code(), 1);
    assert_eq!(wrong.merge(unknown).exit_code(), 1);
}
