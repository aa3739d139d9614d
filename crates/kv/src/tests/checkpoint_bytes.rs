//! System rows that are not what was written.

use atoll_types::limits::SESSION_OPEN_MAX;
use atoll_types::{ClientId, ClusterId, GroupGen, Key, Version};
use bytes::Bytes;

use super::checkpoint::{Rows, restore, whole};
use super::support::*;
use crate::{
    Command, Machine, Restoration, RestoreError, SYSTEM_VALUE_BYTES_MAX, SessionLimits, SystemKey, SystemRow,
};

const LIMITS: SessionLimits = SessionLimits {
    ttl_ms: 3_600_000,
    max: 3,
};

/// A machine with one of everything that rows can hold.
fn rich() -> Machine {
    let mut rig = Rig::limited(LIMITS);
    rig.one(genesis());
    rig.open(9);
    rig.minutes(61);
    rig.open(1);
    rig.open(7 << 64);
    let commands = [
        in_session(1, 2, 2, write([put("a", "text")])),
        in_session(1, 3, 2, write([increment("n", -5)])),
        in_session(1, 4, 2, write([increment("a", 1)])),
        in_session(
            1,
            5,
            2,
            guarded([on_key("a", Version(1))], write([put("a", "2")])),
        ),
        in_session(
            1,
            9,
            2,
            guarded([on_key("b", Version(1))], write([put("b", "2")])),
        ),
    ];
    rig.entry(1 << 20, 1_000, &commands);
    rig.machine
}

fn sealed(key: &Key, content: &[u8]) -> Bytes {
    SystemRow::sealed(key.clone(), content.to_vec()).value.unwrap()
}

fn content(value: &Bytes) -> &[u8] {
    &value[..value.len() - 4]
}

fn with(rows: &Rows, key: &Key, value: Bytes) -> Rows {
    let mut rows = rows.clone();
    rows.insert(key.clone(), value);
    rows
}

fn refusal(rows: &Rows) -> RestoreError {
    restore(LIMITS, rows).unwrap_err()
}

#[test]
fn every_bit_and_every_length_counts() {
    let rows = whole(&rich());
    assert_eq!(rows.len(), 4);
    for (key, value) in &rows {
        for bit in 0..value.len() * 8 {
            let mut flipped = value.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = refusal(&with(&rows, key, flipped.into()));
            assert!(
                matches!(error, RestoreError::Damaged { .. }),
                "{key:?} {bit}: {error}"
            );
        }
        for len in 0..value.len() {
            refusal(&with(&rows, key, value.slice(..len)));
        }
        refusal(&with(&rows, key, [&value[..], &[0]].concat().into()));
    }
}

#[test]
fn every_bit_of_a_key_counts() {
    let rows = whole(&rich());
    for (key, value) in &rows {
        for bit in 0..key.as_bytes().len() * 8 {
            let mut flipped = key.as_bytes().to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut moved = rows.clone();
            moved.remove(key);
            moved.insert(Key::new(&flipped).unwrap(), value.clone());
            refusal(&moved);
        }
        let shorter = &key.as_bytes()[..key.as_bytes().len() - 1];
        refusal(&with(&rows, &Key::new(shorter).unwrap(), value.clone()));
        let longer = [key.as_bytes(), &[0]].concat();
        refusal(&with(&rows, &Key::new(&longer).unwrap(), value.clone()));
    }
}

/// Bytes whose sum is right are what this version writes, or refused. Nothing is guessed and nothing is dropped.
#[test]
fn what_is_understood_is_written_again_as_it_was() {
    let rows = whole(&rich());
    let mut understood = 0;
    let mut try_out = |key: &Key, content: &[u8]| {
        let changed = with(&rows, key, sealed(key, content));
        if let Ok(machine) = restore(LIMITS, &changed) {
            assert_eq!(whole(&machine), changed);
            understood += 1;
        }
    };
    for (key, value) in &rows {
        let content = content(value);
        for at in 0..content.len() {
            for byte in [
                0,
                1,
                2,
                5,
                0x3F,
                0x7F,
                0x80,
                0xFF,
                content[at] ^ 1,
                content[at].wrapping_add(1),
            ] {
                let mut changed = content.to_vec();
                changed[at] = byte;
                try_out(key, &changed);
            }
            try_out(key, &content[..at]);
            try_out(key, &[&content[..at], &content[at + 1..]].concat());
            try_out(key, &[&content[..at], &[0], &content[at..]].concat());
        }
    }
    assert!(understood > 100, "{understood}");
}

