//! Between wire messages and plain types. Total: whatever arrives becomes a value or an error, never a
//! panic, and what is sent comes back equal.

use std::collections::BTreeMap;

use atoll_placement::{GroupEntry, MapError, NodeEntry, ShardMap, SlotOwner, SlotRun, Slots};
use atoll_types::limits::{GROUPS_PER_NODE_MAX, SLOTS};
use atoll_types::{ClientId, ClusterId, Epoch, GroupGen, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};

use crate::v1;

/// Why a message is not what it claims to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A random id is not 32 hexadecimal digits.
    #[error("{field} is not 32 hexadecimal digits")]
    BadId {
        /// Which field.
        field: &'static str,
    },
    /// A node or group id is 0 where 0 means none.
    #[error("{field} is missing")]
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// A name occurs twice in a list.
    #[error("{field} {id} occurs twice")]
    Twice {
        /// Which field.
        field: &'static str,
        /// The id that occurs twice.
        id: u64,
    },
    /// A list is longer than anything real.
    #[error("too many {field}")]
    TooMany {
        /// Which field.
        field: &'static str,
    },
    /// A slot number is beyond the slot space.
    #[error("slot {0} does not exist")]
    NoSuchSlot(u32),
    /// The parts of a shard map contradict each other.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// Nodes in one map, at most; an arbitrary bound far above any cluster.
const NODES_MAX: usize = 10_000;

/// A client id as the wire's two halves, high one first.
pub fn split_client(client: ClientId) -> (u64, u64) {
    ((client.0 >> 64) as u64, client.0 as u64)
}

/// A client id from the wire's two halves.
pub fn join_client(high: u64, low: u64) -> ClientId {
    ClientId((u128::from(high) << 64) | u128::from(low))
}

/// A cluster id from its hexadecimal form.
pub fn cluster_id(text: &str) -> Result<ClusterId, ConvertError> {
    ClusterId::from_hex(text).ok_or(ConvertError::BadId { field: "cluster_id" })
}

/// A node's uuid from its hexadecimal form.
pub fn node_uuid(text: &str) -> Result<NodeUuid, ConvertError> {
    NodeUuid::from_hex(text).ok_or(ConvertError::BadId { field: "uuid" })
}

impl v1::Session {
    /// A session as it is sent.
    pub fn new(client: ClientId, seq: u64, ack: u64) -> Self {
        let (client_high, client_low) = split_client(client);
        Self {
            client_high,
            client_low,
            seq,
            ack,
        }
    }

    /// Whose session it is; `None` if all of it is zero, which means no session.
    pub fn client(&self) -> Option<ClientId> {
        (*self != Self::default()).then(|| join_client(self.client_high, self.client_low))
    }
}

impl From<(NodeId, &NodeEntry)> for v1::NodeInfo {
    fn from((node, entry): (NodeId, &NodeEntry)) -> Self {
        Self {
            node: node.0,
            uuid: entry.uuid.to_string(),
            address: entry.address.clone(),
            zone: entry.zone.clone(),
        }
    }
}

impl TryFrom<v1::NodeInfo> for (NodeId, NodeEntry) {
    type Error = ConvertError;

    fn try_from(wire: v1::NodeInfo) -> Result<Self, ConvertError> {
        let uuid = node_uuid(&wire.uuid)?;
        if wire.node == 0 {
            return Err(ConvertError::Missing { field: "node" });
        }
        Ok((
            NodeId(wire.node),
            NodeEntry {
                uuid,
                address: wire.address,
                zone: wire.zone,
            },
        ))
    }
}

impl From<(GroupId, &GroupEntry)> for v1::GroupInfo {
    /// Without a guess at the leader.
    fn from((group, entry): (GroupId, &GroupEntry)) -> Self {
        let replica = |(replica, node): (&ReplicaId, &NodeId)| v1::ReplicaStatus {
            replica: replica.0,
            node: node.0,
        };
        Self {
            group: group.0,
            generation: entry.generation.0,
            replicas: entry.replicas.iter().map(replica).collect(),
            leader_node: 0,
        }
    }
}

