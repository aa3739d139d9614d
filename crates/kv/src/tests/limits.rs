//! Every bound has an error that says what to change.

use atoll_types::limits::{
    BATCH_BYTES_MAX, BATCH_GUARDS_MAX, BATCH_OPS_MAX, ENTRY_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX,
};
use atoll_types::{ClientId, KeyError, SlotId, Version};
use bytes::Bytes;

use super::support::*;
use crate::{Command, CommandKind, ENTRY_HEADER_BYTES, Guard, InvalidCommand, Op};

fn long(len: usize) -> Bytes {
    Bytes::from(vec![b'x'; len])
}

fn fails(command: &Command, expected: InvalidCommand, text: &str) {
    let error = command.check().unwrap_err();
    assert_eq!(error, expected);
    assert!(error.to_string().contains(text), "{error}");
}

fn numbered(count: usize) -> Vec<Op> {
    (0..count).map(|n| put(&format!("{n:05}"), "v")).collect()
}

#[test]
fn keys() {
    assert_eq!(
        write([Op::Delete {
            key: long(KEY_BYTES_MAX)
        }])
        .check(),
        Ok(())
    );
    let empty = InvalidCommand::Key {
        op: 1,
        error: KeyError::Empty,
    };
    fails(
        &write([put("a", "1"), delete("")]),
        empty,
        "operation 1: the key is empty",
    );
    let over = InvalidCommand::Key {
        op: 0,
        error: KeyError::TooLong(KEY_BYTES_MAX + 1),
    };
    fails(
        &write([Op::Delete {
            key: long(KEY_BYTES_MAX + 1),
        }]),
        over,
        "4097 bytes; at most 4096",
    );
}

#[test]
fn values() {
    let sized = |len| {
        write([Op::Put {
            key: bytes("k"),
            value: long(len),
        }])
    };
    assert_eq!(sized(0).check(), Ok(()));
    assert_eq!(sized(VALUE_BYTES_MAX).check(), Ok(()));
    let over = InvalidCommand::ValueTooLong {
        op: 0,
        len: VALUE_BYTES_MAX + 1,
    };
    fails(&sized(VALUE_BYTES_MAX + 1), over, "at most 1048576");
}

#[test]
fn counts() {
    assert_eq!(write(numbered(BATCH_OPS_MAX)).check(), Ok(()));
    let over = InvalidCommand::TooManyOps(BATCH_OPS_MAX + 1);
    fails(
        &write(numbered(BATCH_OPS_MAX + 1)),
        over,
        "4097 operations; at most 4096",
    );
    let guards = |count| guarded(vec![on_key("k", Version(1)); count], write([]));
    assert_eq!(guards(BATCH_GUARDS_MAX).check(), Ok(()));
    let over = InvalidCommand::TooManyGuards(BATCH_GUARDS_MAX + 1);
    fails(&guards(BATCH_GUARDS_MAX + 1), over, "4097 guards; at most 4096");
    fails(&write([]), InvalidCommand::Empty, "no operation");
}

#[test]
fn bytes_of_a_batch_count_keys_values_and_guards() {
    let op = |n: usize, len: usize| Op::Put {
        key: bytes(&n.to_string()),
        value: long(len),
    };
    let full = vec![
        op(0, VALUE_BYTES_MAX),
        op(1, VALUE_BYTES_MAX),
        op(2, VALUE_BYTES_MAX),
    ];
    let rest = BATCH_BYTES_MAX - 3 * VALUE_BYTES_MAX - 4;
    let exact = write([full.clone(), vec![op(3, rest)]].concat());
    assert_eq!(exact.check(), Ok(()));
    let over = InvalidCommand::TooManyBytes(BATCH_BYTES_MAX + 1);
    fails(
        &guarded([on_key("g", Version(1))], exact),
        over,
        "at most 4194304",
    );
    fails(
        &write([full, vec![op(3, rest + 1)]].concat()),
        over,
        "at most 4194304",
    );
}

#[test]
fn the_largest_command_fits_into_an_entry() {
    let ops = (0..BATCH_OPS_MAX).map(|n| Op::Put {
        key: bytes(&format!("{n:04}")),
        value: long(1000),
    });
    let guards = vec![on_key("guard", Version(1)); BATCH_GUARDS_MAX];
    let command = guarded(guards, write(ops.collect::<Vec<_>>()));
    assert_eq!(command.check(), Ok(()));
    assert!(ENTRY_HEADER_BYTES + command.encoded_len() <= ENTRY_BYTES_MAX);
}

#[test]
fn a_key_stands_in_a_batch_once() {
    let twice = InvalidCommand::DuplicateKey { first: 0, second: 2 };
    fails(
        &write([put("a", "1"), put("b", "1"), delete("a")]),
        twice,
        "operations 0 and 2 change the same key",
    );
}

