//! Reads: what they ask, what is promised about them, and how they get it.
//!
//! Every read is answered from one snapshot: rows and ownership of one log index (D8). The levels differ
//! in which snapshot will do:
//! - *linearizable*: one taken after a read-index round that was sent after the read came. That is
//!   linearizable on any replica, also while slots move.
//! - *session*: one that has applied what the session has seen; if this one has not yet, the read
//!   waits for it ([`waits`]).
//! - *bounded*: one that is young enough by this replica's own clock ([`age`]), else as linearizable.
//! - *eventual*: the present one, with its age.
//! - *at a version*: any that has reached the version, whatever the level, because nothing that is written later changes it
//!   ([`past`]).
//!
//! [`serve`] sorts a batch by that and answers it. What the page cache does not hold, and pages too long
//! for a task that others wait behind, go to the node's bounded pool, with the same snapshot pinned, for a while ([`cold`]).

mod age;
mod batch;
mod cold;
mod page;
mod past;
mod serve;
mod slot_set;
mod waits;

use std::sync::Arc;

use atoll_env::Instant;
use atoll_types::{Epoch, GroupGen, SlotId, Version};
use bytes::Bytes;

use super::Shard;
use super::reply::{Delivery, Failure, RETRY_AFTER_MS, Reply};
pub(super) use age::Refresher;
pub(crate) use batch::ReadBatch;
#[cfg(test)]
pub(super) use cold::{LOOK_EVERY, PIN_MAX};
pub(super) use page::{ScanPage, Step};
#[cfg(test)]
pub(super) use serve::Stand;
pub(crate) use slot_set::SlotSet;
pub(super) use waits::Waits;
#[cfg(test)]
pub(super) use waits::{WAIT_MAX, WAITING_MAX};

/// What is promised about a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// Sees every write acknowledged before it.
    Linearizable,
    /// Sees what the session has seen of this group, if it has seen anything.
    Session(Option<Mark>),
    /// Sees every write acknowledged at least this long before it.
    Bounded { max_age_ms: u64 },
    /// Some committed state, at once.
    Eventual,
}

/// How much of a group somebody has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// Entries of different incarnations of a group cannot be compared.
    pub(crate) generation: GroupGen,
    pub(crate) applied_index: u64,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadOp {
    /// One key.
    Get { key: Bytes, slot: SlotId },
    /// Several keys of this group.
    MultiGet { keys: Vec<(Bytes, SlotId)> },
    /// A page of rows in key order. Boxed: point reads are many and small.
    Scan(Box<ScanOp>),
}

/// Which rows to scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanOp {
    /// `[start, end)`; an empty end has no bound.
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
    /// Rows of the page, at most.
    pub(crate) limit: usize,
    pub(crate) reverse: bool,
    pub(crate) what: ScanWhat,
    /// The slots that the caller takes the group to own; it must own all, and gives rows of these alone.
    /// `None`: of all it owns.
    pub(crate) slots: Option<Arc<SlotSet>>,
}

/// What of the rows is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ScanWhat {
    #[default]
    Rows,
    Keys,
    Count,
}

impl ReadOp {
    fn rows_max(&self) -> usize {
        match self {
            Self::Get { .. } => 1,
            Self::MultiGet { keys } => keys.len(),
            Self::Scan(scan) => scan.limit,
        }
    }
}

/// One read with the name its caller gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadItem {
    pub(crate) id: u64,
    /// Bytes it counts for while it is pending.
    pub(crate) cost: u32,
    /// Not started any more after this.
    pub(crate) deadline: Instant,
    pub(crate) consistency: Consistency,
    /// What to read as it was at this version, which is the same at every level; `None`: as it is.
    pub(crate) at: Option<Version>,
    /// The replica must know at least this epoch of the slots read.
    pub(crate) slot_epoch: Epoch,
    pub(crate) op: ReadOp,
}

impl ReadItem {
    /// Bytes the read counts for while it waits.
    pub(crate) fn cost_of(op: &ReadOp) -> u32 {
        let bytes = match op {
            ReadOp::Get { key, .. } => key.len(),
            ReadOp::MultiGet { keys } => keys.iter().map(|(key, _)| key.len()).sum(),
            ReadOp::Scan(scan) => {
                let slots = scan.slots.as_ref();
                scan.start.len() + scan.end.len() + slots.map_or(0, |slots| slots.memory_bytes())
            }
        };
        bytes as u32
    }

    fn answered(&self, reply: Reply) -> Delivery {
        Delivery {
            id: self.id,
            cost: self.cost,
            reply,
        }
    }
}