#[test]
fn rows_of_elsewhere_are_refused_by_name() {
    let rows = whole(&rich());
    let pairs = || rows.iter().map(|(key, value)| (key.as_bytes(), value));
    let cluster = ClusterId(CLUSTER.0 + 1);
    assert!(matches!(
        Machine::restore(cluster, GROUP, LIMITS, pairs()).unwrap_err(),
        RestoreError::OtherCluster { .. }
    ));
    let mut group = GROUP;
    group.generation = GroupGen(GROUP.generation.0 + 1);
    assert!(matches!(
        Machine::restore(CLUSTER, group, LIMITS, pairs()).unwrap_err(),
        RestoreError::OtherGroup { .. }
    ));
    let limits = SessionLimits { max: 4, ..LIMITS };
    assert!(matches!(
        Machine::restore(CLUSTER, GROUP, limits, pairs()).unwrap_err(),
        RestoreError::OtherLimits { .. }
    ));
}

#[test]
fn rows_of_later_versions_are_refused_by_name() {
    let rows = whole(&rich());
    for (key, value) in &rows {
        let mut later = content(value).to_vec();
        later[0] = 2;
        let error = refusal(&with(&rows, key, sealed(key, &later)));
        assert!(
            matches!(error, RestoreError::UnknownVersion { version: 2, .. }),
            "{error}"
        );
    }
    for (slot, kind) in [
        (SystemKey::GROUP_WIDE, 4),
        (SystemKey::GROUP_WIDE, SystemKey::CONTROL),
        (7, 3),
    ] {
        let key = SystemKey {
            slot,
            kind,
            id: &[0; 16],
        }
        .encode();
        let error = refusal(&with(&rows, &key, sealed(&key, &[1])));
        assert_eq!(error, RestoreError::UnknownKind { slot, kind });
    }
}

#[test]
fn rows_that_are_missing_or_twice_are_noticed() {
    let rows = whole(&rich());
    for key in rows.keys() {
        let mut fewer = rows.clone();
        fewer.remove(key);
        refusal(&fewer);
    }
    assert_eq!(refusal(&Rows::new()), RestoreError::NoGroup);
    for (key, value) in &rows {
        let mut restoration = Restoration::new(CLUSTER, GROUP, LIMITS);
        let mut before = rows.iter().take_while(|(at, _)| *at <= key);
        before
            .try_for_each(|(key, value)| restoration.row(key.as_bytes(), value))
            .unwrap();
        assert_eq!(restoration.row(key.as_bytes(), value), Err(RestoreError::Order));
    }
    // One session more than the group counts, though it is one that could be.
    let (last, session) = rows.last_key_value().unwrap();
    let mut other = last.as_bytes().to_vec();
    other[18] = 5;
    let other = Key::new(&other).unwrap();
    let error = refusal(&with(&rows, &other, sealed(&other, content(session))));
    assert_eq!(
        error,
        RestoreError::SessionCount {
            found: 3,
            expected: 2
        }
    );
}

/// Content of a session's row: opened at 1, last used an hour and a minute after the beginning.
fn session_content(reached: u64, ack: u64, records: &[(u64, u16, u64)]) -> Vec<u8> {
    let mut content = vec![1];
    for number in [1, reached, 61 * 60_000, ack] {
        content.extend(number.to_le_bytes());
    }
    content.extend((records.len() as u16).to_le_bytes());
    for (seq, slot, version) in records {
        content.extend(seq.to_le_bytes());
        content.extend(slot.to_le_bytes());
        content.push(1);
        content.extend(version.to_le_bytes());
    }
    content
}

#[test]
fn a_session_whose_records_contradict_it_is_refused() {
    let rows = whole(&rich());
    let key = rows.keys().next_back().unwrap();
    let tried = |reached, ack, records: &[_]| {
        let content = session_content(reached, ack, records);
        restore(LIMITS, &with(&rows, key, sealed(key, &content)))
    };
    tried(9, 2, &[(2, 0, 9), (7, 16_383, 8), (u64::MAX, 1, 3)]).unwrap();
    for (reached, ack, records) in [
        (9, 3, &[(2, 0, 9)][..]),
        (9, 2, &[(3, 0, 9), (2, 0, 9)]),
        (9, 2, &[(2, 0, 9), (2, 0, 9)]),
        (9, 2, &[(u64::MAX, 0, 9), (u64::MAX, 0, 9)]),
        (9, 2, &[(2, 0, 10)]),
        (9, 2, &[(2, 16_384, 9)]),
        (0, 2, &[]),
    ] {
        let error = tried(reached, ack, records).unwrap_err();
        assert!(
            matches!(error, RestoreError::Damaged { row: "session", .. }),
            "{records:?}: {error}"
        );
    }
}

