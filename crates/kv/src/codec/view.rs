//! A checked entry, read in place.

use std::iter;

use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, GroupKey, SlotId, Version};

use super::EntryHeader;
use super::layout::{
    CODEC_VERSION, COMMAND_ROW_BYTES, ENTRY_HEADER_BYTES, GENESIS_BYTES, KIND_CLOSE_AT, KIND_GENESIS,
    KIND_KEEP_HISTORY, KIND_OPEN_SESSION, KIND_REJECT, KIND_TICK, KIND_WRITE, OP_BODY, OP_DELETE, OP_PUT,
    PAYLOAD_COMMANDS, RUN_BYTES,
};
use super::op::OpView;
use super::rows::{CommandRow, GuardRow, OpRow, Reader, malformed};
use crate::{DecodeError, HistoryLimits, SessionRef, ValueSlice};

/// An entry whose every position, length and number was checked.
#[derive(Clone, Copy)]
pub struct EntryView<'a> {
    header: EntryHeader,
    count: u32,
    rows: &'a [u8],
    guards: &'a [u8],
    ops: &'a [u8],
    values: &'a [u8],
    /// Where the value area begins in the payload.
    values_start: usize,
    /// Some op does more than put or delete a key.
    computes: bool,
}

/// One command of an entry.
#[derive(Clone, Copy)]
pub struct CommandView<'a> {
    entry: EntryView<'a>,
    row: CommandRow,
    kind: KindView<'a>,
}

/// The kind of a command, with what it says.
#[derive(Clone, Copy)]
pub enum KindView<'a> {
    /// Guards and ops.
    Write,
    /// Opens a session.
    OpenSession {
        /// The version the opener read.
        version: Version,
    },
    /// Gives a group its slots.
    Genesis(GenesisView<'a>),
    /// Lets time pass.
    Tick,
    /// Makes the group reach the version that the command is `after`.
    CloseAt,
    /// Says how much history is kept; `None`: none.
    KeepHistory(Option<HistoryLimits>),
    /// Known by number only, or unknown and allowed to be skipped.
    Reserved(u8),
}

/// A genesis.
#[derive(Clone, Copy)]
pub struct GenesisView<'a> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The group and its incarnation.
    pub group: GroupKey,
    /// Epoch of the ownership.
    pub epoch: Epoch,
    runs: &'a [u8],
}

/// A guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardView<'a> {
    /// On one key.
    Key {
        /// The key.
        key: &'a [u8],
        /// Its expected version; zero: absent.
        expected: Version,
    },
    /// On a range.
    Range {
        /// First key.
        start: &'a [u8],
        /// End, not included; empty: none.
        end: &'a [u8],
        /// The highest version allowed.
        newest: Version,
    },
}

/// Where the next command's guards, ops and values must begin, and how many rows came before.
#[derive(Default)]
struct Walk {
    guards_at: usize,
    guards: u32,
    ops_at: usize,
    ops: u32,
    values_at: usize,
    computes: bool,
}

