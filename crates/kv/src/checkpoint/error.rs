//! Why a machine cannot be made from system rows.

use atoll_types::{ClusterId, GroupKey};

use crate::SessionLimits;

/// The rows are not a checkpoint of this group that this version understands. No machine is made of a part of them:
/// the replica must be given the state by another one, or be stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A value's sum does not match, or its fields are not what the format says.
    #[error("the system row of the {row} is damaged: {what}")]
    Damaged {
        /// Which row.
        row: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Written by a later version.
    #[error("the system row of the {row} has format version {version}, which is unknown to this version")]
    UnknownVersion {
        /// Which row.
        row: &'static str,
        /// Its format version.
        version: u8,
    },
    /// Written by a later version, or no key of a system row at all.
    #[error("a system row of kind {kind} at slot {slot} is unknown to this version")]
    UnknownKind {
        /// The slot.
        slot: u16,
        /// The kind.
        kind: u8,
    },
    /// Bytes that are not the key of a system row.
    #[error("a key of {0} bytes is none of a system row")]
    NoKey(usize),
    /// A row twice, or rows not in the order of their keys.
    #[error("system rows are not in ascending order of their keys")]
    Order,
    /// The group's own row is not there, or not first.
    #[error("the system row of the group is missing")]
    NoGroup,
    /// A checkpoint of another cluster.
    #[error("the checkpoint is of cluster {found}, this node of {expected}")]
    OtherCluster {
        /// The checkpoint's cluster.
        found: ClusterId,
        /// This node's cluster.
        expected: ClusterId,
    },
    /// A checkpoint of another group or of another incarnation of it.
    #[error("the checkpoint is of group {found}, this replica of {expected}")]
    OtherGroup {
        /// The checkpoint's group.
        found: GroupKey,
        /// This replica's group.
        expected: GroupKey,
    },
    /// Other limits would let other sessions expire.
    #[error(
        "the checkpoint was made with sessions of {} ms, at most {}, this program has {} ms and {}",
        found.ttl_ms, found.max, expected.ttl_ms, expected.max
    )]
    OtherLimits {
        /// The checkpoint's limits.
        found: SessionLimits,
        /// This program's limits.
        expected: SessionLimits,
    },
    /// There is another number of sessions than the group's row says.
    #[error("the checkpoint has {found} sessions or more, but the group {expected}")]
    SessionCount {
        /// Sessions found before this was noticed.
        found: usize,
        /// Sessions that the group's row counts.
        expected: usize,
    },
    /// Rows that are right by themselves are not of one state.
    #[error("system rows contradict each other: {0}")]
    Contradiction(&'static str),
}
