//! Versions, ownership, guards, time.

use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, GroupKey, Outcome, Refusal, SlotId, Version};

use super::support::*;
use crate::{Command, CommandKind, ELAPSED_MS_MAX};

#[test]
fn a_version_is_above_stamp_last_and_after() {
    let mut rig = Rig::new();
    let outcomes = rig.entry(1000, 0, &[write([put("a", "1")]), write([put("a", "2")])]);
    assert_eq!(
        outcomes,
        [1000, 1001].map(|v| Outcome::Done { version: Version(v) })
    );
    // A leader whose clock is behind does not go back.
    assert_eq!(
        rig.entry(500, 0, &[write([put("a", "3")])]),
        [Outcome::Done {
            version: Version(1002)
        }]
    );
    let after = Command {
        after: Version(5000),
        ..write([put("a", "4"), delete("b"), put("c", "4")])
    };
    assert_eq!(version(rig.one(after)), Version(5001));
    assert_eq!(rig.state.rows[&b"a"[..]].0, Version(5001));
    assert_eq!(rig.state.rows[&b"c"[..]].0, Version(5001));
    assert_eq!(rig.machine.last_version(), Version(5001));
}

#[test]
fn at_the_end_of_versions_writes_are_refused_rather_than_unordered() {
    let mut rig = Rig::new();
    let last = Command {
        after: Version(u64::MAX),
        ..write([put("a", "1")])
    };
    assert_eq!(version(rig.one(last)), Version(u64::MAX));
    assert_eq!(rig.one(write([put("a", "2")])), refused(Refusal::Unsupported));
    assert_eq!(rig.value("a"), Some(&b"1"[..]));
}

#[test]
fn what_is_not_done_takes_no_version() {
    let mut rig = Rig::new();
    let before = rig.machine.last_version();
    rig.one(guarded([on_key("a", Version(9))], write([put("a", "1")])));
    rig.one(Command {
        slot: FOREIGN,
        ..write([put("a", "1")])
    });
    rig.one(Command::tick());
    assert_eq!(rig.machine.last_version(), before);
}

#[test]
fn nothing_is_owned_before_genesis() {
    let mut rig = Rig::unborn();
    assert!(!rig.machine.has_genesis());
    assert_eq!(rig.one(write([put("a", "1")])), refused(Refusal::NoGenesis));
    assert_eq!(rig.machine.owns(SLOT), None);
    assert!(rig.state.rows.is_empty());
}

#[test]
fn genesis_happens_once() {
    let mut rig = Rig::unborn();
    let first = rig.one(genesis());
    assert_eq!(rig.machine.owns(SlotId(99)), Some(EPOCH));
    assert_eq!(rig.machine.owns(SlotId(100)), None);
    assert_eq!(rig.machine.owned_slots(), 100);
    rig.one(write([put("a", "1")]));
    assert_eq!(rig.one(genesis()), first);
    for other in [
        Command::genesis(CLUSTER, GROUP, vec![(0, 98)], EPOCH),
        Command::genesis(CLUSTER, GROUP, vec![(0, 99), (101, 101)], EPOCH),
        Command::genesis(CLUSTER, GROUP, vec![(0, 99)], Epoch(8)),
    ] {
        assert_eq!(rig.one(other), refused(Refusal::Unsupported));
    }
    assert_eq!(rig.machine.owned_slots(), 100);
}

#[test]
fn a_genesis_of_someone_else_or_of_no_slots_is_refused() {
    let mut rig = Rig::unborn();
    let newer = GroupKey::new(GROUP.id, GroupGen(2));
    let other = GroupKey::new(GroupId(4), GROUP.generation);
    for command in [
        Command::genesis(ClusterId(1), GROUP, vec![(0, 99)], EPOCH),
        Command::genesis(CLUSTER, newer, vec![(0, 99)], EPOCH),
        Command::genesis(CLUSTER, other, vec![(0, 99)], EPOCH),
        Command::genesis(CLUSTER, GROUP, vec![(5, 4)], EPOCH),
        Command::genesis(CLUSTER, GROUP, vec![(0, 5), (5, 6)], EPOCH),
        Command::genesis(CLUSTER, GROUP, vec![(0, 16_384)], EPOCH),
    ] {
        assert_eq!(rig.one(command), refused(Refusal::Unsupported));
    }
    assert!(!rig.machine.has_genesis());
}

