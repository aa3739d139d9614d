//! A machine with its rows, and short ways to write commands.

use atoll_types::{
    ClientId, ClusterId, Epoch, GroupGen, GroupId, GroupKey, Misfit, Outcome, Refusal, SlotId, Version,
};
use bytes::Bytes;

use crate::testing::MapState;
use crate::{Command, EntryHeader, Guard, Machine, Op, SessionLimits, SessionRef, encode_entry};

pub(super) const CLUSTER: ClusterId = ClusterId(0xA70);
pub(super) const GROUP: GroupKey = GroupKey::new(GroupId(3), GroupGen(1));
pub(super) const EPOCH: Epoch = Epoch(7);
pub(super) const SLOT: SlotId = SlotId(50);
pub(super) const FOREIGN: SlotId = SlotId(200);
pub(super) const MINUTE: u32 = 60_000;

pub(super) struct Rig {
    pub(super) machine: Machine,
    pub(super) state: MapState,
}

impl Rig {
    pub(super) fn unborn() -> Self {
        Self {
            machine: Machine::new(CLUSTER, GROUP),
            state: MapState::default(),
        }
    }

    pub(super) fn limited(limits: SessionLimits) -> Self {
        Self {
            machine: Machine::with_limits(CLUSTER, GROUP, limits),
            state: MapState::default(),
        }
    }

    pub(super) fn new() -> Self {
        let mut rig = Self::unborn();
        assert!(version(rig.one(genesis())) > Version::ZERO);
        rig
    }

    pub(super) fn entry(&mut self, stamp: u64, elapsed_ms: u32, commands: &[Command]) -> Vec<Outcome> {
        let payload = encode_entry(
            EntryHeader {
                stamp: Version(stamp),
                elapsed_ms,
            },
            commands,
        );
        let mut outcomes = Vec::new();
        let applied = self
            .machine
            .apply(&payload, &mut self.state, Some(&mut outcomes))
            .unwrap();
        assert_eq!(applied.version, self.machine.last_version());
        outcomes
    }

    pub(super) fn one(&mut self, command: Command) -> Outcome {
        self.entry(0, 0, &[command])[0]
    }

    pub(super) fn open(&mut self, client: u128) -> Version {
        let read = self.machine.last_version();
        version(self.one(Command::open_session(ClientId(client), read)))
    }

    /// Lets minutes pass the way an idle leader does.
    pub(super) fn minutes(&mut self, minutes: u32) {
        for _ in 0..minutes {
            self.entry(0, MINUTE, &[Command::tick()]);
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<&[u8]> {
        self.state.rows.get(key.as_bytes()).map(|(_, value)| &value[..])
    }
}

pub(super) fn genesis() -> Command {
    Command::genesis(CLUSTER, GROUP, vec![(0, 99)], EPOCH)
}

pub(super) fn put(key: &str, value: &str) -> Op {
    Op::Put {
        key: bytes(key),
        value: bytes(value),
    }
}

pub(super) fn delete(key: &str) -> Op {
    Op::Delete { key: bytes(key) }
}

pub(super) fn increment(key: &str, by: i64) -> Op {
    Op::Increment { key: bytes(key), by }
}

pub(super) fn append(key: &str, suffix: &str) -> Op {
    Op::Append {
        key: bytes(key),
        suffix: bytes(suffix),
    }
}

pub(super) fn min(key: &str, number: i64) -> Op {
    Op::Min {
        key: bytes(key),
        number,
    }
}

pub(super) fn max(key: &str, number: i64) -> Op {
    Op::Max {
        key: bytes(key),
        number,
    }
}

pub(super) fn delete_range(start: &str, end: &str, limit: u32) -> Op {
    Op::DeleteRange {
        start: bytes(start),
        end: bytes(end),
        limit,
    }
}

pub(super) fn on_key(key: &str, expected: Version) -> Guard {
    Guard::Key {
        key: bytes(key),
        expected,
    }
}

pub(super) fn on_range(start: &str, end: &str, newest: Version) -> Guard {
    Guard::Range {
        start: bytes(start),
        end: bytes(end),
        newest,
    }
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn write(ops: impl Into<Vec<Op>>) -> Command {
    Command::write(SLOT, ops.into())
}

pub(super) fn in_session(client: u128, seq: u64, ack: u64, command: Command) -> Command {
    Command {
        session: Some(SessionRef {
            client: ClientId(client),
            seq,
            ack,
        }),
        ..command
    }
}

pub(super) fn guarded(guards: impl Into<Vec<Guard>>, command: Command) -> Command {
    Command {
        guards: guards.into(),
        ..command
    }
}

/// The version of a command that must have been done.
pub(super) fn version(outcome: Outcome) -> Version {
    match outcome {
        Outcome::Done { version } => version,
        other => panic!("not done: {other:?}"),
    }
}

/// The number told of a command that must have been done.
pub(super) fn number(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Computed { number, .. } => number,
        other => panic!("no number: {other:?}"),
    }
}

pub(super) fn misfit(op: u16, misfit: Misfit) -> Outcome {
    Outcome::Misfit { op, misfit }
}

pub(super) fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}
