//! Commands: what a client or the control plane asks of one group.

use atoll_types::{ClientId, ClusterId, Epoch, GroupKey, SlotId, Version};
use bytes::Bytes;

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

/// The kinds of command. The last seven have a number from the first version on, so that replicas
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
    /// Reserved.
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
    /// Removes a key; no error if there is none.
    Delete {
        /// The key.
        key: Bytes,
    },
}

impl Op {
    /// The key it changes.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// The value it sets; empty for a deletion.
    pub fn value(&self) -> &[u8] {
        match self {
            Self::Put { value, .. } => value,
            Self::Delete { .. } => &[],
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

    /// Lets group time pass.
    pub fn tick() -> Self {
        Self::of_kind(CommandKind::Tick, SlotId(0))
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