#[test]
fn a_slot_is_refused_by_name() {
    let mut rig = Rig::new();
    for slot in [FOREIGN, SlotId(16_384), SlotId(u16::MAX)] {
        let outcome = rig.one(Command {
            slot,
            ..write([put("a", "1")])
        });
        assert_eq!(
            outcome,
            refused(Refusal::NotOwner {
                slot,
                epoch: Epoch(0)
            })
        );
    }
    assert!(rig.state.rows.is_empty());
}

#[test]
fn compare_and_set() {
    let mut rig = Rig::new();
    let absent = guarded([on_key("a", Version::ZERO)], write([put("a", "1")]));
    let first = version(rig.one(absent.clone()));
    assert_eq!(
        rig.one(absent),
        Outcome::GuardFailed {
            guard: 0,
            actual: Some(first)
        }
    );
    let second = version(rig.one(guarded([on_key("a", first)], write([put("a", "2")]))));
    assert!(second > first);
    let late = guarded(
        [on_key("x", Version::ZERO), on_key("a", first)],
        write([put("a", "3"), put("b", "3")]),
    );
    assert_eq!(
        rig.one(late),
        Outcome::GuardFailed {
            guard: 1,
            actual: Some(second)
        }
    );
    assert_eq!((rig.value("a"), rig.value("b")), (Some(&b"2"[..]), None));
    rig.one(write([delete("a")]));
    let gone = guarded([on_key("a", second)], write([put("a", "4")]));
    assert_eq!(
        rig.one(gone),
        Outcome::GuardFailed {
            guard: 0,
            actual: None
        }
    );
}

#[test]
fn range_guards() {
    let mut rig = Rig::new();
    let empty = guarded([on_range("a", "c", Version::ZERO)], write([put("b", "1")]));
    rig.one(write([put("c", "end is not in it")]));
    let first = version(rig.one(empty.clone()));
    assert_eq!(
        rig.one(empty),
        Outcome::GuardFailed {
            guard: 0,
            actual: Some(first)
        }
    );
    let unchanged = guarded([on_range("a", "c", first)], write([put("z", "1")]));
    let newest = version(rig.one(unchanged.clone()));
    rig.one(unchanged);
    let all = guarded([on_range("", "", newest)], write([put("y", "1")]));
    assert!(matches!(rig.one(all), Outcome::GuardFailed { guard: 0, actual: Some(v) } if v > newest));
}

#[test]
fn guards_see_earlier_commands_of_their_entry() {
    let mut rig = Rig::new();
    let create = guarded([on_key("lock", Version::ZERO)], write([put("lock", "me")]));
    let outcomes = rig.entry(100, 0, &[create.clone(), create, write([delete("lock")])]);
    assert_eq!(
        outcomes[0],
        Outcome::Done {
            version: Version(100)
        }
    );
    assert_eq!(
        outcomes[1],
        Outcome::GuardFailed {
            guard: 0,
            actual: Some(Version(100))
        }
    );
    assert_eq!(
        outcomes[2],
        Outcome::Done {
            version: Version(101)
        }
    );
}

#[test]
fn one_entry_makes_at_most_a_minute_pass() {
    let mut rig = Rig::new();
    rig.entry(0, 1500, &[]);
    assert_eq!(rig.machine.group_time_ms(), 1500);
    rig.entry(0, u32::MAX, &[]);
    assert_eq!(rig.machine.group_time_ms(), 1500 + u64::from(ELAPSED_MS_MAX));
}

#[test]
fn reserved_kinds_are_known_and_refused() {
    let mut rig = Rig::new();
    for kind in [
        CommandKind::Prepare,
        CommandKind::Decide,
        CommandKind::Import,
        CommandKind::Seal,
        CommandKind::Activate,
        CommandKind::Reject,
    ] {
        assert_eq!(
            rig.one(Command::of_kind(kind, SLOT)),
            refused(Refusal::Unsupported)
        );
    }
}

#[test]
fn the_hash_tells_states_apart() {
    let run = |value: &str, elapsed: u32| {
        let mut rig = Rig::new();
        rig.entry(0, elapsed, &[write([put("a", value)])]);
        rig.machine.state_hash()
    };
    assert_eq!(run("1", 5), run("1", 5));
    assert_ne!(run("1", 5), run("2", 5));
    assert_ne!(run("1", 5), run("1", 6));
}