impl<'a> EntryView<'a> {
    /// Checks all of `payload`.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut head = Reader::new(payload, 0);
        let (kind, version, reserved) = (head.u8()?, head.u8()?, head.u16()?);
        if kind != PAYLOAD_COMMANDS {
            return Err(DecodeError::UnknownKind(kind));
        }
        if version != CODEC_VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        if reserved != 0 {
            return Err(DecodeError::Unknown {
                what: "header flags",
                value: reserved as u8,
                at: 2,
            });
        }
        let elapsed_ms = head.u32()?;
        let header = EntryHeader {
            stamp: Version(head.u64()?),
            elapsed_ms,
        };
        let (count, guard_count, guard_bytes) = (head.u32()?, head.u32()?, head.u32()?);
        let (op_count, op_bytes, value_bytes) = (head.u32()?, head.u32()?, head.u32()?);
        debug_assert_eq!(head.at(), ENTRY_HEADER_BYTES);
        let rows = head.bytes((count as usize).saturating_mul(COMMAND_ROW_BYTES))?;
        let guards = head.bytes(guard_bytes as usize)?;
        let ops = head.bytes(op_bytes as usize)?;
        let values_start = head.at();
        let values = head.bytes(value_bytes as usize)?;
        if head.at() != payload.len() || u32::try_from(payload.len()).is_err() {
            return malformed("the entry is longer than its parts", head.at());
        }
        let entry = Self {
            header,
            count,
            rows,
            guards,
            ops,
            values,
            values_start,
            computes: false,
        };
        let end = entry.walk()?;
        let entry = Self {
            computes: end.computes,
            ..entry
        };
        let counted = end.guards == guard_count && end.ops == op_count;
        let ended = (end.guards_at, end.ops_at, end.values_at) == (guards.len(), ops.len(), values.len());
        if counted && ended {
            Ok(entry)
        } else {
            malformed("the commands do not fill the tables", 0)
        }
    }

    /// What the leader added.
    pub fn header(&self) -> EntryHeader {
        self.header
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether any command has guards.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.guards.is_empty()
    }

    /// False if all commands certainly do no more than put and delete keys.
    pub(crate) fn computes(&self) -> bool {
        self.computes
    }

    /// The commands in order.
    pub fn commands(&self) -> impl Iterator<Item = CommandView<'a>> + use<'a> {
        let entry = *self;
        (0..entry.count).map_while(move |position| entry.command(position).ok())
    }

    fn command(&self, position: u32) -> Result<CommandView<'a>, DecodeError> {
        let row = CommandRow::read(self.rows, position as usize)?;
        let kind = self.kind(position, &row)?;
        Ok(CommandView {
            entry: *self,
            row,
            kind,
        })
    }

    fn kind(&self, position: u32, row: &CommandRow) -> Result<KindView<'a>, DecodeError> {
        match row.kind {
            KIND_WRITE => Ok(KindView::Write),
            KIND_TICK => Ok(KindView::Tick),
            KIND_CLOSE_AT => Ok(KindView::CloseAt),
            KIND_KEEP_HISTORY => self.history_limits(row).map(KindView::KeepHistory),
            KIND_OPEN_SESSION => {
                let mut body = Reader::new(self.body(row)?, 0);
                let version = Version(body.u64()?);
                body.end()?;
                Ok(KindView::OpenSession { version })
            }
            KIND_GENESIS => GenesisView::parse(self.body(row)?).map(KindView::Genesis),
            kind if kind <= KIND_REJECT || row.skippable => Ok(KindView::Reserved(kind)),
            kind => Err(DecodeError::UnknownCommand {
                command: position,
                kind,
            }),
        }
    }

    fn history_limits(&self, row: &CommandRow) -> Result<Option<HistoryLimits>, DecodeError> {
        let mut body = Reader::new(self.body(row)?, 0);
        let (window_ms, bytes) = (body.u64()?, body.u64()?);
        body.end()?;
        match (window_ms, bytes) {
            (0, 0) => Ok(None),
            (0, _) | (_, 0) => malformed("history of no length is kept", row.values_at as usize),
            _ => Ok(Some(HistoryLimits { window_ms, bytes })),
        }
    }

    /// The value of a command's only op, which must be a body.
    fn body(&self, row: &CommandRow) -> Result<&'a [u8], DecodeError> {
        let op = OpRow::read(self.ops, row.ops_at as usize)?;
        if row.op_count != 1 || op.op != OP_BODY {
            return malformed("a command without its body", row.ops_at as usize);
        }
        Reader::new(self.values, row.values_at as usize).bytes(op.stored_len as usize)
    }

    fn walk(&self) -> Result<Walk, DecodeError> {
        let mut walk = Walk::default();
        for position in 0..self.count {
            let command = self.command(position)?;
            let row = &command.row;
            let starts = (
                row.guards_at as usize,
                row.ops_at as usize,
                row.values_at as usize,
            );
            if starts != (walk.guards_at, walk.ops_at, walk.values_at) {
                return malformed(
                    "a command does not begin where the one before ends",
                    position as usize,
                );
            }
            if row.kind == KIND_OPEN_SESSION && row.session.is_none() {
                return malformed("a session is opened for nobody", position as usize);
            }
            self.walk_guards(row, &mut walk)?;
            self.walk_ops(row, &mut walk)?;
        }
        Ok(walk)
    }

    fn walk_guards(&self, row: &CommandRow, walk: &mut Walk) -> Result<(), DecodeError> {
        // Each row takes bytes, so a wild count runs into the end of the table.
        for _ in 0..row.guard_count {
            walk.guards_at = GuardRow::read(self.guards, walk.guards_at)?.next;
            walk.guards += 1;
        }
        Ok(())
    }

    fn walk_ops(&self, row: &CommandRow, walk: &mut Walk) -> Result<(), DecodeError> {
        for _ in 0..row.op_count {
            let op = OpRow::read(self.ops, walk.ops_at)?;
            if row.kind == KIND_WRITE && op.op == OP_BODY {
                return malformed("a write with a body", walk.ops_at);
            }
            let mut values = Reader::new(self.values, walk.values_at);
            values.bytes(op.stored_len as usize)?;
            walk.values_at = values.at();
            walk.computes |= !matches!(op.op, OP_PUT | OP_DELETE | OP_BODY);
            walk.ops_at = op.next;
            walk.ops += 1;
        }
        Ok(())
    }
}

