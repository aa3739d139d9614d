//! Planted violations of what weaker reads promise, and of the weaker reads' freedom.

use atoll_history::{Call, Level, Outcome, Verdict, check};

use crate::script::{ABSENT, Op, cas, conflict, get, history, op, put, saw, written};

const BOUNDED: Level = Level::Bounded { max_age_ns: 50 };

fn two_writes() -> [Op; 2] {
    [
        op(1, 2, put("1"), written(10)).by(1),
        op(3, 4, put("2"), written(11)).by(1),
    ]
}

fn after_two_writes(more: &[Op]) -> Vec<Op> {
    two_writes().into_iter().chain(more.iter().cloned()).collect()
}

#[track_caller]
fn is(code: u8, verdict: &Verdict) {
    assert_eq!(verdict.exit_code(), code, "{verdict}");
}

#[test]
fn own_write_not_read() {
    let read = op(5, 6, get(Level::Session), saw(10, "1"));
    is(
        1,
        &check::sessions(&history(&after_two_writes(&[read.clone().by(1)]))),
    );
    is(0, &check::sessions(&history(&after_two_writes(&[read.by(2)]))));
}

#[test]
fn own_write_gone() {
    let read = op(5, 6, get(Level::Session), ABSENT).by(1);
    is(1, &check::sessions(&history(&after_two_writes(&[read]))));
    let removed = [
        op(5, 7, Call::Delete, Outcome::Unknown).by(2),
        op(6, 8, get(Level::Session), ABSENT).by(1),
    ];
    is(0, &check::sessions(&history(&after_two_writes(&removed))));
}

#[test]
fn absent_by_a_removal_is_not_forgotten() {
    // Only the first removal, though its version is the higher one, was there to be seen as absence.
    let operations = [
        op(5, 6, Call::Delete, written(30)).by(2),
        op(7, 8, get(Level::Session), ABSENT).by(1),
        op(9, 10, Call::Delete, written(20)).by(3),
        op(11, 12, put("3"), written(25)).by(3),
        op(13, 14, get(Level::Session), saw(25, "3")).by(1),
    ];
    is(1, &check::sessions(&history(&after_two_writes(&operations))));
}

#[test]
fn reads_go_back() {
    let reads = [
        op(5, 6, get(Level::Session), saw(11, "2")).by(2),
        op(7, 8, get(Level::Session), saw(10, "1")).by(2),
    ];
    is(1, &check::sessions(&history(&after_two_writes(&reads))));
}

#[test]
fn conflict_shows_less_than_was_read() {
    let operations = [
        op(5, 6, get(Level::Session), saw(11, "2")).by(2),
        op(7, 8, cas(9, "3"), conflict(10)).by(2),
    ];
    is(1, &check::sessions(&history(&after_two_writes(&operations))));
}

#[test]
fn eventual_reads_are_free() {
    let reads = [
        op(5, 6, get(Level::Eventual), saw(11, "2")).by(2),
        op(7, 8, get(Level::Eventual), saw(10, "1")).by(2),
        op(9, 10, get(Level::Eventual), ABSENT).by(1),
    ];
    for (name, verdict) in check::all(&history(&after_two_writes(&reads))) {
        assert!(verdict.is_ok(), "{name}: {verdict}");
    }
}

#[test]
fn weak_reads_show_nothing_that_never_was() {
    for level in [Level::Eventual, Level::Session, BOUNDED] {
        let invented = op(5, 6, get(level), saw(12, "3"));
        is(1, &check::versions(&history(&after_two_writes(&[invented]))));
    }
}

#[test]
fn own_writes_out_of_order() {
    let write = op(5, 6, put("3"), written(9));
    is(
        1,
        &check::sessions(&history(&after_two_writes(&[write.clone().by(1)]))),
    );
    is(0, &check::sessions(&history(&after_two_writes(&[write.by(2)]))));
}

#[test]
fn write_older_than_what_its_process_read() {
    let operations = [
        op(5, 6, get(Level::Eventual), saw(11, "2")).by(2),
        op(7, 8, put("3"), written(9)).by(2),
    ];
    is(1, &check::sessions(&history(&after_two_writes(&operations))));
}

#[test]
fn older_than_the_bound() {
    // The second write is acknowledged at 40 ns.
    let read = |from, seen| op(from, 20, get(BOUNDED), seen);
    is(
        0,
        &check::staleness(&history(&after_two_writes(&[read(8, saw(10, "1"))]))),
    );
    is(
        1,
        &check::staleness(&history(&after_two_writes(&[read(9, saw(10, "1"))]))),
    );
    is(
        1,
        &check::staleness(&history(&after_two_writes(&[read(9, ABSENT)]))),
    );
    is(
        0,
        &check::staleness(&history(&after_two_writes(&[read(9, saw(11, "2"))]))),
    );
}

#[test]
fn older_than_it_says() {
    let read = |age_ns| op(8, 20, get(BOUNDED), saw(10, "1")).aged(age_ns);
    is(1, &check::staleness(&history(&after_two_writes(&[read(40)]))));
    is(0, &check::staleness(&history(&after_two_writes(&[read(41)]))));
    is(1, &check::staleness(&history(&after_two_writes(&[read(51)]))));
}

#[test]
fn without_versions_there_is_no_pass() {
    let untold = Outcome::Written { version: None };
    let history = history(&[op(1, 2, put("1"), untold), op(3, 4, get(BOUNDED), saw(1, "1"))]);
    for verdict in [
        check::sessions(&history),
        check::staleness(&history),
        check::versions(&history),
    ] {
        is(2, &verdict);
    }
}

#[test]
fn a_value_stored_twice_cannot_be_judged_by_versions() {
    let history = history(&[op(1, 2, put("1"), written(1)), op(3, 4, put("1"), written(2))]);
    is(2, &check::versions(&history));
}
