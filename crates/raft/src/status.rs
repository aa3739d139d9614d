//! What a replica knows of its group.

use atoll_types::ReplicaId;

use crate::types::{RaftLogId, TypeConfig};

/// What a replica knows of its group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupStatus {
    /// The term.
    pub term: u64,
    /// Who leads, as far as this replica knows.
    pub leader: Option<ReplicaId>,
    /// True if it is this replica. It may have been deposed without knowing: ask the read gate.
    pub is_leader: bool,
    /// Last entry of the local log.
    pub last_index: u64,
    /// Last entry known to be committed.
    pub committed_index: u64,
    /// Last entry applied here.
    pub applied_index: u64,
    /// The voters.
    pub voters: Vec<ReplicaId>,
    /// How far each follower's log is known to match, on the leader.
    pub matched: Vec<(ReplicaId, u64)>,
    /// Followers that wait for a snapshot of this replica, are being sent one, or come up from one with entries that another
    /// leader may not have any more. Handing leadership over may have all of that done again.
    pub snapshots_sent: usize,
    /// Followers that need a snapshot of this replica, and why the last try to send it failed.
    pub snapshot_troubles: Vec<(ReplicaId, String)>,
    /// Why this replica last gave its leadership up by itself; `None`: it never did since it started.
    pub gave_up: Option<String>,
    /// False once the replica has stopped for good.
    pub running: bool,
}

impl GroupStatus {
    /// What openraft says, and nothing else.
    pub(crate) fn of(metrics: &openraft::RaftMetrics<TypeConfig>) -> Self {
        let leader = metrics.current_leader.map(ReplicaId);
        let index = |id: &Option<RaftLogId>| id.as_ref().map_or(0, |id| id.index);
        let replication = metrics.replication.iter().flatten();
        Self {
            term: metrics.current_term,
            leader,
            is_leader: leader == Some(ReplicaId(metrics.id)),
            last_index: metrics.last_log_index.unwrap_or(0),
            committed_index: index(&metrics.local_committed),
            voters: metrics
                .membership_config
                .membership()
                .voter_ids()
                .map(ReplicaId)
                .collect(),
            matched: replication
                .map(|(replica, id)| (ReplicaId(*replica), index(id)))
                .collect(),
            running: metrics.running_state.is_ok(),
            ..Self::default()
        }
    }
}
