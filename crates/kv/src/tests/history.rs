//! History: who says it, when it moves, and that it changes nothing else.

use atoll_types::{Outcome, Version};

use super::checkpoint::{restore, whole};
use super::support::*;
use crate::{Command, HistoryLimits, SessionLimits};

const LIMITS: HistoryLimits = HistoryLimits {
    window_ms: 10 * MINUTE as u64,
    bytes: 1 << 30,
};

fn keep(limits: Option<HistoryLimits>) -> Command {
    Command::keep_history(limits)
}

#[test]
fn it_begins_behind_the_entry_that_asks_for_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.machine.history_horizon(), None);
    let before = rig.machine.last_version();
    let outcomes = rig.entry(
        0,
        0,
        &[write([put("a", "1")]), keep(Some(LIMITS)), write([put("a", "2")])],
    );
    let last = rig.machine.last_version();
    assert!(before < last && version(outcomes[2]) == last);
    assert_eq!(
        rig.machine.history_horizon(),
        Some(last),
        "the rows of this very entry are not kept yet"
    );
    assert_eq!(rig.machine.history_limits(), Some(LIMITS));
    rig.one(write([put("a", "3")]));
    assert_eq!(rig.machine.history_horizon(), Some(last));
    rig.one(keep(None));
    assert_eq!(
        (rig.machine.history_horizon(), rig.machine.history_limits()),
        (None, None)
    );
    rig.one(keep(Some(LIMITS)));
    let again = rig.machine.last_version();
    assert_eq!(
        rig.machine.history_horizon(),
        Some(again),
        "what was before is lost"
    );
}

#[test]
fn group_time_moves_it_also_when_nobody_writes() {
    let mut rig = Rig::new();
    rig.one(keep(Some(LIMITS)));
    let begun = rig.machine.history_horizon();
    assert!(!rig.machine.has_deadlines());
    rig.one(write([put("a", "1")]));
    let written = rig.machine.last_version();
    assert!(rig.machine.has_deadlines(), "it is waiting for time to pass");
    rig.minutes(5);
    assert_eq!(rig.machine.history_horizon(), begun);
    rig.minutes(7);
    assert_eq!(rig.machine.history_horizon(), Some(written));
    assert!(!rig.machine.has_deadlines());
}

#[test]
fn a_shorter_window_is_shorter_at_once() {
    let mut rig = Rig::new();
    rig.one(keep(Some(LIMITS)));
    for minute in 0..9 {
        rig.entry(0, MINUTE, &[write([put("a", &minute.to_string())])]);
    }
    let long = rig.machine.history_horizon().unwrap();
    let limits = HistoryLimits {
        window_ms: 3 * u64::from(MINUTE),
        ..LIMITS
    };
    rig.one(keep(Some(limits)));
    let short = rig.machine.history_horizon().unwrap();
    assert!(long < short && short < rig.machine.last_version());
    rig.one(keep(Some(LIMITS)));
    assert_eq!(
        rig.machine.history_horizon(),
        Some(short),
        "a horizon never falls"
    );
}

#[test]
fn it_changes_neither_outcomes_nor_the_hash() {
    let (mut with, mut without) = (Rig::new(), Rig::new());
    with.one(keep(Some(LIMITS)));
    without.one(keep(None));
    for minute in 0..20 {
        let commands = [write([increment("n", 1)]), write([put("a", &minute.to_string())])];
        assert_eq!(
            with.entry(0, MINUTE, &commands),
            without.entry(0, MINUTE, &commands)
        );
    }
    assert_eq!(with.machine.state_hash(), without.machine.state_hash());
    assert!(with.machine.history_horizon().is_some() && without.machine.history_horizon().is_none());
}

#[test]
fn a_group_reaches_the_version_it_is_told_and_never_falls_back() {
    let mut rig = Rig::new();
    let last = rig.machine.last_version();
    let ahead = Version(last.0 + 100);
    assert_eq!(
        rig.one(Command::close_at(ahead)),
        Outcome::Done { version: ahead }
    );
    assert_eq!(rig.one(Command::close_at(last)), Outcome::Done { version: ahead });
    assert!(version(rig.one(write([put("a", "1")]))) > ahead);
}

#[test]
fn its_row_comes_goes_and_is_missed() {
    let mut rig = Rig::new();
    rig.one(keep(Some(LIMITS)));
    rig.one(write([put("a", "1")]));
    let rows = whole(&rig.machine);
    let restored = restore(SessionLimits::default(), &rows).unwrap();
    assert_eq!(restored.history_horizon(), rig.machine.history_horizon());
    let key = rows.keys().find(|key| key.as_bytes()[2] == 4).unwrap().clone();
    let mut less = rows.clone();
    less.remove(&key);
    let error = restore(SessionLimits::default(), &less).unwrap_err();
    assert!(error.to_string().contains("history is missing"), "{error}");

    let frozen = rig.machine.freeze();
    assert!(
        frozen
            .rows
            .iter()
            .any(|row| row.key == key && row.value.is_some())
    );
    rig.one(keep(None));
    let frozen = rig.machine.freeze();
    assert!(
        frozen
            .rows
            .iter()
            .any(|row| row.key == key && row.value.is_none())
    );
    let frozen = rig.machine.freeze();
    assert!(frozen.rows.iter().all(|row| row.key != key), "once is enough");
    assert!(!whole(&rig.machine).contains_key(&key));
}
