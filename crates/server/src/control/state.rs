//! Group 0's state: the shard map and the counters behind it. Pure.

use std::collections::BTreeMap;

use atoll_placement::{GroupEntry, NodeEntry, ShardMap, SlotOwner, SlotRun, Slots};
use atoll_types::limits::GROUPS_PER_NODE_MAX;
use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};

use super::{Change, ControlCommand};
use crate::identity::{ADDRESS_BYTES_MAX, MEMBERS_MAX, Member, is_zone};

/// Incarnation of every group that was never re-created.
pub(crate) const FIRST_GENERATION: GroupGen = GroupGen(1);

/// Everything group 0 knows. Equal on all its replicas at equal applied index.
///
/// Invariants: `map.epoch` counts the changes made; `map` passes its own validation; no node, replica or
/// group id at or above its counter was ever given out; no two nodes have one uuid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ControlState {
    pub(crate) map: ShardMap,
    /// Data groups the cluster was made with.
    pub(crate) wanted_groups: u32,
    pub(crate) next_group: u64,
    pub(crate) next_replica: u64,
    pub(crate) next_node: u64,
    /// Nodes up to this one came with the first entry; those above joined later.
    pub(crate) initial_nodes: u64,
}

/// Why a command changed nothing. Deterministic, like the change itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejected {
    #[error("decided on epoch {base}, but the map is at {actual}")]
    Stale { base: Epoch, actual: Epoch },
    #[error("{0}")]
    Invalid(&'static str),
}

impl ControlState {
    /// Makes a change, or none of it.
    pub(crate) fn apply(&mut self, command: &ControlCommand) -> Result<Epoch, Rejected> {
        if command.base != self.map.epoch {
            return Err(Rejected::Stale {
                base: command.base,
                actual: self.map.epoch,
            });
        }
        let mut next = self.clone();
        next.map.epoch = Epoch(self.map.epoch.0 + 1);
        next.change(&command.change)?;
        if next.map.validate().is_err() {
            return Err(Rejected::Invalid("the map would contradict itself"));
        }
        *self = next;
        Ok(self.map.epoch)
    }

    /// True once there is a cluster.
    pub(crate) fn bootstrapped(&self) -> bool {
        self.map.epoch > Epoch(0)
    }

    fn change(&mut self, change: &Change) -> Result<(), Rejected> {
        match change {
            Change::Bootstrap {
                cluster,
                groups,
                nodes,
                control,
            } => self.bootstrap(*cluster, *groups, nodes, control),
            Change::CreateGroup { group, nodes } => self.create_group(*group, nodes),
            Change::SetSlots { runs } => self.set_slots(runs),
            Change::SetNodeAddress { node, address } => match self.map.nodes.get_mut(node) {
                Some(entry) => {
                    entry.address.clone_from(address);
                    Ok(())
                }
                None => Err(Rejected::Invalid("there is no such node")),
            },
            Change::SetNodeZone { node, zone } => match self.map.nodes.get_mut(node) {
                Some(entry) if is_zone(zone) => {
                    entry.zone.clone_from(zone);
                    Ok(())
                }
                Some(_) => Err(Rejected::Invalid("that is no name of a zone")),
                None => Err(Rejected::Invalid("there is no such node")),
            },
            Change::AddNode { uuid, address, zone } => self.add_node(*uuid, address, zone),
        }
    }

    /// The node of a directory, if it has one.
    pub(crate) fn node_of(&self, uuid: NodeUuid) -> Option<NodeId> {
        let mut nodes = self.map.nodes.iter();
        nodes.find(|(_, entry)| entry.uuid == uuid).map(|(node, _)| *node)
    }

