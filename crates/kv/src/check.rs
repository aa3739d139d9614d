//! Bounds of a command, checked before it is proposed.

use atoll_types::limits::{
    BATCH_BYTES_MAX, BATCH_GUARDS_MAX, BATCH_OPS_MAX, KEY_BYTES_MAX, SLOTS, VALUE_BYTES_MAX,
};
use atoll_types::{Key, KeyError};

use crate::ownership::valid_runs;
use crate::{Command, CommandKind, Guard, HistoryLimits, Op, SessionRef};

/// Why a command is not proposed. The text is meant for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCommand {
    /// Neither operations nor guards.
    #[error("the write has no operation and no guard")]
    Empty,
    /// An operation's key is out of bounds.
    #[error("operation {op}: {error}")]
    Key {
        /// Position of the operation.
        op: usize,
        /// What is wrong with its key.
        error: KeyError,
    },
    /// A value is too long.
    #[error("operation {op}: the value has {len} bytes; at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLong {
        /// Position of the operation.
        op: usize,
        /// Bytes of its value.
        len: usize,
    },
    /// Two operations on one key have no order that a reader could rely on.
    #[error("operations {first} and {second} change the same key; a key may stand in a batch once")]
    DuplicateKey {
        /// Position of the first operation.
        first: usize,
        /// Position of the second.
        second: usize,
    },
    /// A range that is deleted ends before it starts.
    #[error("operation {op}: the range ends at or before its start")]
    OpRange {
        /// Position of the operation.
        op: usize,
    },
    /// A range is deleted without a limit.
    #[error("operation {op}: the limit of a range is 1 to {BATCH_OPS_MAX} keys, not {limit}")]
    RangeLimit {
        /// Position of the operation.
        op: usize,
        /// Its limit.
        limit: u32,
    },
    /// What is in a deleted range afterwards would depend on the order of operations.
    #[error("operation {op} changes keys of the range that operation {range} deletes; do them in two writes")]
    InDeletedRange {
        /// Position of the deletion.
        range: usize,
        /// Position of the other operation.
        op: usize,
    },
    /// Too many keys removed by ranges.
    #[error(
        "the ranges of the write may remove {0} keys; at most {BATCH_OPS_MAX} are allowed together, so give them \
         lower limits"
    )]
    TooManyRemovals(usize),
    /// Too many operations.
    #[error("the batch has {0} operations; at most {BATCH_OPS_MAX} are allowed")]
    TooManyOps(usize),
    /// Too many guards.
    #[error("the batch has {0} guards; at most {BATCH_GUARDS_MAX} are allowed")]
    TooManyGuards(usize),
    /// Too many bytes.
    #[error("keys and values of the batch have {0} bytes; at most {BATCH_BYTES_MAX} are allowed")]
    TooManyBytes(usize),
    /// A guard's key is out of bounds.
    #[error("guard {guard}: {error}")]
    GuardKey {
        /// Position of the guard.
        guard: usize,
        /// What is wrong with its key.
        error: KeyError,
    },
    /// A guard's range ends before it starts.
    #[error("guard {guard}: the range ends at or before its start")]
    GuardRange {
        /// Position of the guard.
        guard: usize,
    },
    /// Sequence numbers count from 1.
    #[error("the sequence number is 0; a session counts from 1")]
    SeqZero,
    /// A client cannot have finished what it is sending.
    #[error("the acknowledged sequence number {ack} is above the command's own {seq}")]
    AckAboveSeq {
        /// The command's sequence number.
        seq: u64,
        /// The acknowledgement.
        ack: u64,
    },
    /// No such slot.
    #[error("slot {0} does not exist; there are {SLOTS}")]
    NoSuchSlot(u16),
    /// A session is opened for nobody.
    #[error("a session is opened without a client id")]
    NoClient,
    /// Slots of a Genesis overlap, are out of order or do not exist.
    #[error("the slot runs of the genesis are not ascending runs of existing slots")]
    BadRuns,
    /// History of no length.
    #[error("history of no time, or of no bytes, cannot be kept")]
    NoHistory,
    /// Guards or operations on a kind that has none.
    #[error("only a write has operations and guards")]
    NotAWrite,
}

impl Command {
    /// Checks every bound. That all keys belong to [`Command::slot`] is for the caller to check, who
    /// knows how keys map to slots.
    pub fn check(&self) -> Result<(), InvalidCommand> {
        match &self.kind {
            CommandKind::Write => self.check_write(),
            _ if !self.ops.is_empty() || !self.guards.is_empty() => Err(InvalidCommand::NotAWrite),
            CommandKind::OpenSession { .. } if self.session.is_none() => Err(InvalidCommand::NoClient),
            CommandKind::Genesis { slots, .. } if !valid_runs(slots.iter().copied()) => {
                Err(InvalidCommand::BadRuns)
            }
            CommandKind::KeepHistory {
                limits: Some(HistoryLimits { window_ms, bytes }),
            } if *window_ms == 0 || *bytes == 0 => Err(InvalidCommand::NoHistory),
            _ => Ok(()),
        }
    }