#[test]
fn guards() {
    let with = |guard| guarded([on_key("a", Version::ZERO), guard], write([put("a", "1")]));
    let empty = InvalidCommand::GuardKey {
        guard: 1,
        error: KeyError::Empty,
    };
    fails(
        &with(on_key("", Version::ZERO)),
        empty,
        "guard 1: the key is empty",
    );
    let over = InvalidCommand::GuardKey {
        guard: 1,
        error: KeyError::TooLong(KEY_BYTES_MAX + 1),
    };
    let end = long(KEY_BYTES_MAX + 1);
    fails(
        &with(Guard::Range {
            start: bytes("a"),
            end,
            newest: Version(1),
        }),
        over,
        "at most 4096",
    );
    fails(
        &with(on_range("b", "b", Version(1))),
        InvalidCommand::GuardRange { guard: 1 },
        "at or before its start",
    );
    assert_eq!(with(on_range("b", "", Version(1))).check(), Ok(()));
    assert_eq!(with(on_range("", "b", Version(1))).check(), Ok(()));
}

#[test]
fn sessions_and_slots() {
    let ok = write([put("a", "1")]);
    assert_eq!(in_session(1, 1, 0, ok.clone()).check(), Ok(()));
    assert_eq!(in_session(1, 4, 4, ok.clone()).check(), Ok(()));
    fails(
        &in_session(1, 0, 0, ok.clone()),
        InvalidCommand::SeqZero,
        "counts from 1",
    );
    fails(
        &in_session(1, 4, 5, ok.clone()),
        InvalidCommand::AckAboveSeq { seq: 4, ack: 5 },
        "5 is above",
    );
    let slot = SlotId(16_384);
    fails(
        &Command { slot, ..ok },
        InvalidCommand::NoSuchSlot(16_384),
        "there are 16384",
    );
}

#[test]
fn kinds_that_are_not_writes() {
    assert_eq!(Command::tick().check(), Ok(()));
    assert_eq!(genesis().check(), Ok(()));
    assert_eq!(Command::open_session(ClientId(1), Version(1)).check(), Ok(()));
    let nobody = Command {
        session: None,
        ..Command::open_session(ClientId(1), Version(1))
    };
    fails(&nobody, InvalidCommand::NoClient, "without a client id");
    let overlap = Command::genesis(CLUSTER, GROUP, vec![(0, 5), (5, 9)], EPOCH);
    fails(&overlap, InvalidCommand::BadRuns, "not ascending");
    let busy = Command {
        kind: CommandKind::Tick,
        ..write([put("a", "1")])
    };
    fails(&busy, InvalidCommand::NotAWrite, "only a write");
}

#[test]
fn ranges() {
    let range = |start, end, limit| write([put("a", "1"), delete_range(start, end, limit)]);
    assert_eq!(range("b", "c", 1).check(), Ok(()));
    assert_eq!(range("b", "c", 4096).check(), Ok(()));
    fails(
        &range("b", "b", 1),
        InvalidCommand::OpRange { op: 1 },
        "ends at or before its start",
    );
    for limit in [0, 4097] {
        fails(
            &range("b", "c", limit),
            InvalidCommand::RangeLimit { op: 1, limit },
            "1 to 4096 keys",
        );
    }
    let empty = InvalidCommand::Key {
        op: 1,
        error: KeyError::Empty,
    };
    fails(&range("b", "", 1), empty, "operation 1: the key is empty");
    fails(&range("", "b", 1), empty, "operation 1: the key is empty");
    let end = Bytes::from(vec![b'x'; KEY_BYTES_MAX + 1]);
    let over = InvalidCommand::Key {
        op: 0,
        error: KeyError::TooLong(KEY_BYTES_MAX + 1),
    };
    let start = bytes("b");
    fails(
        &write([Op::DeleteRange { start, end, limit: 1 }]),
        over,
        "at most 4096",
    );
    let both = |limit| write([delete_range("a", "b", 4000), delete_range("b", "c", limit)]);
    assert_eq!(both(96).check(), Ok(()));
    fails(&both(97), InvalidCommand::TooManyRemovals(4097), "lower limits");
}

#[test]
fn no_operation_is_on_keys_that_another_deletes() {
    let met = |ops: &[Op]| write(ops).check().unwrap_err();
    let range = |start, end| delete_range(start, end, 1);
    let inside = |range, op| InvalidCommand::InDeletedRange { range, op };
    assert_eq!(met(&[range("b", "d"), put("c", "1")]), inside(0, 1));
    assert_eq!(met(&[put("c", "1"), range("b", "d")]), inside(1, 0));
    assert_eq!(met(&[increment("b", 1), range("b", "d")]), inside(1, 0));
    assert_eq!(met(&[range("b", "d"), append("b", "x")]), inside(0, 1));
    assert_eq!(met(&[range("b", "d"), range("c", "e")]), inside(0, 1));
    assert_eq!(met(&[range("b", "d"), range("b", "c")]), inside(0, 1));
    assert_eq!(
        met(&[put("a", "1"), range("a0", "z"), put("zz", "1"), delete("m")]),
        inside(1, 3)
    );
    assert_eq!(
        met(&[increment("a", 1), min("b", 1), append("a", "x")]),
        InvalidCommand::DuplicateKey { first: 0, second: 2 }
    );
    let apart = [
        put("a", "1"),
        range("b", "d"),
        range("d", "e"),
        put("e", "1"),
        range("f", "g"),
    ];
    assert_eq!(write(apart).check(), Ok(()));
}