impl TryFrom<v1::GroupInfo> for (GroupId, GroupEntry) {
    type Error = ConvertError;

    fn try_from(wire: v1::GroupInfo) -> Result<Self, ConvertError> {
        let mut replicas = BTreeMap::new();
        for replica in wire.replicas {
            if replicas
                .insert(ReplicaId(replica.replica), NodeId(replica.node))
                .is_some()
            {
                return Err(ConvertError::Twice {
                    field: "replica",
                    id: replica.replica,
                });
            }
        }
        Ok((
            GroupId(wire.group),
            GroupEntry {
                generation: GroupGen(wire.generation),
                replicas,
            },
        ))
    }
}

impl From<SlotRun> for v1::SlotRun {
    fn from(run: SlotRun) -> Self {
        Self {
            first: run.first.0.into(),
            last: run.last.0.into(),
            group: run.owner.group.0,
            slot_epoch: run.owner.epoch.0,
        }
    }
}

impl TryFrom<v1::SlotRun> for SlotRun {
    type Error = ConvertError;

    fn try_from(wire: v1::SlotRun) -> Result<Self, ConvertError> {
        let owner = SlotOwner {
            group: GroupId(wire.group),
            epoch: Epoch(wire.slot_epoch),
        };
        Ok(Self {
            first: slot(wire.first)?,
            last: slot(wire.last)?,
            owner,
        })
    }
}

fn slot(number: u32) -> Result<SlotId, ConvertError> {
    match u16::try_from(number) {
        Ok(slot) if slot < SLOTS => Ok(SlotId(slot)),
        _ => Err(ConvertError::NoSuchSlot(number)),
    }
}

impl From<&ShardMap> for v1::ShardMap {
    fn from(map: &ShardMap) -> Self {
        Self {
            epoch: map.epoch.0,
            cluster_id: map.cluster.to_string(),
            nodes: map
                .nodes
                .iter()
                .map(|(&node, entry)| (node, entry).into())
                .collect(),
            groups: map
                .groups
                .iter()
                .map(|(&group, entry)| (group, entry).into())
                .collect(),
            slots: map.runs().into_iter().map(v1::SlotRun::from).collect(),
        }
    }
}

impl TryFrom<v1::ShardMap> for ShardMap {
    type Error = ConvertError;

    /// Checks everything that [`ShardMap::validate`] checks.
    fn try_from(wire: v1::ShardMap) -> Result<Self, ConvertError> {
        check_len(wire.nodes.len(), NODES_MAX, "nodes")?;
        check_len(wire.groups.len(), GROUPS_PER_NODE_MAX * NODES_MAX, "groups")?;
        check_len(wire.slots.len(), SLOTS.into(), "slots")?;
        let runs: Vec<SlotRun> = wire
            .slots
            .into_iter()
            .map(SlotRun::try_from)
            .collect::<Result<_, _>>()?;
        let map = Self {
            epoch: Epoch(wire.epoch),
            cluster: cluster_id(&wire.cluster_id)?,
            nodes: collect(wire.nodes, "node", |node: NodeId| node.0)?,
            groups: collect(wire.groups, "group", |group: GroupId| group.0)?,
            slots: Slots::from_runs(runs)?,
        };
        map.validate()?;
        Ok(map)
    }
}

fn check_len(len: usize, max: usize, field: &'static str) -> Result<(), ConvertError> {
    if len > max {
        Err(ConvertError::TooMany { field })
    } else {
        Ok(())
    }
}

/// Converts a list into a map and refuses a second entry for a key.
fn collect<Wire, Id: Ord + Copy, Entry>(
    list: Vec<Wire>,
    field: &'static str,
    number: impl Fn(Id) -> u64,
) -> Result<BTreeMap<Id, Entry>, ConvertError>
where
    (Id, Entry): TryFrom<Wire, Error = ConvertError>,
{
    let mut entries = BTreeMap::new();
    for wire in list {
        let (id, entry) = <(Id, Entry)>::try_from(wire)?;
        if entries.insert(id, entry).is_some() {
            return Err(ConvertError::Twice {
                field,
                id: number(id),
            });
        }
    }
    Ok(entries)
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