    /// The next id, for a directory that has none. Whoever proposes it twice is refused the second time
    /// and finds the first one's node.
    fn add_node(&mut self, uuid: NodeUuid, address: &str, zone: &str) -> Result<(), Rejected> {
        if !self.bootstrapped_before() {
            return Err(Rejected::Invalid("there is no cluster yet"));
        }
        if self.node_of(uuid).is_some() {
            return Err(Rejected::Invalid("this directory has a node id already"));
        }
        if self.map.nodes.len() >= MEMBERS_MAX {
            return Err(Rejected::Invalid("there are as many nodes as there may be"));
        }
        if address.is_empty() || address.len() > ADDRESS_BYTES_MAX || !is_zone(zone) {
            return Err(Rejected::Invalid("the address or the zone is none"));
        }
        let entry = NodeEntry {
            uuid,
            address: address.to_owned(),
            zone: zone.to_owned(),
        };
        self.map.nodes.insert(NodeId(self.next_node), entry);
        self.next_node += 1;
        Ok(())
    }

    fn bootstrap(
        &mut self,
        cluster: ClusterId,
        groups: u32,
        nodes: &[Member],
        control: &[(ReplicaId, NodeId)],
    ) -> Result<(), Rejected> {
        if self.bootstrapped_before() {
            return Err(Rejected::Invalid("there is a cluster already"));
        }
        if nodes.is_empty() || control.is_empty() || groups == 0 || groups as usize > GROUPS_PER_NODE_MAX {
            return Err(Rejected::Invalid(
                "a cluster has nodes, a control plane and groups",
            ));
        }
        let entry = |node: &Member| NodeEntry {
            uuid: node.uuid,
            address: node.address.clone(),
            zone: node.zone.clone(),
        };
        self.map.cluster = cluster;
        self.map.nodes = nodes.iter().map(|node| (node.node, entry(node))).collect();
        let replicas: BTreeMap<_, _> = control.iter().copied().collect();
        self.next_replica = replicas.keys().next_back().map_or(1, |last| last.0 + 1);
        self.next_group = 1;
        self.initial_nodes = self.map.nodes.keys().next_back().map_or(0, |last| last.0);
        self.next_node = self.initial_nodes + 1;
        self.wanted_groups = groups;
        self.map.groups.insert(
            GroupId::CONTROL,
            GroupEntry {
                generation: FIRST_GENERATION,
                replicas,
            },
        );
        Ok(())
    }

    /// `map.epoch` is that of the change under way.
    fn bootstrapped_before(&self) -> bool {
        self.map.epoch > Epoch(1)
    }

    fn create_group(&mut self, group: GroupId, nodes: &[NodeId]) -> Result<(), Rejected> {
        if group.0 == 0 || group.0 != self.next_group || nodes.is_empty() {
            return Err(Rejected::Invalid(
                "group ids are given out in order, from 1, and a group has replicas",
            ));
        }
        let first = self.next_replica;
        let replicas: BTreeMap<_, _> = (first..).map(ReplicaId).zip(nodes.iter().copied()).collect();
        self.next_replica = first + nodes.len() as u64;
        self.next_group += 1;
        self.map.groups.insert(
            group,
            GroupEntry {
                generation: FIRST_GENERATION,
                replicas,
            },
        );
        Ok(())
    }

    /// Only the first time: to move an owned slot takes both groups' consent.
    fn set_slots(&mut self, runs: &[(u16, u16, GroupId)]) -> Result<(), Rejected> {
        if !self.map.runs().is_empty() {
            return Err(Rejected::Invalid("the slots have owners already"));
        }
        let epoch = self.map.epoch;
        let run = |&(first, last, group): &(u16, u16, GroupId)| SlotRun {
            first: SlotId(first),
            last: SlotId(last),
            owner: SlotOwner { group, epoch },
        };
        match Slots::from_runs(runs.iter().map(run)) {
            Ok(slots) if slots.iter().all(|(_, owner)| owner.is_some()) => {
                self.map.slots = slots;
                Ok(())
            }
            Ok(_) => Err(Rejected::Invalid("every slot needs an owner")),
            Err(_) => Err(Rejected::Invalid("the runs are not runs")),
        }
    }
}
