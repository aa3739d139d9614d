//! Errors, named by what the caller can do.

use std::io;

use atoll_types::ReplicaId;

/// A group could not be started or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaftError {
    /// The timing does not fit together.
    #[error("raft settings: {0}")]
    Config(String),
    /// The journal failed.
    #[error("journal: {0}")]
    Journal(#[from] io::Error),
    /// The group runs on this node already.
    #[error("the group runs already")]
    Running,
    /// Raft stopped or refused.
    #[error("raft: {0}")]
    Raft(String),
    /// The replica that was to lead does not want to, or does not say that it does. Nothing has changed.
    #[error("replica {0} does not take leadership over: {1}")]
    Unwilling(ReplicaId, String),
    /// A file of the replica could not be read or written; another try may succeed.
    #[error("storage: {0}")]
    Storage(String),
    /// What stands on this node's disk cannot be all that this replica acknowledged. It must not start.
    #[error("this replica's data is damaged: {0}")]
    Damaged(String),
}

/// Why a proposal has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another replica leads, or none. The proposal did not happen.
    #[error("this replica does not lead the group")]
    NotLeader {
        /// Who leads, if known.
        leader: Option<ReplicaId>,
    },
    /// Its deadline passed while it waited. It did not happen.
    #[error("the deadline passed before the command was proposed")]
    Deadline,
    /// It may have happened or may still happen.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The group is stopping. It did not happen.
    #[error("the group is stopping")]
    Stopped,
}

/// Why a read point could not be had. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader is known to ask.
    #[error("the group has no leader that this replica knows")]
    NotLeader {
        /// Who leads, if known.
        leader: Option<ReplicaId>,
    },
    /// The leader could not confirm itself or be reached.
    #[error("no quorum confirmed the leader: {0}")]
    Unavailable(String),
    /// The group is stopping.
    #[error("the group is stopping")]
    Stopped,
}
