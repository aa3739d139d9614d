//! Commands to bytes.

use atoll_types::{ClientId, Version};
use bytes::Bytes;

use super::layout::{
    CODEC_VERSION, COMMAND_ROW_BYTES, ENTRY_HEADER_BYTES, FLAG_SESSION, GENESIS_BYTES, GUARD_KEY,
    GUARD_RANGE, GUARD_ROW_BYTES, HISTORY_BYTES, KIND_ACTIVATE, KIND_CLOSE_AT, KIND_DECIDE, KIND_GENESIS,
    KIND_IMPORT, KIND_KEEP_HISTORY, KIND_OPEN_SESSION, KIND_PREPARE, KIND_REJECT, KIND_SEAL, KIND_TICK,
    KIND_WRITE, OP_APPEND, OP_BODY, OP_DELETE, OP_DELETE_RANGE, OP_INCREMENT, OP_MAX, OP_MIN, OP_PUT,
    OP_ROW_BYTES, PAYLOAD_COMMANDS, RUN_BYTES,
};
use crate::{Command, CommandKind, Guard, HistoryLimits, Op, PackedValue, SessionRef, value_crc};

/// What the leader adds to the commands of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryHeader {
    /// The leader's hybrid clock.
    pub stamp: Version,
    /// The leader's monotonic time since its previous entry in this term; 0 for the first.
    pub elapsed_ms: u32,
}

/// Builds an entry: one pass over the commands after one that adds up sizes, one allocation.
///
/// Commands are expected to have passed [`Command::check`] and the entry to stay within
/// [`atoll_types::limits::ENTRY_BYTES_MAX`]; [`Command::encoded_len`] tells what each adds.
pub fn encode_entry<'a, I>(header: EntryHeader, commands: I) -> Bytes
where
    I: IntoIterator<Item = &'a Command, IntoIter: Clone>,
{
    let commands = commands.into_iter();
    let mut size = Size::default();
    commands.clone().for_each(|command| size.add(command));
    let mut buffer = vec![0; size.total()];
    let (head, tables) = buffer.split_at_mut(ENTRY_HEADER_BYTES);
    Area::new(head).header(header, &size);
    let (rows, tables) = tables.split_at_mut(size.commands * COMMAND_ROW_BYTES);
    let (guards, tables) = tables.split_at_mut(size.guard_bytes);
    let (ops, values) = tables.split_at_mut(size.op_bytes);
    let mut writer = Writer {
        rows: Area::new(rows),
        guards: Area::new(guards),
        ops: Area::new(ops),
        values: Area::new(values),
    };
    commands.for_each(|command| writer.command(command));
    Bytes::from(buffer)
}

impl Command {
    /// How many bytes this command adds to an entry.
    pub fn encoded_len(&self) -> usize {
        let mut size = Size::default();
        size.add(self);
        size.total() - ENTRY_HEADER_BYTES
    }
}

#[derive(Default)]
struct Size {
    commands: usize,
    guards: usize,
    guard_bytes: usize,
    ops: usize,
    op_bytes: usize,
    value_bytes: usize,
}

impl Size {
    fn add(&mut self, command: &Command) {
        self.commands += 1;
        self.guards += command.guards.len();
        for guard in &command.guards {
            self.guard_bytes += GUARD_ROW_BYTES + guard.key_bytes();
        }
        self.ops += command.ops.len();
        for op in &command.ops {
            self.op_bytes += OP_ROW_BYTES + op.key().len();
            self.value_bytes += op.value_len();
        }
        if let Some(bytes) = body_len(&command.kind) {
            self.ops += 1;
            self.op_bytes += OP_ROW_BYTES;
            self.value_bytes += bytes;
        }
    }

    fn total(&self) -> usize {
        ENTRY_HEADER_BYTES
            + self.commands * COMMAND_ROW_BYTES
            + self.guard_bytes
            + self.op_bytes
            + self.value_bytes
    }
}

fn body_len(kind: &CommandKind) -> Option<usize> {
    match kind {
        CommandKind::OpenSession { .. } => Some(8),
        CommandKind::Genesis { slots, .. } => Some(GENESIS_BYTES + slots.len() * RUN_BYTES),
        CommandKind::KeepHistory { .. } => Some(HISTORY_BYTES),
        _ => None,
    }
}

