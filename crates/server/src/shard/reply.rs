//! Answers, in plain types: `rpc` turns them into messages.
//!
//! Every operation gets exactly one reply. A write carries its [`ReplySlot`] with it wherever it is
//! queued; a slot that is dropped, because a queue was, answers by itself.

use std::sync::Arc;

use atoll_types::{Epoch, GroupId, GroupKey, Misfit, Outcome, Refusal, ReplicaId, SlotId, Version};
use bytes::Bytes;

use atoll_raft::{ProposeError, ReadError};

/// Which replica answered, from what state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) group: GroupKey,
    pub(crate) replica: ReplicaId,
    pub(crate) applied_index: u64,
    pub(crate) slot_epoch: Epoch,
    /// Milliseconds the state may be old, at most; `u64::MAX` when that is not known.
    pub(crate) age_ms: u64,
    /// The highest version the group had given out in that state.
    pub(crate) version: Version,
}

/// One row of a multi-get or scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Bytes,
    /// `None`: there is no such key.
    pub(crate) found: Option<(Version, Bytes)>,
}

/// What became of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Applied, at this version; `number` if exactly one operation computes something.
    Written {
        version: Version,
        number: Option<i64>,
        proof: Proof,
    },
    /// A guard did not hold; nothing was changed.
    GuardFailed {
        guard: u16,
        actual: Option<Version>,
        proof: Proof,
    },
    /// An operation does not fit what is stored; nothing was changed.
    Misfit { op: u16, misfit: Misfit, proof: Proof },
    /// The session is open.
    SessionOpened { version: Version, proof: Proof },
    /// The value of one key, or its absence.
    Value {
        found: Option<(Version, Bytes)>,
        proof: Proof,
    },
    /// One row per key asked, without the last `unread` ones.
    Values {
        rows: Vec<Row>,
        unread: u32,
        proof: Proof,
    },
    /// A page of rows.
    Page {
        rows: Vec<Row>,
        more: bool,
        proof: Proof,
    },
    /// How many rows a page would have.
    Counted {
        count: u64,
        /// The last key looked at, to go on after; empty: none was.
        last_key: Bytes,
        more: bool,
        proof: Proof,
    },
    /// It failed.
    Failed(Failure),
}

/// Why an operation failed. All but `Unknown` and `SessionExpired` mean that it did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// This replica does not lead the group.
    #[error("this replica does not lead group {}", group.id)]
    NotLeader {
        group: GroupKey,
        leader: Option<ReplicaId>,
    },
    /// The group does not own the slot, or not yet in the epoch asked for.
    #[error("group {} does not own slot {slot} (epoch known here: {epoch})", group.id)]
    NotOwner {
        group: GroupKey,
        slot: SlotId,
        epoch: Epoch,
    },
    /// No replica of the group is on this node.
    #[error("group {group} has no replica on this node")]
    NotHere { group: GroupId },
    /// No room.
    #[error("overloaded: {what}; retry after {retry_after_ms} ms")]
    Overloaded { what: &'static str, retry_after_ms: u64 },
    /// The node's files may not grow by client writes any more.
    #[error(
        "the disk quota of this node is used up: {used_bytes} of {quota_bytes} bytes, the last of them in reserve"
    )]
    DiskQuota { used_bytes: u64, quota_bytes: u64 },
    /// The node's disk has too little room for client writes.
    #[error(
        "the disk of this node is almost full: {free_bytes} bytes are free, writes need {needed_bytes}; removals are taken longer"
    )]
    DiskFull { free_bytes: u64, needed_bytes: u64 },
    /// Bad input.
    #[error("{0}")]
    Invalid(String),
    /// The session is unknown or expired.
    #[error("the session is unknown or expired: whether an earlier sending was applied cannot be told")]
    SessionExpired,
    /// The sequence number is below what the client acknowledged.
    #[error("the sequence number is below the session's ack: this write was finished before")]
    Stale,
    /// It may or may not have happened.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The deadline passed before anything was done.
    #[error("the deadline passed before the operation was started")]
    Deadline,
    /// Not possible now.
    #[error("{0}")]
    Unavailable(String),
    /// What is to be read is older than what is kept.
    #[error("{}", compacted(*group, *asked, *oldest, *kept))]
    Compacted {
        group: GroupKey,
        asked: Version,
        /// The lowest version that can be read at.
        oldest: Version,
        /// The group keeps history.
        kept: bool,
    },
    /// Stored bytes do not match their checksum.
    #[error("{0}")]
    Corrupt(String),
    /// A bug.
    #[error("{0}")]
    Internal(String),
    /// There is no such feature yet.
    #[error("{0}")]
    Unsupported(&'static str),
}

/// Milliseconds after which a shed operation is worth another try: several entries fit into it.
pub(crate) const RETRY_AFTER_MS: u64 = 50;

/// As [`RETRY_AFTER_MS`], for a full disk: another node may lead by then.
pub(crate) const RETRY_FULL_DISK_MS: u64 = 1000;

fn compacted(group: GroupKey, asked: Version, oldest: Version, kept: bool) -> String {
    let group = group.id;
    if kept {
        return format!(
            "version {asked} is not kept any more by group {group}; the oldest that can be read is {oldest}"
        );
    }
    format!(
        "group {group} keeps no history: it can be read at its last version, {oldest}, and not at {asked}; start its nodes with --history-s to have it keep some from then on"
    )
}

