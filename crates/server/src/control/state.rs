//! Group 0's state: the shard map and the counters behind it. Pure.

use std::collections::BTreeMap;

use atoll_placement::{GroupEntry, NodeEntry, ShardMap, SlotOwner, SlotRun, Slots};
use atoll_types::limits::GROUPS_PER_NODE_MAX;
use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, NodeId, ReplicaId, SlotId};

use super::{Change, ControlCommand};
use crate::identity::Member;

/// Incarnation of every group that was never re-created.
pub(crate) const FIRST_GENERATION: GroupGen = GroupGen(1);

/// Everything group 0 knows. Equal on all its replicas at equal applied index.
///
/// Invariants: `map.epoch` counts the changes made; `map` passes its own validation; no replica id at
/// or above `next_replica` and no group id at or above `next_group` was ever given out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ControlState {
    pub(crate) map: ShardMap,
    /// Data groups the cluster was made with.
    pub(crate) wanted_groups: u32,
    pub(crate) next_group: u64,
    pub(crate) next_replica: u64,
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
        }
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
            zone: String::new(),
        };
        self.map.cluster = cluster;
        self.map.nodes = nodes.iter().map(|node| (node.node, entry(node))).collect();
        let replicas: BTreeMap<_, _> = control.iter().copied().collect();
        self.next_replica = replicas.keys().next_back().map_or(1, |last| last.0 + 1);
        self.next_group = 1;
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
