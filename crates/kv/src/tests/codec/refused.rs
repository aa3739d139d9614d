//! Entries of later versions, and bytes that are none.

use atoll_types::{Outcome, Refusal};

use super::*;
use crate::{ApplyError, DecodeError};

const KIND_AT: usize = ENTRY_HEADER_BYTES + 40;
const FLAGS_AT: usize = ENTRY_HEADER_BYTES + 41;

#[test]
fn operations_that_do_not_say_what_they_need_are_refused() {
    let ops = ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES;
    // A put of so many bytes, passed off as another operation.
    let parses = |op: u8, len: usize| {
        let value = bytes(&"x".repeat(len));
        let mut bytes = encode_entry(
            EntryHeader::default(),
            &[write([Op::Put {
                key: value.clone(),
                value,
            }])],
        )
        .to_vec();
        bytes[ops] = op;
        EntryView::parse(&bytes).is_ok()
    };
    for op in [2, 4, 5] {
        assert_eq!(
            [1, 7, 8, 9].map(|len| parses(op, len)),
            [false, false, true, false]
        );
    }
    assert_eq!(
        [1, 4, 5, 40].map(|len| parses(6, len)),
        [false, false, true, true]
    );
    assert_eq!([2, 3, 4, 5, 6].map(|op| parses(op, 0)), [false; 5], "no key");
}

fn stops(change: impl Fn(&mut Vec<u8>)) -> DecodeError {
    let mut bytes = encode_entry(EntryHeader::default(), &[write([put("a", "1")]), Command::tick()]).to_vec();
    change(&mut bytes);
    let mut rig = Rig::new();
    let before = rig.machine.state_hash();
    let ApplyError::Decode(error) = rig.machine.apply(&bytes, &mut rig.state, None).unwrap_err();
    assert_eq!(rig.machine.state_hash(), before);
    assert!(rig.state.rows.is_empty(), "nothing of a refused entry is applied");
    error
}

#[test]
fn what_a_later_version_wrote_stops_the_replica() {
    assert_eq!(stops(|bytes| bytes[0] = 2), DecodeError::UnknownKind(2));
    assert_eq!(stops(|bytes| bytes[1] = 2), DecodeError::UnknownVersion(2));
    // The second command: the first one must not have been applied either.
    let second = KIND_AT + COMMAND_ROW_BYTES;
    assert_eq!(
        stops(|bytes| bytes[second] = 12),
        DecodeError::UnknownCommand { command: 1, kind: 12 }
    );
    assert!(matches!(
        stops(|bytes| bytes[FLAGS_AT] = 2),
        DecodeError::Unknown {
            what: "command flags",
            ..
        }
    ));
    assert!(
        stops(|bytes| bytes[1] = 9)
            .to_string()
            .contains("codec version 9 is unknown")
    );
}

#[test]
fn an_unknown_kind_that_may_be_skipped_is_refused_and_the_rest_applied() {
    let mut bytes = encode_entry(EntryHeader::default(), &[Command::tick(), write([put("a", "1")])]).to_vec();
    bytes[KIND_AT] = 77;
    bytes[FLAGS_AT] = 1 << 7;
    let mut rig = Rig::new();
    let mut outcomes = Vec::new();
    rig.machine
        .apply(&bytes, &mut rig.state, Some(&mut outcomes))
        .unwrap();
    assert_eq!(outcomes[0], Outcome::Refused(Refusal::Unsupported));
    assert_eq!(rig.value("a"), Some(&b"1"[..]));
}

/// Two writes, each with a guard on `g` and a put of one byte under `k`.
fn two_writes() -> Vec<u8> {
    let command = guarded([on_key("g", Version::ZERO)], write([put("k", "v")]));
    encode_entry(EntryHeader::default(), [&command, &command]).to_vec()
}