/// A part of the buffer that is filled from its start.
struct Area<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Area<'a> {
    fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        let place = self
            .bytes
            .get_mut(self.at..end)
            .expect("sizes were added up over the same commands");
        place.copy_from_slice(bytes);
        self.at = end;
    }

    /// What was put since the area was filled up to `start`.
    fn since(&self, start: usize) -> &[u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn u32(&mut self, value: usize) {
        self.put(&(value as u32).to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn u128(&mut self, value: u128) {
        self.put(&value.to_le_bytes());
    }

    fn header(&mut self, header: EntryHeader, size: &Size) {
        self.u8(PAYLOAD_COMMANDS);
        self.u8(CODEC_VERSION);
        self.u16(0);
        self.u32(header.elapsed_ms as usize);
        self.u64(header.stamp.0);
        self.u32(size.commands);
        self.u32(size.guards);
        self.u32(size.guard_bytes);
        self.u32(size.ops);
        self.u32(size.op_bytes);
        self.u32(size.value_bytes);
    }
}

struct Writer<'a> {
    rows: Area<'a>,
    guards: Area<'a>,
    ops: Area<'a>,
    values: Area<'a>,
}

impl Writer<'_> {
    fn command(&mut self, command: &Command) {
        let body = body_len(&command.kind);
        let session = command.session.unwrap_or(SessionRef {
            client: ClientId::default(),
            seq: 0,
            ack: 0,
        });
        let row = &mut self.rows;
        row.u128(session.client.0);
        row.u64(session.seq);
        row.u64(session.ack);
        row.u64(command.after.0);
        row.u8(kind_number(&command.kind));
        row.u8(if command.session.is_some() {
            FLAG_SESSION
        } else {
            0
        });
        row.u16(command.slot.0);
        row.u32(self.guards.at);
        row.u32(command.guards.len());
        row.u32(self.ops.at);
        row.u32(command.ops.len() + usize::from(body.is_some()));
        row.u32(self.values.at);
        command.guards.iter().for_each(|guard| self.guard(guard));
        command.ops.iter().for_each(|op| self.op(op));
        if let Some(bytes) = body {
            self.body(&command.kind, bytes);
        }
    }

    fn guard(&mut self, guard: &Guard) {
        let none = Bytes::new();
        let (kind, key, end, version) = match guard {
            Guard::Key { key, expected } => (GUARD_KEY, key, &none, expected),
            Guard::Range { start, end, newest } => (GUARD_RANGE, start, end, newest),
        };
        self.guards.u8(kind);
        self.guards.u8(0);
        self.guards.u16(key.len() as u16);
        self.guards.u16(end.len() as u16);
        self.guards.u16(0);
        self.guards.u64(version.0);
        self.guards.put(key);
        self.guards.put(end);
    }

    fn op(&mut self, op: &Op) {
        let start = self.values.at;
        let number = match op {
            Op::PutPacked { key, value } => return self.packed(key, value),
            Op::Put { value, .. } => {
                self.values.put(value);
                OP_PUT
            }
            Op::Delete { .. } => OP_DELETE,
            Op::Append { suffix, .. } => {
                self.values.put(suffix);
                OP_APPEND
            }
            Op::Increment { by, .. } => self.number(OP_INCREMENT, *by),
            Op::Min { number, .. } => self.number(OP_MIN, *number),
            Op::Max { number, .. } => self.number(OP_MAX, *number),
            Op::DeleteRange { end, limit, .. } => {
                self.values.u32(*limit as usize);
                self.values.put(end);
                OP_DELETE_RANGE
            }
        };
        let value = self.values.since(start);
        let (len, vcrc) = (value.len(), value_crc(op.key(), value));
        self.op_row(number, op.key(), len, vcrc);
    }

    fn packed(&mut self, key: &[u8], value: &PackedValue) {
        self.values.put(value.stored());
        self.ops.u8(OP_PUT);
        self.ops.u8(value.codec().number());
        self.ops.u16(key.len() as u16);
        self.ops.u32(value.len() as usize);
        self.ops.u32(value.stored().len());
        self.ops.u32(value.vcrc() as usize);
        self.ops.put(key);
    }

    fn number(&mut self, op: u8, number: i64) -> u8 {
        self.values.put(&number.to_le_bytes());
        op
    }

    fn op_row(&mut self, number: u8, key: &[u8], value_len: usize, vcrc: u32) {
        self.ops.u8(number);
        self.ops.u8(0);
        self.ops.u16(key.len() as u16);
        self.ops.u32(value_len);
        self.ops.u32(value_len);
        self.ops.u32(vcrc as usize);
        self.ops.put(key);
    }

    fn body(&mut self, kind: &CommandKind, len: usize) {
        let start = self.values.at;
        match kind {
            CommandKind::OpenSession { version } => self.values.u64(version.0),
            CommandKind::Genesis {
                cluster,
                group,
                slots,
                epoch,
            } => {
                self.values.u128(cluster.0);
                self.values.u64(group.id.0);
                self.values.u32(group.generation.0 as usize);
                self.values.u32(slots.len());
                self.values.u64(epoch.0);
                for (first, last) in slots {
                    self.values.u16(*first);
                    self.values.u16(*last);
                }
            }
            CommandKind::KeepHistory { limits } => {
                let HistoryLimits { window_ms, bytes } = limits.unwrap_or(HistoryLimits {
                    window_ms: 0,
                    bytes: 0,
                });
                self.values.u64(window_ms);
                self.values.u64(bytes);
            }
            _ => {}
        }
        let vcrc = value_crc(&[], self.values.since(start));
        self.op_row(OP_BODY, &[], len, vcrc);
    }
}

fn kind_number(kind: &CommandKind) -> u8 {
    match kind {
        CommandKind::Write => KIND_WRITE,
        CommandKind::OpenSession { .. } => KIND_OPEN_SESSION,
        CommandKind::Genesis { .. } => KIND_GENESIS,
        CommandKind::Tick => KIND_TICK,
        CommandKind::CloseAt => KIND_CLOSE_AT,
        CommandKind::Prepare => KIND_PREPARE,
        CommandKind::Decide => KIND_DECIDE,
        CommandKind::Import => KIND_IMPORT,
        CommandKind::Seal => KIND_SEAL,
        CommandKind::Activate => KIND_ACTIVATE,
        CommandKind::Reject => KIND_REJECT,
        CommandKind::KeepHistory { .. } => KIND_KEEP_HISTORY,
    }
}
