//! The shard map: the one value that says where everything is meant to be.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};

use crate::{MapError, SlotRun, Slots};

/// What the map knows of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Names its data directory.
    pub uuid: NodeUuid,
    /// Where it was last reached; a hint.
    pub address: String,
    /// The failure domain it is in; empty: not told.
    pub zone: String,
}

/// What the map knows of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its incarnation.
    pub generation: GroupGen,
    /// On which node each replica is placed.
    pub replicas: BTreeMap<ReplicaId, NodeId>,
}

/// Nodes, groups and the owners of slots, at one epoch.
///
/// Intent and routing hint, never authority: a group serves a slot because its own replicated state
/// says so, so a stale map costs a redirect and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardMap {
    /// Grows with every change.
    pub epoch: Epoch,
    /// The cluster this is the map of.
    pub cluster: ClusterId,
    /// All nodes.
    pub nodes: BTreeMap<NodeId, NodeEntry>,
    /// All groups, the control plane's among them once it has replicas to show.
    pub groups: BTreeMap<GroupId, GroupEntry>,
    /// Owner of each slot.
    pub slots: Slots,
}

impl ShardMap {
    /// The group that owns a slot, if one does.
    pub fn group_of(&self, slot: SlotId) -> Option<GroupId> {
        self.slots.owner(slot).map(|owner| owner.group)
    }

    /// The epoch of a slot's present owner, if it has one.
    pub fn slot_epoch(&self, slot: SlotId) -> Option<Epoch> {
        self.slots.owner(slot).map(|owner| owner.epoch)
    }

    /// Runs of slots with one owner, ascending.
    pub fn runs(&self) -> Vec<SlotRun> {
        self.slots.runs()
    }

    /// Where a replica of a group is placed.
    pub fn node_of(&self, group: GroupId, replica: ReplicaId) -> Option<NodeId> {
        self.groups.get(&group)?.replicas.get(&replica).copied()
    }

    /// The address of a node, if the map has one.
    pub fn address(&self, node: NodeId) -> Option<&str> {
        self.nodes.get(&node).map(|entry| entry.address.as_str())
    }

    /// Checks that the parts agree: every name used is defined, replica ids are not shared, no node
    /// has two replicas of a group, slots belong to data groups and are not newer than the map.
    pub fn validate(&self) -> Result<(), MapError> {
        let mut seen = BTreeSet::new();
        for (&group, entry) in &self.groups {
            self.validate_group(group, entry)?;
            // Group 0 draws its replica ids before the counters exist, so only data groups share a space.
            if let Some(&replica) = entry
                .replicas
                .keys()
                .find(|&&replica| group != GroupId::CONTROL && !seen.insert(replica))
            {
                return Err(MapError::SharedReplica { group, replica });
            }
        }
        for run in self.runs() {
            self.validate_run(&run)?;
        }
        Ok(())
    }

    fn validate_group(&self, group: GroupId, entry: &GroupEntry) -> Result<(), MapError> {
        let mut hosts = BTreeSet::new();
        for &node in entry.replicas.values() {
            if !self.nodes.contains_key(&node) {
                return Err(MapError::UnknownNode { group, node });
            }
            if !hosts.insert(node) {
                return Err(MapError::TwiceOnNode { group, node });
            }
        }
        Ok(())
    }

    fn validate_run(&self, run: &SlotRun) -> Result<(), MapError> {
        let (slot, group) = (run.first, run.owner.group);
        if group == GroupId::CONTROL {
            return Err(MapError::ControlOwnsSlot { slot });
        }
        if !self.groups.contains_key(&group) {
            return Err(MapError::UnknownGroup { slot, group });
        }
        if run.owner.epoch > self.epoch {
            return Err(MapError::SlotFromTheFuture {
                slot,
                epoch: run.owner.epoch,
                map: self.epoch,
            });
        }
        Ok(())
    }
}