    fn check_write(&self) -> Result<(), InvalidCommand> {
        if self.slot.0 >= SLOTS {
            return Err(InvalidCommand::NoSuchSlot(self.slot.0));
        }
        if self.ops.is_empty() && self.guards.is_empty() {
            return Err(InvalidCommand::Empty);
        }
        if self.ops.len() > BATCH_OPS_MAX {
            return Err(InvalidCommand::TooManyOps(self.ops.len()));
        }
        if self.guards.len() > BATCH_GUARDS_MAX {
            return Err(InvalidCommand::TooManyGuards(self.guards.len()));
        }
        self.session.iter().try_for_each(check_session)?;
        self.ops
            .iter()
            .enumerate()
            .try_for_each(|(at, op)| check_op(at, op))?;
        self.guards
            .iter()
            .enumerate()
            .try_for_each(|(at, guard)| check_guard(at, guard))?;
        let bytes = self.content_bytes();
        if bytes > BATCH_BYTES_MAX {
            return Err(InvalidCommand::TooManyBytes(bytes));
        }
        let removals = self.removals_max();
        if removals > BATCH_OPS_MAX {
            return Err(InvalidCommand::TooManyRemovals(removals));
        }
        check_distinct(&self.ops)
    }

    /// Bytes of keys and values, guards included: they take the same room in an entry.
    fn content_bytes(&self) -> usize {
        let ops: usize = self.ops.iter().map(|op| op.key().len() + op.value_len()).sum();
        let guards: usize = self.guards.iter().map(Guard::key_bytes).sum();
        ops + guards
    }
}

fn check_session(session: &SessionRef) -> Result<(), InvalidCommand> {
    let SessionRef { seq, ack, .. } = *session;
    match seq {
        0 => Err(InvalidCommand::SeqZero),
        _ if ack > seq => Err(InvalidCommand::AckAboveSeq { seq, ack }),
        _ => Ok(()),
    }
}

fn check_op(op: usize, change: &Op) -> Result<(), InvalidCommand> {
    Key::check(change.key()).map_err(|error| InvalidCommand::Key { op, error })?;
    if let Op::DeleteRange { start, end, limit } = change {
        return check_range(op, (start, end), *limit);
    }
    let len = change.value_len();
    if len > VALUE_BYTES_MAX {
        return Err(InvalidCommand::ValueTooLong { op, len });
    }
    Ok(())
}

fn check_guard(guard: usize, condition: &Guard) -> Result<(), InvalidCommand> {
    match condition {
        Guard::Key { key, .. } => Key::check(key).map_err(|error| InvalidCommand::GuardKey { guard, error }),
        Guard::Range { start, end, .. } => {
            let longest = start.len().max(end.len());
            if longest > KEY_BYTES_MAX {
                return Err(InvalidCommand::GuardKey {
                    guard,
                    error: KeyError::TooLong(longest),
                });
            }
            if !end.is_empty() && end <= start {
                return Err(InvalidCommand::GuardRange { guard });
            }
            Ok(())
        }
    }
}

fn check_range(op: usize, (start, end): (&[u8], &[u8]), limit: u32) -> Result<(), InvalidCommand> {
    Key::check(end).map_err(|error| InvalidCommand::Key { op, error })?;
    if end <= start {
        return Err(InvalidCommand::OpRange { op });
    }
    if limit == 0 || limit as usize > BATCH_OPS_MAX {
        return Err(InvalidCommand::RangeLimit { op, limit });
    }
    Ok(())
}

/// The keys an operation changes: one, or all up to an end.
struct Extent<'a> {
    start: &'a [u8],
    end: Option<&'a [u8]>,
    op: usize,
}

impl<'a> Extent<'a> {
    fn of(op: usize, change: &'a Op) -> Self {
        let end = match change {
            Op::DeleteRange { end, .. } => Some(&end[..]),
            _ => None,
        };
        Self {
            start: change.key(),
            end,
            op,
        }
    }

    /// What is wrong if `later`, which starts no earlier, changes a key that this one changes too.
    fn meets(&self, later: &Self) -> Option<InvalidCommand> {
        let (first, second) = (self.op.min(later.op), self.op.max(later.op));
        match (self.end, later.end) {
            (Some(end), _) if later.start < end => Some(InvalidCommand::InDeletedRange {
                range: self.op,
                op: later.op,
            }),
            (None, Some(_)) if self.start == later.start => Some(InvalidCommand::InDeletedRange {
                range: later.op,
                op: self.op,
            }),
            (None, None) if self.start == later.start => Some(InvalidCommand::DuplicateKey { first, second }),
            _ => None,
        }
    }
}

/// Distinct operations on neighbours in key order are distinct altogether: what a range meets beyond its
/// neighbour, it meets at its neighbour first.
fn check_distinct(ops: &[Op]) -> Result<(), InvalidCommand> {
    if ops.len() < 2 {
        return Ok(());
    }
    let mut extents: Vec<Extent<'_>> = (0..).zip(ops).map(|(at, op)| Extent::of(at, op)).collect();
    extents.sort_unstable_by_key(|extent| (extent.start, extent.op));
    let mut pairs = extents.iter().zip(extents.iter().skip(1));
    match pairs.find_map(|(before, after)| before.meets(after)) {
        Some(wrong) => Err(wrong),
        None => Ok(()),
    }
}
