//! What the simulator and tests look at from outside.

use atoll_raft::{Group, GroupStatus};
use atoll_types::{GroupKey, ReplicaId};

use crate::node::Node;

/// One replica on a node, as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// Its group; 0 is the control plane.
    pub group: GroupKey,
    /// Which replica of it.
    pub replica: ReplicaId,
    /// Term, leader, log and voters, as it knows them.
    pub status: GroupStatus,
}

/// All replicas of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeView {
    /// Those that run, or ran until they stopped for good.
    pub replicas: Vec<ReplicaView>,
    /// Groups whose log here is damaged: their replicas do not run.
    pub quarantined: Vec<GroupKey>,
    /// The damage, if there is any.
    pub damage: Option<String>,
}

impl Node {
    /// Looks at every replica here. Nothing before the node is part of a cluster.
    pub fn inspect(&self) -> NodeView {
        let Some(running) = self.running() else {
            return NodeView::default();
        };
        let view = |group: Group| ReplicaView {
            group: group.key(),
            replica: group.replica(),
            status: group.status(),
        };
        let journal = running.journal();
        NodeView {
            replicas: running.groups().into_iter().map(view).collect(),
            quarantined: journal.quarantined(),
            damage: journal.damage().map(str::to_owned),
        }
    }
}
