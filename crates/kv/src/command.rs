//! Commands: what a client or the control plane asks of one group.

use atoll_types::{ClientId, ClusterId, Epoch, GroupKey, SlotId, Version};
use bytes::Bytes;

use crate::codec::{NUMBER_BYTES, RANGE_LIMIT_BYTES};
use crate::{HistoryLimits, PackedValue};

/// Makes a write safe to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRef {
    /// Whose session.
    pub client: ClientId,
    /// Counts the client's writes, over all groups, from 1.
    pub seq: u64,
    /// Every sequence number below this one is finished at the client.
    pub ack: u64,
}

/// One atomic request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// With a session a repeat is recognised; without one the command is applied every time it
    /// arrives. [`CommandKind::OpenSession`] reads the client id from here and ignores the numbers.
    pub session: Option<SessionRef>,
    /// The highest version the client has seen; this command gets a higher one.
    pub after: Version,
    /// What to do.
    pub kind: CommandKind,
    /// The slot of every key in it.
    pub slot: SlotId,
    /// What must hold for the operations to be done.
    pub guards: Vec<Guard>,
    /// What to change, all or nothing.
    pub ops: Vec<Op>,
}

/// The kinds of command. Those that are reserved have a number from the first version on, so that replicas
/// of this version answer [`atoll_types::Refusal::Unsupported`] instead of stopping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// Guards and operations on keys of one slot.
    Write,
    /// Opens a session for the client named in [`Command::session`].
    OpenSession {
        /// A version just read from this group. The same opening, repeated, repeats the same version:
        /// that is how one that was delayed past the session's expiry is told from a fresh one.
        version: Version,
    },
    /// Gives a new group its slots.
    Genesis {
        /// The cluster this group belongs to.
        cluster: ClusterId,
        /// The group and its incarnation.
        group: GroupKey,
        /// Runs of slots, first and last included, ascending.
        slots: Vec<(u16, u16)>,
        /// Epoch of their ownership.
        epoch: Epoch,
    },
    /// Only lets group time pass.
    Tick,
    /// Makes the group reach the version that the command is [`Command::after`], so that nothing it writes later is as low: then it
    /// can be read at. A group beyond it stays where it is.
    CloseAt,
    /// Reserved.
    Prepare,
    /// Reserved.
    Decide,
    /// Reserved.
    Import,
    /// Reserved.
    Seal,
    /// Reserved.
    Activate,
    /// Reserved.
    Reject,
    /// Says how much history is kept from this entry on.
    KeepHistory {
        /// `None`: none.
        limits: Option<HistoryLimits>,
    },
}

/// A condition on the state that the command finds, commands before it in the same entry included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The key's version is the expected one.
    Key {
        /// The key.
        key: Bytes,
        /// Its version; [`Version::ZERO`]: the key is absent.
        expected: Version,
    },
    /// No key in `[start, end)` has a version above `newest`. A range guard sees keys that exist; who
    /// must also notice a deletion guards the keys that were read.
    Range {
        /// First key of the range; empty: from the first key on.
        start: Bytes,
        /// End, not included; empty: no end.
        end: Bytes,
        /// The highest version allowed; [`Version::ZERO`]: the range is empty.
        newest: Version,
    },
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a key.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Sets a key to a value that is stored packed.
    PutPacked {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: PackedValue,
    },
    /// Removes a key; no error if there is none.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Adds to the number at a key; an absent key counts as 0.
    Increment {
        /// The key.
        key: Bytes,
        /// What is added.
        by: i64,
    },
    /// Puts bytes behind the value of a key; an absent key counts as empty.
    Append {
        /// The key.
        key: Bytes,
        /// What is put behind.
        suffix: Bytes,
    },
    /// Stores a number that is below the one at the key, or if the key is absent; else changes nothing.
    Min {
        /// The key.
        key: Bytes,
        /// The number.
        number: i64,
    },
    /// Stores a number that is above the one at the key, or if the key is absent; else changes nothing.
    Max {
        /// The key.
        key: Bytes,
        /// The number.
        number: i64,
    },
    /// Removes the first `limit` keys of `[start, end)`. That all keys in between belong to the command's
    /// slot is for the caller to check, as it is for single keys.
    DeleteRange {
        /// First key of the range.
        start: Bytes,
        /// End, not included; not empty.
        end: Bytes,
        /// How many keys, at most.
        limit: u32,
    },
}

