//! The newest shard map this node knows, and where nodes are.

use std::sync::Arc;

use atoll_env::watch;
use atoll_placement::ShardMap;
use atoll_types::{ClusterId, GroupId, NodeId, ReplicaId};

use crate::identity::{Claim, Ident};
use crate::membership::Membership;

/// What routing needs. The map only ever gets newer; replaying group 0's log after a restart does not
/// bring old maps back.
pub(crate) struct Directory {
    ident: Ident,
    /// Nodes of group 0, known to the initial nodes before any map is; empty on a node that joined.
    control: Vec<NodeId>,
    map: watch::Sender<Arc<ShardMap>>,
    membership: Arc<Membership>,
}

impl Directory {
    /// Without a map yet (epoch 0).
    pub(crate) fn new(ident: Ident, membership: Arc<Membership>) -> Self {
        let control = membership
            .initial_set()
            .as_ref()
            .map_or_else(Vec::new, Claim::control_nodes);
        Self {
            ident,
            control,
            map: watch::Sender::new(Arc::default()),
            membership,
        }
    }

    /// The newest map; epoch 0 before there is one.
    pub(crate) fn map(&self) -> Arc<ShardMap> {
        self.map.borrow().clone()
    }

    /// Follows the map.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<ShardMap>> {
        self.map.subscribe()
    }

    /// Takes a map if it is newer.
    pub(crate) fn publish(&self, map: Arc<ShardMap>) {
        self.map.send_if_modified(|current| {
            let newer = map.epoch > current.epoch;
            if newer {
                *current = map;
            }
            newer
        });
    }

    /// Where a node is: what was seen before what the map says.
    pub(crate) fn address(&self, node: NodeId) -> Option<String> {
        if node == self.ident.node {
            return Some(self.membership.address().to_owned());
        }
        let seen = self.membership.book().address(node);
        seen.or_else(|| self.map.borrow().address(node).map(str::to_owned))
    }

    /// Nobody answered there.
    pub(crate) fn unreachable(&self, address: &str) {
        self.membership.book().failed(address);
    }

    /// The node of a replica. Group 0's replica ids are node ids, so that the map is not needed to
    /// get the map.
    pub(crate) fn node_of(&self, group: GroupId, replica: ReplicaId) -> Option<NodeId> {
        let node = NodeId(replica.0);
        if group == GroupId::CONTROL && self.control.contains(&node) {
            return Some(node);
        }
        self.map.borrow().node_of(group, replica)
    }

    /// The nodes that carry group 0; none on a node that joined and has no map yet.
    pub(crate) fn control_nodes(&self) -> Vec<NodeId> {
        if !self.control.is_empty() {
            return self.control.clone();
        }
        let map = self.map.borrow();
        let group = map.groups.get(&GroupId::CONTROL);
        group.map_or_else(Vec::new, |group| group.replicas.values().copied().collect())
    }

    /// Where to ask for the map: at the nodes of group 0, or, while they are not known, anywhere.
    pub(crate) fn map_sources(&self) -> Vec<String> {
        let control = self.control_nodes();
        if control.is_empty() {
            let known = self.membership.book().all();
            return known.into_iter().map(|node| node.address).collect();
        }
        let own = self.ident.node;
        let others = control.into_iter().filter(|node| *node != own);
        others.filter_map(|node| self.address(node)).collect()
    }

    /// This node.
    pub(crate) fn local_node(&self) -> NodeId {
        self.ident.node
    }

    /// This cluster.
    pub(crate) fn cluster(&self) -> ClusterId {
        self.ident.cluster
    }
}