impl Failure {
    /// A failure of proposing, with exactly the certainty the proposer has.
    pub(crate) fn of_propose(group: GroupKey, error: &ProposeError) -> Self {
        match error {
            ProposeError::NotLeader { leader } => Self::NotLeader {
                group,
                leader: *leader,
            },
            ProposeError::Deadline => Self::Deadline,
            ProposeError::Unknown(reason) => Self::Unknown(reason.clone()),
            ProposeError::Stopped => Self::Unavailable(format!("group {} is stopping", group.id)),
        }
    }

    /// A failure of the read index.
    pub(crate) fn of_read(group: GroupKey, error: &ReadError) -> Self {
        match error {
            ReadError::NotLeader { leader } => Self::NotLeader {
                group,
                leader: *leader,
            },
            ReadError::Unavailable(reason) => Self::Unavailable(reason.clone()),
            ReadError::Stopped => Self::Unavailable(format!("group {} is stopping", group.id)),
        }
    }

    fn of_refusal(group: GroupKey, refusal: Refusal) -> Self {
        match refusal {
            // Whoever is told so knows that the opening did nothing, and needs a new client id.
            Refusal::SessionExpired | Refusal::BelowHorizon => Self::SessionExpired,
            Refusal::Stale => Self::Stale,
            Refusal::TooManyOpen => Self::Overloaded {
                what: "the session has too many unacknowledged writes",
                retry_after_ms: RETRY_AFTER_MS,
            },
            Refusal::NotOwner { slot, epoch } => Self::NotOwner { group, slot, epoch },
            Refusal::NoGenesis => {
                Self::Unavailable(format!("group {} has not been given its slots yet", group.id))
            }
            Refusal::Unsupported => Self::Unsupported("this kind of command has no meaning here yet"),
        }
    }
}

impl Reply {
    /// The reply to a command that was applied.
    pub(crate) fn of_outcome(outcome: &Outcome, opens_session: bool, proof: Proof) -> Self {
        match *outcome {
            Outcome::Done { version } if opens_session => Self::SessionOpened { version, proof },
            Outcome::Done { version } => Self::Written {
                version,
                number: None,
                proof,
            },
            Outcome::Computed { version, number } => Self::Written {
                version,
                number: Some(number),
                proof,
            },
            Outcome::Misfit { op, misfit } => Self::Misfit { op, misfit, proof },
            Outcome::GuardFailed { guard, actual } => Self::GuardFailed { guard, actual, proof },
            Outcome::Refused(refusal) => Self::Failed(Failure::of_refusal(proof.group, refusal)),
        }
    }

    /// Bytes of the keys and values in it.
    pub(super) fn row_bytes(&self) -> usize {
        match self {
            Self::Value { found, .. } => found.as_ref().map_or(0, |(_, value)| value.len()),
            Self::Values { rows, .. } | Self::Page { rows, .. } => rows.iter().map(Row::bytes).sum(),
            _ => 0,
        }
    }
}

impl Row {
    fn bytes(&self) -> usize {
        self.key.len() + self.found.as_ref().map_or(0, |(_, value)| value.len())
    }
}

/// A reply on its way to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The caller's name for the operation.
    pub(crate) id: u64,
    /// Bytes the operation counted for while it was pending.
    pub(crate) cost: u32,
    /// What became of it.
    pub(crate) reply: Reply,
}

/// Takes replies: a pipe, or one waiting unary call.
pub(crate) trait Replies: Send + Sync + 'static {
    /// Takes the replies out of `batch`; called once per batch, so that a lock is taken and a task is
    /// woken once per batch too. Never blocks.
    fn deliver(&self, batch: &mut Vec<Delivery>);
}

/// The one reply a write is owed.
pub(crate) struct ReplySlot {
    to: Option<Arc<dyn Replies>>,
    id: u64,
    cost: u32,
    proposed: bool,
}

impl ReplySlot {
    /// A slot for operation `id` of `to`.
    pub(crate) fn new(to: Arc<dyn Replies>, id: u64) -> Self {
        Self {
            to: Some(to),
            id,
            cost: 0,
            proposed: false,
        }
    }

    /// Counts the operation for so many bytes while it is pending.
    pub(crate) fn costing(mut self, bytes: usize) -> Self {
        self.cost = bytes as u32;
        self
    }

    /// A slot nobody looks at.
    pub(crate) fn ignored() -> Self {
        Self {
            to: None,
            id: 0,
            cost: 0,
            proposed: false,
        }
    }

    /// Says whether the write was handed to the proposer: from then on losing it means not knowing.
    pub(crate) fn set_proposed(&mut self, proposed: bool) {
        self.proposed = proposed;
    }

    fn on_drop(&self) -> Failure {
        if self.proposed {
            Failure::Unknown("the write was lost on its way through this node; it may have happened".into())
        } else {
            Failure::Unavailable("the write was dropped before it was proposed".into())
        }
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            let reply = Reply::Failed(self.on_drop());
            to.deliver(&mut vec![Delivery {
                id: self.id,
                cost: self.cost,
                reply,
            }]);
        }
    }
}

/// Answers many slots: consecutive ones of one receiver are delivered together.
pub(crate) fn answer_all(slots: impl Iterator<Item = (ReplySlot, Reply)>) {
    let mut batch: Vec<Delivery> = Vec::new();
    let mut current: Option<Arc<dyn Replies>> = None;
    for (mut slot, reply) in slots {
        let Some(to) = slot.to.take() else { continue };
        let delivery = Delivery {
            id: slot.id,
            cost: slot.cost,
            reply,
        };
        match &current {
            Some(same) if Arc::ptr_eq(same, &to) => {}
            _ => {
                if let Some(other) = current.replace(to) {
                    other.deliver(&mut batch);
                    batch.clear();
                }
            }
        }
        batch.push(delivery);
    }
    if let Some(last) = current {
        last.deliver(&mut batch);
    }
}
