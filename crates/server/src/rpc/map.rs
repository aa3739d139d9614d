//! The shard map and lists of nodes as messages.

use std::collections::BTreeMap;

use atoll_placement::{GroupEntry, NodeEntry, ShardMap, SlotOwner, SlotRun, Slots};
use atoll_proto::v1;
use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};

use crate::identity::{ADDRESS_BYTES_MAX, MEMBERS_MAX, Member, is_zone};

/// `leader` is asked for who led a group when last seen.
pub(super) fn map_to_wire(map: &ShardMap, leader: impl Fn(GroupId) -> Option<NodeId>) -> v1::ShardMap {
    let nodes = map.nodes.iter().map(|(node, entry)| v1::NodeInfo {
        node: node.0,
        uuid: entry.uuid.to_string(),
        address: entry.address.clone(),
        zone: entry.zone.clone(),
    });
    let groups = map.groups.iter().map(|(&group, entry)| v1::GroupInfo {
        group: group.0,
        generation: entry.generation.0,
        replicas: replicas_to_wire(&entry.replicas),
        leader_node: leader(group).map_or(0, |node| node.0),
    });
    let slots = map.runs().into_iter().map(|run| v1::SlotRun {
        first: u32::from(run.first.0),
        last: u32::from(run.last.0),
        group: run.owner.group.0,
        slot_epoch: run.owner.epoch.0,
    });
    v1::ShardMap {
        epoch: map.epoch.0,
        cluster_id: map.cluster.to_string(),
        nodes: nodes.collect(),
        groups: groups.collect(),
        slots: slots.collect(),
    }
}

pub(super) fn replicas_to_wire(replicas: &BTreeMap<ReplicaId, NodeId>) -> Vec<v1::ReplicaStatus> {
    replicas
        .iter()
        .map(|(replica, node)| v1::ReplicaStatus {
            replica: replica.0,
            node: node.0,
        })
        .collect()
}

/// Nothing of a map that contradicts itself.
pub(super) fn map_from_wire(wire: v1::ShardMap) -> Option<ShardMap> {
    let nodes = members_from_wire(wire.nodes)?.into_iter();
    let groups = wire.groups.into_iter().map(|group| {
        let replicas = group
            .replicas
            .into_iter()
            .map(|replica| (ReplicaId(replica.replica), NodeId(replica.node)))
            .collect();
        (
            GroupId(group.group),
            GroupEntry {
                generation: GroupGen(group.generation),
                replicas,
            },
        )
    });
    let runs: Option<Vec<_>> = wire.slots.into_iter().map(run_from_wire).collect();
    let map = ShardMap {
        epoch: Epoch(wire.epoch),
        cluster: ClusterId::from_hex(&wire.cluster_id)?,
        nodes: nodes
            .map(|node| {
                (
                    node.node,
                    NodeEntry {
                        uuid: node.uuid,
                        address: node.address,
                        zone: node.zone,
                    },
                )
            })
            .collect(),
        groups: groups.collect(),
        slots: Slots::from_runs(runs?).ok()?,
    };
    map.validate().is_ok().then_some(map)
}

fn run_from_wire(run: v1::SlotRun) -> Option<SlotRun> {
    Some(SlotRun {
        first: SlotId(u16::try_from(run.first).ok()?),
        last: SlotId(u16::try_from(run.last).ok()?),
        owner: SlotOwner {
            group: GroupId(run.group),
            epoch: Epoch(run.slot_epoch),
        },
    })
}

pub(super) fn members_to_wire(members: &[Member]) -> Vec<v1::NodeInfo> {
    let info = |member: &Member| v1::NodeInfo {
        node: member.node.0,
        uuid: member.uuid.to_string(),
        address: member.address.clone(),
        zone: member.zone.clone(),
    };
    members.iter().map(info).collect()
}

/// `None` if a uuid, an address or a zone is none, or if they are more than a cluster has.
pub(super) fn members_from_wire(infos: Vec<v1::NodeInfo>) -> Option<Vec<Member>> {
    if infos.len() > MEMBERS_MAX {
        return None;
    }
    infos
        .into_iter()
        .map(|info| {
            let uuid = NodeUuid::from_hex(&info.uuid)?;
            let fits = info.address.len() <= ADDRESS_BYTES_MAX && is_zone(&info.zone);
            fits.then_some(Member {
                node: NodeId(info.node),
                uuid,
                address: info.address,
                zone: info.zone,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_placement::assign;

    fn sample() -> ShardMap {
        let node = |n: u64| {
            (
                NodeId(n),
                NodeEntry {
                    uuid: NodeUuid(u128::from(n)),
                    address: format!("h:{n}"),
                    zone: format!("zone-{n}"),
                },
            )
        };
        let group = |n: u64| {
            let replicas = (0..3).map(|i| (ReplicaId(n * 10 + i), NodeId(i + 1))).collect();
            (
                GroupId(n),
                GroupEntry {
                    generation: GroupGen(1),
                    replicas,
                },
            )
        };
        ShardMap {
            epoch: Epoch(9),
            cluster: ClusterId(77),
            nodes: (1..=3).map(node).collect(),
            groups: (0..=4).map(group).collect(),
            slots: assign(&(1..=4).map(GroupId).collect(), Epoch(8)),
        }
    }

    #[test]
    fn a_map_survives_the_wire() {
        let map = sample();
        let wire = map_to_wire(&map, |_| Some(NodeId(2)));
        assert_eq!(wire.groups[1].leader_node, 2);
        assert_eq!(map_from_wire(wire), Some(map));
    }

    #[test]
    fn a_map_that_contradicts_itself_is_not_taken() {
        let spoilt = |spoil: fn(&mut v1::ShardMap)| {
            let mut wire = map_to_wire(&sample(), |_| None);
            spoil(&mut wire);
            map_from_wire(wire)
        };
        assert!(spoilt(|_| ()).is_some());
        assert!(spoilt(|map| map.slots[0].first = 70_000).is_none());
        assert!(spoilt(|map| map.slots[0].group = 99).is_none());
        assert!(spoilt(|map| map.cluster_id = "x".to_owned()).is_none());
        assert!(spoilt(|map| map.nodes[0].uuid = String::new()).is_none());
        assert!(spoilt(|map| map.slots.swap(0, 1)).is_none());
        assert!(spoilt(|map| map.nodes[0].zone = "not/a zone".to_owned()).is_none());
    }
}
