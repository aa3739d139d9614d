//! The durable promise of a directory to one initial set.

use std::collections::{BTreeMap, BTreeSet};

use atoll_placement::spread_over_zones;
use atoll_types::{ClusterId, NodeId, NodeUuid, ReplicaId};

/// Nodes in an initial set, at most.
pub(crate) const MEMBERS_MAX: usize = 1024;
/// Bytes of an address, at most.
pub(crate) const ADDRESS_BYTES_MAX: usize = 512;
/// Bytes of a zone's name, at most.
pub(crate) const ZONE_BYTES_MAX: usize = 63;
/// Group 0 runs on this many of the initial nodes, at most.
const CONTROL_REPLICAS_MAX: usize = 5;

/// One node of an initial set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its position in uuid order, from 1.
    pub(crate) node: NodeId,
    /// Its directory.
    pub(crate) uuid: NodeUuid,
    /// Where it was when the set was made.
    pub(crate) address: String,
    /// The failure domain it was in; empty: not told.
    pub(crate) zone: String,
}

/// True for what may stand where a zone does: nothing, or 1 to 63 of `A-Z a-z 0-9 . _ -`.
pub(crate) fn is_zone(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() <= ZONE_BYTES_MAX && text.bytes().all(allowed)
}

/// Which cluster a directory may become part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// Data groups to make.
    pub(crate) groups: u32,
    /// The whole initial set in uuid order.
    pub(crate) members: Vec<Member>,
}

impl Claim {
    /// Node ids are positions in uuid order, so everyone who knows the uuids knows the ids.
    pub(crate) fn new(cluster: ClusterId, groups: u32, mut members: Vec<Member>) -> Self {
        members.sort_by_key(|member| member.uuid);
        for (member, position) in members.iter_mut().zip(1..) {
            member.node = NodeId(position);
        }
        Self {
            cluster,
            groups,
            members,
        }
    }

    /// What must hold of every claim, whoever wrote it.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.members.is_empty() || self.members.len() > MEMBERS_MAX {
            return Err(format!(
                "an initial set has 1 to {MEMBERS_MAX} nodes, not {}",
                self.members.len()
            ));
        }
        if self.groups == 0 || self.groups as usize > atoll_types::limits::GROUPS_PER_NODE_MAX {
            let max = atoll_types::limits::GROUPS_PER_NODE_MAX;
            return Err(format!(
                "a cluster starts with 1 to {max} groups, not {}",
                self.groups
            ));
        }
        let in_order = self.members.is_sorted_by(|a, b| a.uuid < b.uuid);
        let numbered = self
            .members
            .iter()
            .zip(1..)
            .all(|(member, position)| member.node.0 == position);
        if !in_order || !numbered {
            return Err("an initial set is ordered by uuid and numbered from 1".to_owned());
        }
        if let Some(member) = self.members.iter().find(|member| !is_zone(&member.zone)) {
            return Err(format!("node {} has no usable zone", member.node));
        }
        match self
            .members
            .iter()
            .find(|member| !(1..=ADDRESS_BYTES_MAX).contains(&member.address.len()))
        {
            Some(member) => Err(format!("node {} has no usable address", member.node)),
            None => Ok(()),
        }
    }

    /// True if the other set has the same directories. Addresses may have changed since.
    pub(crate) fn same_set(&self, other: &[Member]) -> bool {
        self.members
            .iter()
            .map(|member| member.uuid)
            .eq(other.iter().map(|member| member.uuid))
    }

    /// The node id of a directory in this set.
    pub(crate) fn node_of(&self, uuid: NodeUuid) -> Option<NodeId> {
        self.members
            .iter()
            .find(|member| member.uuid == uuid)
            .map(|member| member.node)
    }

    /// The nodes that carry group 0: all of a small set, five of a larger one, spread over its zones.
    /// A function of the claim alone, so that everybody who holds it means the same voters.
    pub(crate) fn control_nodes(&self) -> Vec<NodeId> {
        spread_over_zones(&self.zones(), CONTROL_REPLICAS_MAX)
            .into_iter()
            .collect()
    }

    /// Each node's zone.
    pub(crate) fn zones(&self) -> BTreeMap<NodeId, String> {
        let zone = |member: &Member| (member.node, member.zone.clone());
        self.members.iter().map(zone).collect()
    }

    /// Group 0's voters. Its replica ids are the node ids, so that a node needs no map to reach it.
    pub(crate) fn control_voters(&self) -> BTreeSet<ReplicaId> {
        self.control_nodes()
            .into_iter()
            .map(|node| ReplicaId(node.0))
            .collect()
    }

    /// The members' addresses, for messages to people.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<_> = self
            .members
            .iter()
            .map(|member| member.address.as_str())
            .collect();
        addresses.join(",")
    }
}
