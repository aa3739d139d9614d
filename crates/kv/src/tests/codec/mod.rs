//! The format of entries: what is drawn here comes back as it was, a few entries are pinned to the byte, and whatever
//! else comes is refused or does no harm.

mod looks;
mod pinned;
mod refused;
mod round_trip;

use atoll_types::{ClientId, ClusterId, Codec, Epoch, GroupGen, GroupId, GroupKey, SlotId, Version};
use bytes::Bytes;
use proptest::prelude::*;

use super::support::*;
use crate::{
    COMMAND_ROW_BYTES, Command, CommandKind, ENTRY_HEADER_BYTES, EntryHeader, EntryView, Guard,
    HistoryLimits, Op, OpView, PackedValue, SessionRef, encode_entry, value_crc,
};

fn header() -> impl Strategy<Value = EntryHeader> {
    (any::<u64>(), any::<u32>()).prop_map(|(stamp, elapsed_ms)| EntryHeader {
        stamp: Version(stamp),
        elapsed_ms,
    })
}

fn blob(len: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), len).prop_map(Bytes::from)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (blob(1..40), blob(0..200)).prop_map(|(key, value)| Op::Put { key, value }),
        (
            blob(1..40),
            blob(1..60),
            65..100_000_usize,
            any::<u32>(),
            any::<bool>()
        )
            .prop_map(|(key, stored, len, vcrc, zstd)| {
                let codec = if zstd { Codec::Zstd } else { Codec::Lz4 };
                let value = PackedValue::new(codec, stored, len, vcrc).unwrap();
                Op::PutPacked { key, value }
            }),
        blob(1..40).prop_map(|key| Op::Delete { key }),
        (blob(1..40), any::<i64>()).prop_map(|(key, by)| Op::Increment { key, by }),
        (blob(1..40), blob(0..200)).prop_map(|(key, suffix)| Op::Append { key, suffix }),
        (blob(1..40), any::<i64>()).prop_map(|(key, number)| Op::Min { key, number }),
        (blob(1..40), any::<i64>()).prop_map(|(key, number)| Op::Max { key, number }),
        (blob(1..40), blob(1..40), any::<u32>()).prop_map(|(start, end, limit)| Op::DeleteRange {
            start,
            end,
            limit
        }),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        (blob(1..40), any::<u64>()).prop_map(|(key, v)| Guard::Key {
            key,
            expected: Version(v)
        }),
        (blob(0..20), blob(0..20), any::<u64>()).prop_map(|(start, end, v)| Guard::Range {
            start,
            end,
            newest: Version(v)
        }),
    ]
}

fn session() -> impl Strategy<Value = SessionRef> {
    (any::<u128>(), any::<u64>(), any::<u64>()).prop_map(|(client, seq, ack)| SessionRef {
        client: ClientId(client),
        seq,
        ack,
    })
}

fn a_write() -> impl Strategy<Value = Command> {
    let parts = (
        prop::option::of(session()),
        any::<u64>(),
        any::<u16>(),
        prop::collection::vec(guard(), 0..4),
        prop::collection::vec(op(), 0..5),
    );
    parts.prop_map(|(session, after, slot, guards, ops)| Command {
        session,
        after: Version(after),
        kind: CommandKind::Write,
        slot: SlotId(slot),
        guards,
        ops,
    })
}

fn a_genesis() -> impl Strategy<Value = Command> {
    let runs = prop::collection::vec(any::<(u16, u16)>(), 0..6);
    (any::<u128>(), any::<u64>(), any::<u32>(), runs, any::<u64>()).prop_map(
        |(cluster, id, generation, runs, epoch)| {
            let group = GroupKey::new(GroupId(id), GroupGen(generation));
            Command::genesis(ClusterId(cluster), group, runs, Epoch(epoch))
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => a_write(),
        1 => a_genesis(),
        1 => (any::<u128>(), any::<u64>()).prop_map(|(c, v)| Command::open_session(ClientId(c), Version(v))),
        1 => Just(Command::tick()),
        1 => Just(Command::of_kind(CommandKind::Seal, SlotId(9))),
        1 => any::<u64>().prop_map(|version| Command::close_at(Version(version))),
        1 => prop::option::of((1..9_u64, 1..u64::MAX)).prop_map(|limits| {
            Command::keep_history(limits.map(|(window_ms, bytes)| HistoryLimits { window_ms, bytes }))
        }),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(command(), 0..6)
}
