//! What the codec of system rows promises.

use atoll_types::{ClientId, Epoch, Key, SlotId, Version};
use bytes::{Buf, Bytes};

use super::{CLUSTER, GROUP};
use crate::testing::MapState;
use crate::{
    Command, EntryHeader, Guard, Machine, Op, Restoration, RestoreError, SessionLimits, SessionRef,
    SystemRow, encode_entry,
};

const LIMITS: SessionLimits = SessionLimits {
    ttl_ms: 3_600_000,
    max: 3,
};

/// System rows are refused, or make a machine that gives just these rows again, has nothing new to freeze, and whatever
/// it applies, can be restored again.
///
/// The input is a list of rows: key length u8, key, content length u16, content. Sums are added here, so that other
/// bytes than those of the seeds come past them.
pub fn checkpoint(input: &[u8]) {
    let rows = rows(input);
    let Ok(mut machine) = restore(&rows) else {
        return;
    };
    assert!(machine.checkpoint_all().eq(rows.iter().cloned()));
    let frozen = machine.freeze();
    // What is written at every freeze: the group's own row, and that of history.
    let always = |row: &&SystemRow| matches!(row.key.as_bytes().get(2), Some(1 | 4));
    assert!(frozen.rows.iter().eq(rows.iter().filter(always)));
    machine.frozen_durable(frozen.id);
    drop(rows);
    let mut state = MapState::default();
    let applied = machine.apply(&later(), &mut state, None);
    applied.expect("an entry of this version is applied");
    let rows: Vec<SystemRow> = machine.checkpoint_all().collect();
    let again = restore(&rows).expect("what a machine wrote is restored");
    assert_eq!(again.state_hash(), machine.state_hash());
    assert!(again.checkpoint_all().eq(rows));
}

fn rows(mut input: &[u8]) -> Vec<SystemRow> {
    let mut rows = Vec::new();
    while let Some((key, content)) = row(&mut input) {
        rows.push(SystemRow::sealed(Key::from_unchecked(key), content.to_vec()));
    }
    rows
}

fn row<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let key = usize::from(input.try_get_u8().ok()?);
    let key = input.split_off(..key)?;
    let content = usize::from(input.try_get_u16_le().ok()?);
    Some((key, input.split_off(..content)?))
}

fn restore(rows: &[SystemRow]) -> Result<Machine, RestoreError> {
    let mut restoration = Restoration::new(CLUSTER, GROUP, LIMITS);
    for SystemRow { key, value } in rows {
        let value = value.as_ref().expect("all rows are there");
        restoration.row(key.as_bytes(), value)?;
    }
    restoration.finish()
}

fn write(client: u128, seq: u64) -> Command {
    let session = Some(SessionRef {
        client: ClientId(client),
        seq,
        ack: 2,
    });
    let key = Bytes::from_static(b"n");
    let op = Op::Increment { key, by: 1 };
    Command {
        session,
        ..Command::write(SlotId(3), vec![op])
    }
}

/// An entry in which a session is used, one is opened, and others may expire or make room.
fn later() -> Bytes {
    let header = EntryHeader {
        stamp: Version(1 << 20),
        elapsed_ms: 60_000,
    };
    let opened = Command::open_session(ClientId(12), Version(1 << 30));
    encode_entry(header, &[write(1, 3), write(9, 9), opened, write(12, 4)])
}

/// Inputs worth starting from: machines in several states.
pub fn checkpoint_seeds() -> Vec<(String, Vec<u8>)> {
    let open = |client: u128| Command::open_session(ClientId(client), Version(1 << 21));
    let genesis = Command::genesis(CLUSTER, GROUP, vec![(0, 99), (200, 16_383)], Epoch(3));
    let failing = Guard::Key {
        key: Bytes::from_static(b"n"),
        expected: Version(1),
    };
    let guarded = Command {
        guards: vec![failing],
        ..write(1, 4)
    };
    let text = Op::Append {
        key: Bytes::from_static(b"n"),
        suffix: Bytes::from_static(b"x"),
    };
    let appended = Command {
        ops: vec![text],
        ..write(1, 6)
    };
    let full = [
        genesis.clone(),
        open(1),
        open(9),
        Command {
            guards: guarded.guards.clone(),
            ..write(9, 3)
        },
        write(1, 3),
        guarded,
        appended,
        write(1, 8),
    ];
    let crowded = [open(1), open(2), open(9), open(4), open(5)];
    vec![
        seed("crowded", &crowded),
        seed("full", &full),
        seed("genesis", &[genesis]),
        seed("unborn", &[]),
    ]
}

fn seed(name: &str, commands: &[Command]) -> (String, Vec<u8>) {
    let mut machine = Machine::with_limits(CLUSTER, GROUP, LIMITS);
    let entry = encode_entry(EntryHeader::default(), commands);
    let applied = machine.apply(&entry, &mut MapState::default(), None);
    applied.expect("an entry of this version is applied");
    let mut input = Vec::new();
    for SystemRow { key, value } in machine.checkpoint_all() {
        let value = value.expect("all rows are there");
        let content = value.get(..value.len() - 4).unwrap_or_default();
        input.push(key.as_bytes().len() as u8);
        input.extend_from_slice(key.as_bytes());
        input.extend_from_slice(&(content.len() as u16).to_le_bytes());
        input.extend_from_slice(content);
    }
    (name.to_owned(), input)
}