fn patch(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn tables_that_do_not_fit_together_are_refused() {
    const GUARD_COUNT: usize = 20;
    const OP_COUNT: usize = 28;
    let second = ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES;
    let guards = second + COMMAND_ROW_BYTES;
    let ops = guards + 2 * 17;
    let patches: [(&str, &[(usize, u32)]); 11] = [
        ("more guards announced than there are", &[(GUARD_COUNT, 3)]),
        ("fewer ops announced than there are", &[(OP_COUNT, 1)]),
        ("two commands share a guard", &[(second + 44, 0)]),
        ("two commands share an op", &[(second + 52, 0)]),
        ("two commands share a value", &[(second + 60, 0)]),
        ("a guard belongs to nobody", &[(second + 48, 0), (GUARD_COUNT, 1)]),
        (
            "an op and its value belong to nobody",
            &[(second + 56, 0), (OP_COUNT, 1)],
        ),
        (
            "an op count beyond the table",
            &[(second + 56, u32::MAX), (OP_COUNT, u32::MAX)],
        ),
        ("a value beyond the area", &[(ops + 17 + 4, 2), (ops + 17 + 8, 2)]),
        ("a value of two lengths", &[(ops + 4, 2)]),
        ("a deletion with a value", &[(ops, 1 | 1 << 16)]),
    ];
    assert!(EntryView::parse(&two_writes()).is_ok());
    for (what, changes) in patches {
        let mut bytes = two_writes();
        for &(at, value) in changes {
            patch(&mut bytes, at, value);
        }
        assert!(
            matches!(EntryView::parse(&bytes), Err(DecodeError::Malformed { .. })),
            "{what}"
        );
    }
}

#[test]
fn ops_flags_and_guards_of_later_versions_are_refused() {
    let guards = ENTRY_HEADER_BYTES + 2 * COMMAND_ROW_BYTES;
    let ops = guards + 2 * 17;
    for (at, value) in [
        (2, 1),
        (guards, 2),
        (guards + 1, 1),
        (guards + 6, 1),
        (ops, 7),
        (ops, 254),
        (ops + 1, 3),
        (ops + 1, 4),
    ] {
        let mut bytes = two_writes();
        bytes[at] = value;
        assert!(
            matches!(EntryView::parse(&bytes), Err(DecodeError::Unknown { .. })),
            "byte {at}"
        );
    }
    let mut body = two_writes();
    body[ops] = 255;
    assert!(
        matches!(EntryView::parse(&body), Err(DecodeError::Malformed { .. })),
        "a body with a key"
    );
}

#[test]
fn commands_without_what_they_need_are_refused() {
    let parses = |command: Command, change: fn(&mut Vec<u8>)| {
        let mut bytes = encode_entry(EntryHeader::default(), [&command]).to_vec();
        change(&mut bytes);
        EntryView::parse(&bytes).is_ok()
    };
    let opening = || Command::open_session(ClientId(1), Version(1));
    assert!(parses(opening(), |_| {}));
    assert!(
        !parses(
            Command {
                session: None,
                ..opening()
            },
            |_| {}
        ),
        "a session for nobody"
    );
    assert!(
        !parses(Command::tick(), |bytes| bytes[KIND_AT] = 1),
        "an opening without a version"
    );
    assert!(
        !parses(opening(), |bytes| bytes[KIND_AT] = 0),
        "a write with a body"
    );
    assert!(
        !parses(opening(), |bytes| bytes[KIND_AT] = 2),
        "a genesis of eight bytes"
    );
    assert!(
        !parses(genesis(), |bytes| bytes[KIND_AT] = 1),
        "an opening with bytes left over"
    );
}

#[test]
fn a_value_behind_the_end_is_refused_though_all_tables_are_full() {
    let mut bytes = encode_entry(EntryHeader::default(), &[write([put("k", "")])]).to_vec();
    let op = ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES;
    patch(&mut bytes, op + 4, 9);
    patch(&mut bytes, op + 8, 9);
    assert!(EntryView::parse(&bytes).is_err());
}