impl<'a> CommandView<'a> {
    /// The session it belongs to.
    pub fn session(&self) -> Option<SessionRef> {
        self.row.session
    }

    /// The highest version its client had seen.
    pub fn after(&self) -> Version {
        self.row.after
    }

    /// Its slot; not checked to exist.
    pub fn slot(&self) -> SlotId {
        self.row.slot
    }

    /// Its kind.
    pub fn kind(&self) -> KindView<'a> {
        self.kind
    }

    /// False if it certainly does no more than put and delete keys.
    pub(crate) fn may_compute(&self) -> bool {
        self.entry.computes
    }

    /// Its guards in order.
    pub fn guards(&self) -> impl Iterator<Item = GuardView<'a>> + use<'a> {
        let table = self.entry.guards;
        let mut at = self.row.guards_at as usize;
        let rows = iter::from_fn(move || {
            let row = GuardRow::read(table, at).ok()?;
            at = row.next;
            Some(row)
        });
        rows.take(self.row.guard_count as usize).map(|row| row.view())
    }

    /// Its ops in order; none unless it is a write.
    pub fn ops(&self) -> impl Iterator<Item = OpView<'a>> + use<'a> {
        let entry = self.entry;
        let mut ops_at = self.row.ops_at as usize;
        let mut values_at = self.row.values_at as usize;
        let count = if matches!(self.kind, KindView::Write) {
            self.row.op_count
        } else {
            0
        };
        let ops = iter::from_fn(move || {
            let row = OpRow::read(entry.ops, ops_at).ok()?;
            let bytes = Reader::new(entry.values, values_at)
                .bytes(row.stored_len as usize)
                .ok()?;
            let offset_in_payload = (entry.values_start + values_at) as u32;
            ops_at = row.next;
            values_at += bytes.len();
            let value = ValueSlice {
                offset_in_payload,
                bytes,
                codec: row.codec,
                len: row.raw_len,
                vcrc: row.vcrc,
            };
            OpView::of(&row, value)
        });
        ops.take(count as usize)
    }
}

impl<'a> GenesisView<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Reader::new(body, 0);
        let cluster = ClusterId(fields.u128()?);
        let id = GroupId(fields.u64()?);
        let generation = GroupGen(fields.u32()?);
        let count = fields.u32()? as usize;
        let epoch = Epoch(fields.u64()?);
        debug_assert_eq!(fields.at(), GENESIS_BYTES);
        let runs = fields.bytes(count.saturating_mul(RUN_BYTES))?;
        fields.end()?;
        Ok(Self {
            cluster,
            group: GroupKey::new(id, generation),
            epoch,
            runs,
        })
    }

    /// Runs of slots, first and last included; not checked to be ascending.
    pub fn runs(&self) -> impl Iterator<Item = (u16, u16)> + use<'a> {
        let mut runs = Reader::new(self.runs, 0);
        iter::from_fn(move || Some((runs.u16().ok()?, runs.u16().ok()?)))
    }
}
