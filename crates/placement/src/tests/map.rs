//! What makes a shard map one.

use std::collections::BTreeSet;

use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};

use crate::{GroupEntry, MapError, NodeEntry, ShardMap, SlotOwner, SlotRun, Slots, assign};

fn map() -> ShardMap {
    let groups: BTreeSet<GroupId> = (1..=2).map(GroupId).collect();
    let node = |n: u64| {
        (
            NodeId(n),
            NodeEntry {
                uuid: NodeUuid(n.into()),
                address: format!("127.0.0.1:{n}"),
                zone: String::new(),
            },
        )
    };
    let group = |n: u64| {
        let replicas = (1..=3)
            .map(|node| (ReplicaId(n * 10 + node), NodeId(node)))
            .collect();
        (
            GroupId(n),
            GroupEntry {
                generation: GroupGen(1),
                replicas,
            },
        )
    };
    ShardMap {
        epoch: Epoch(4),
        cluster: ClusterId(9),
        nodes: (1..=3).map(node).collect(),
        groups: (0..=2).map(group).collect(),
        slots: assign(&groups, Epoch(4)),
    }
}

fn give(map: &mut ShardMap, slot: u16, group: u64, epoch: u64) {
    map.slots.set(
        SlotId(slot),
        SlotOwner {
            group: GroupId(group),
            epoch: Epoch(epoch),
        },
    );
}

#[test]
fn a_sound_map_passes_and_answers() {
    let map = map();
    assert_eq!(map.validate(), Ok(()));
    assert_eq!(ShardMap::default().validate(), Ok(()));
    let group = map.group_of(SlotId(77)).unwrap();
    assert!(
        map.runs()
            .iter()
            .any(|run| (run.first..=run.last).contains(&SlotId(77)) && run.owner.group == group)
    );
    assert_eq!(map.slot_epoch(SlotId(77)), Some(Epoch(4)));
    assert_eq!(map.group_of(SlotId(16_384)), None);
    assert_eq!(map.node_of(GroupId(2), ReplicaId(23)), Some(NodeId(3)));
    assert_eq!(map.node_of(GroupId(2), ReplicaId(13)), None);
    assert_eq!(map.address(NodeId(2)), Some("127.0.0.1:2"));
    assert_eq!(map.address(NodeId(4)), None);
}

#[test]
fn contradictions_are_found() {
    let broken = |change: fn(&mut ShardMap)| {
        let mut map = map();
        change(&mut map);
        map.validate().unwrap_err()
    };
    assert_eq!(
        broken(|map| drop(map.nodes.remove(&NodeId(3)))),
        MapError::UnknownNode {
            group: GroupId(0),
            node: NodeId(3)
        }
    );
    assert_eq!(
        broken(|map| {
            map.groups
                .get_mut(&GroupId(1))
                .unwrap()
                .replicas
                .insert(ReplicaId(99), NodeId(1));
        }),
        MapError::TwiceOnNode {
            group: GroupId(1),
            node: NodeId(1)
        }
    );
    assert_eq!(
        broken(|map| drop(map.groups.insert(GroupId(5), map.groups[&GroupId(2)].clone()))),
        MapError::SharedReplica {
            group: GroupId(5),
            replica: ReplicaId(21)
        }
    );
    assert_eq!(
        broken(|map| give(map, 8, 6, 1)),
        MapError::UnknownGroup {
            slot: SlotId(8),
            group: GroupId(6)
        }
    );
    assert_eq!(
        broken(|map| give(map, 8, 0, 1)),
        MapError::ControlOwnsSlot { slot: SlotId(8) }
    );
    assert_eq!(
        broken(|map| give(map, 8, 1, 5)),
        MapError::SlotFromTheFuture {
            slot: SlotId(8),
            epoch: Epoch(5),
            map: Epoch(4)
        }
    );
}

#[test]
fn only_ascending_runs_of_existing_slots_are_taken() {
    let owner = SlotOwner {
        group: GroupId(1),
        epoch: Epoch(1),
    };
    let run = |first, last| SlotRun {
        first: SlotId(first),
        last: SlotId(last),
        owner,
    };
    let bad = |first, last| {
        Err(MapError::BadRun {
            first: SlotId(first),
            last: SlotId(last),
        })
    };
    assert!(Slots::from_runs([run(0, 0), run(5, 16_383)]).is_ok());
    assert_eq!(Slots::from_runs([run(5, 4)]), bad(5, 4));
    assert_eq!(Slots::from_runs([run(0, 5), run(5, 6)]), bad(5, 6));
    assert_eq!(Slots::from_runs([run(9, 9), run(0, 1)]), bad(0, 1));
    assert_eq!(Slots::from_runs([run(0, 16_384)]), bad(0, 16_384));
    assert_eq!(Slots::from_runs([run(0, u16::MAX)]), bad(0, u16::MAX));
}
