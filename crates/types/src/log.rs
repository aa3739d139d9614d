//! Positions in a Raft log and votes, in the plain form that storage keeps.

use std::fmt;

use crate::ReplicaId;

/// Identifies one log entry: two entries with equal ids are the same entry. Ordered by term,
/// leader, index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Term in which the entry was proposed.
    pub term: u64,
    /// The leader that proposed it.
    pub leader: ReplicaId,
    /// Position in the log.
    pub index: u64,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", self.term, self.leader, self.index)
    }
}

/// A vote: for whom in which term, and whether a quorum granted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vote {
    /// Term voted in.
    pub term: u64,
    /// The candidate.
    pub candidate: ReplicaId,
    /// True once a quorum granted it, so that the candidate is the leader.
    pub committed: bool,
}
