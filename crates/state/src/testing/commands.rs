//! Short ways to say what an entry does.

use atoll_kv::{Command, EntryHeader, Guard, Op, SessionRef, encode_entry};
use atoll_types::{ClientId, SlotId, Version};
use bytes::Bytes;

const SLOT: SlotId = SlotId(50);

/// A write of these operations; which slot does not matter to the rows.
pub fn at_slot(ops: impl Into<Vec<Op>>) -> Command {
    Command::write(SLOT, ops.into())
}

/// Sets a key.
pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Op {
    Op::Put {
        key: Bytes::copy_from_slice(key.as_ref()),
        value: Bytes::copy_from_slice(value.as_ref()),
    }
}

/// Removes a key.
pub fn delete(key: impl AsRef<[u8]>) -> Op {
    Op::Delete {
        key: Bytes::copy_from_slice(key.as_ref()),
    }
}

/// Adds to a number.
pub fn increment(key: impl AsRef<[u8]>, by: i64) -> Op {
    Op::Increment {
        key: Bytes::copy_from_slice(key.as_ref()),
        by,
    }
}

/// Puts a suffix behind a value.
pub fn append(key: impl AsRef<[u8]>, suffix: impl AsRef<[u8]>) -> Op {
    Op::Append {
        key: Bytes::copy_from_slice(key.as_ref()),
        suffix: Bytes::copy_from_slice(suffix.as_ref()),
    }
}

/// Removes the first keys of a range.
pub fn delete_range(start: impl AsRef<[u8]>, end: impl AsRef<[u8]>, limit: u32) -> Op {
    Op::DeleteRange {
        start: Bytes::copy_from_slice(start.as_ref()),
        end: Bytes::copy_from_slice(end.as_ref()),
        limit,
    }
}

/// Adds one to a number, so many times, each in a command of its own.
pub fn increments(key: impl AsRef<[u8]>, times: usize) -> Vec<Command> {
    let one = || at_slot([increment(key.as_ref(), 1)]);
    std::iter::repeat_with(one).take(times).collect()
}

/// The same write, under these conditions.
pub fn guarded(guards: impl Into<Vec<Guard>>, command: Command) -> Command {
    Command {
        guards: guards.into(),
        ..command
    }
}

/// The same write, safe to repeat.
pub fn session_write(client: ClientId, seq: u64, command: Command) -> Command {
    Command {
        session: Some(SessionRef { client, seq, ack: 0 }),
        ..command
    }
}

/// The payload of an entry.
pub fn entry(commands: &[Command]) -> Bytes {
    let header = EntryHeader {
        stamp: Version::from_millis(1),
        elapsed_ms: 10,
    };
    encode_entry(header, commands)
}