impl Op {
    /// The key it changes; of a range the first one.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put { key, .. }
            | Self::PutPacked { key, .. }
            | Self::Delete { key }
            | Self::Increment { key, .. }
            | Self::Append { key, .. }
            | Self::Min { key, .. }
            | Self::Max { key, .. }
            | Self::DeleteRange { start: key, .. } => key,
        }
    }

    /// Bytes of what it says beside its key, as an entry holds it.
    pub(crate) fn value_len(&self) -> usize {
        match self {
            Self::Put { value, .. } | Self::Append { suffix: value, .. } => value.len(),
            Self::PutPacked { value, .. } => value.stored().len(),
            Self::Delete { .. } => 0,
            Self::Increment { .. } | Self::Min { .. } | Self::Max { .. } => NUMBER_BYTES,
            Self::DeleteRange { end, .. } => RANGE_LIMIT_BYTES + end.len(),
        }
    }

    /// How many keys of a range it may remove.
    pub(crate) fn removals_max(&self) -> usize {
        match self {
            Self::DeleteRange { limit, .. } => *limit as usize,
            _ => 0,
        }
    }
}

impl Guard {
    /// Bytes of its keys.
    pub(crate) fn key_bytes(&self) -> usize {
        match self {
            Self::Key { key, .. } => key.len(),
            Self::Range { start, end, .. } => start.len() + end.len(),
        }
    }
}

impl Command {
    /// A write without session and guards.
    pub fn write(slot: SlotId, ops: Vec<Op>) -> Self {
        Self {
            ops,
            ..Self::of_kind(CommandKind::Write, slot)
        }
    }

    /// True if it stores nothing but what it takes to remove: it names no value. Sessions count too, without which
    /// nobody removes anything.
    pub fn only_removes(&self) -> bool {
        let removes = |op: &Op| matches!(op, Op::Delete { .. } | Op::DeleteRange { .. });
        self.ops.iter().all(removes)
    }

    /// Has the values that it puts stored packed where `pack` makes something of key and value. What is appended stays as it is:
    /// a value in pieces is read as often as it has pieces.
    pub fn pack_values(&mut self, mut pack: impl FnMut(&[u8], &[u8]) -> Option<PackedValue>) {
        for op in &mut self.ops {
            if let Op::Put { key, value } = op
                && let Some(packed) = pack(key, value)
            {
                let (key, value) = (std::mem::take(key), packed);
                *op = Op::PutPacked { key, value };
            }
        }
    }

    /// Opens a session. `version` was just read from the group; see [`CommandKind::OpenSession`].
    pub fn open_session(client: ClientId, version: Version) -> Self {
        let session = Some(SessionRef {
            client,
            seq: 0,
            ack: 0,
        });
        Self {
            session,
            ..Self::of_kind(CommandKind::OpenSession { version }, SlotId(0))
        }
    }

    /// Gives a group its slots.
    pub fn genesis(cluster: ClusterId, group: GroupKey, slots: Vec<(u16, u16)>, epoch: Epoch) -> Self {
        Self::of_kind(
            CommandKind::Genesis {
                cluster,
                group,
                slots,
                epoch,
            },
            SlotId(0),
        )
    }

    /// How many keys its ranges may remove.
    pub fn removals_max(&self) -> usize {
        self.ops.iter().map(Op::removals_max).sum()
    }

    /// Lets group time pass.
    pub fn tick() -> Self {
        Self::of_kind(CommandKind::Tick, SlotId(0))
    }

    /// Makes the group reach a version.
    pub fn close_at(version: Version) -> Self {
        Self {
            after: version,
            ..Self::of_kind(CommandKind::CloseAt, SlotId(0))
        }
    }

    /// Says how much history is kept; `None`: none.
    pub fn keep_history(limits: Option<HistoryLimits>) -> Self {
        Self::of_kind(CommandKind::KeepHistory { limits }, SlotId(0))
    }

    /// A command of a kind, with nothing in it.
    pub fn of_kind(kind: CommandKind, slot: SlotId) -> Self {
        Self {
            session: None,
            after: Version::ZERO,
            kind,
            slot,
            guards: Vec::new(),
            ops: Vec::new(),
        }
    }
}