#[test]
fn runs_that_are_none_are_refused() {
    let rows = whole(&rich());
    let key = rows.keys().nth(1).unwrap();
    let tried = |runs: &[(u16, u16)]| {
        let mut content = content(&rows[key])[..17].to_vec();
        content.extend((runs.len() as u32).to_le_bytes());
        content.extend(
            runs.iter()
                .flat_map(|(first, last)| [*first, *last])
                .flat_map(u16::to_le_bytes),
        );
        restore(LIMITS, &with(&rows, key, sealed(key, &content)))
    };
    assert_eq!(tried(&[(0, 5), (7, 16_383)]).unwrap().owned_slots(), 6 + 16_377);
    for runs in [
        &[(5, 4)][..],
        &[(0, 5), (5, 7)],
        &[(9, 9), (1, 1)],
        &[(0, 16_384)],
    ] {
        let error = tried(runs).unwrap_err();
        assert!(
            matches!(error, RestoreError::Damaged { row: "ownership", .. }),
            "{runs:?}"
        );
    }
}

/// Rows of two states of one group, each of them right.
#[test]
fn a_session_that_cannot_be_there_is_noticed() {
    let mut rig = Rig::limited(LIMITS);
    rig.open(1);
    let early = whole(&rig.machine);
    rig.minutes(30);
    rig.one(Command::tick());
    rig.open(1);
    let late = whole(&rig.machine);
    let session = early.keys().next_back().unwrap();
    let mixed = with(&early, session, late[session].clone());
    assert!(matches!(refusal(&mixed), RestoreError::Contradiction(_)));
    rig.minutes(59);
    let expired = with(&whole(&rig.machine), session, early[session].clone());
    assert_eq!(
        refusal(&expired),
        RestoreError::Contradiction("a session should have expired")
    );
}

#[test]
fn the_fullest_session_fits_into_a_row() {
    let mut rig = Rig::limited(LIMITS);
    rig.one(genesis());
    rig.open(1);
    let commands: Vec<Command> = (1..=SESSION_OPEN_MAX as u64)
        .map(|seq| in_session(1, seq, 1, write([increment("n", 1)])))
        .collect();
    rig.entry(0, 0, &commands);
    let rows = whole(&rig.machine);
    let longest = rows.values().map(Bytes::len).max().unwrap();
    assert!((SESSION_OPEN_MAX * 27..SYSTEM_VALUE_BYTES_MAX).contains(&longest));
    let again = restore(LIMITS, &rows).unwrap();
    assert_eq!(whole(&again), rows);
    assert_eq!(again.session_count(), 1);
    // A count that the bytes cannot fill allocates nothing.
    let key = rows.keys().next_back().unwrap();
    let mut short = content(&rows[key]).to_vec();
    short.truncate(100);
    let error = refusal(&with(&rows, key, sealed(key, &short)));
    assert!(matches!(error, RestoreError::Damaged { row: "session", .. }));
}

#[test]
fn keys_order_as_clients_do() {
    let clients = [0, 1, 255, 256, 1 << 64, u128::MAX];
    let mut rig = Rig::limited(SessionLimits { max: 10, ..LIMITS });
    for client in clients.into_iter().rev() {
        rig.one(Command::open_session(ClientId(client), Version(1 << 40)));
    }
    let keys: Vec<Key> = rig.machine.checkpoint_all().skip(1).map(|row| row.key).collect();
    let id = |key: &Key| u128::from_be_bytes(key.as_bytes()[3..].try_into().unwrap());
    assert_eq!(keys.iter().map(id).collect::<Vec<_>>(), clients);
    assert!(keys.is_sorted());
}

/// The bytes of a checkpoint, by hand: the format is for ever.
#[test]
fn the_bytes_are_those_of_the_description() {
    let mut rig = Rig::limited(LIMITS);
    rig.one(genesis());
    rig.open(1);
    rig.entry(0x10000, 5, &[in_session(1, 2, 1, write([put("a", "1")]))]);
    let rows = whole(&rig.machine);
    let mut group = vec![1];
    group.extend(CLUSTER.0.to_le_bytes());
    group.extend(GROUP.id.0.to_le_bytes());
    group.extend(GROUP.generation.0.to_le_bytes());
    for number in [5, 0x10000, rig.machine.state_hash(), 0, 3_600_000, 3, 1_u64] {
        group.extend(number.to_le_bytes());
    }
    group.push(1);
    let mut ownership = vec![1];
    ownership.extend(EPOCH.0.to_le_bytes());
    ownership.extend(1_u64.to_le_bytes());
    ownership.extend([1, 0, 0, 0, 0, 0, 99, 0]);
    let mut session = vec![1];
    for number in [2, 0x10000, 5, 1_u64] {
        session.extend(number.to_le_bytes());
    }
    session.extend([1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 50, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]);
    let key = |bytes: &[u8]| Key::new(bytes).unwrap();
    let client = [&[0xFF, 0xFF, 3][..], &[0; 15], &[1]].concat();
    let keys = [key(&[0xFF, 0xFF, 1]), key(&[0xFF, 0xFF, 2]), key(&client)];
    let expected: Rows = keys
        .into_iter()
        .zip([group, ownership, session])
        .map(|(key, content)| {
            let value = sealed(&key, &content);
            (key, value)
        })
        .collect();
    assert_eq!(rows, expected);
}
