//! Why a shard map is not one.

use atoll_types::{Epoch, GroupId, NodeId, ReplicaId, SlotId};

/// A contradiction inside a shard map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A run is empty, overlaps its predecessor or leaves the slot space.
    #[error("slots {first} to {last} are not a run above the one before")]
    BadRun {
        /// Its first slot.
        first: SlotId,
        /// Its last slot.
        last: SlotId,
    },
    /// A replica is placed on a node that the map does not list.
    #[error("group {group} has a replica on node {node}, which is not in the map")]
    UnknownNode {
        /// The group.
        group: GroupId,
        /// The node.
        node: NodeId,
    },
    /// Two replicas of one group on one node protect nothing.
    #[error("group {group} has two replicas on node {node}")]
    TwiceOnNode {
        /// The group.
        group: GroupId,
        /// The node.
        node: NodeId,
    },
    /// A replica id names one placement, for ever.
    #[error("replica {replica} of group {group} is also a replica of another group")]
    SharedReplica {
        /// The second group found with it.
        group: GroupId,
        /// The replica id.
        replica: ReplicaId,
    },
    /// A slot's owner is not listed.
    #[error("slot {slot} belongs to group {group}, which is not in the map")]
    UnknownGroup {
        /// The slot.
        slot: SlotId,
        /// The group.
        group: GroupId,
    },
    /// Group 0 holds no user data.
    #[error("slot {slot} belongs to the control plane's group")]
    ControlOwnsSlot {
        /// The slot.
        slot: SlotId,
    },
    /// A slot's epoch is above the map's.
    #[error("slot {slot} has epoch {epoch}, the map only {map}")]
    SlotFromTheFuture {
        /// The slot.
        slot: SlotId,
        /// The slot's epoch.
        epoch: Epoch,
        /// The map's epoch.
        map: Epoch,
    },
}
