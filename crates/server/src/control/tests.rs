//! The control machine as a function of its log.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::{ClusterId, Epoch, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};

use super::plan::next_step;
use super::state::Rejected;
use super::{Change, ControlCommand, ControlState};
use crate::identity::{Claim, Member};

fn claim(nodes: u64, groups: u32) -> Claim {
    let member = |n: u64| Member {
        node: NodeId(0),
        uuid: NodeUuid(u128::from(n) * 7919),
        address: format!("127.0.0.1:{}", 7000 + n),
        zone: String::new(),
    };
    Claim::new(ClusterId(42), groups, (1..=nodes).map(member).collect())
}

/// Steps until nothing is left, through the codec; returns the log too.
fn made(claim: &Claim) -> (ControlState, Vec<Vec<u8>>) {
    let (mut state, mut log) = (ControlState::default(), Vec::new());
    while let Some(step) = next_step(&state, claim, &[]) {
        let bytes = step.encode();
        state.apply(&ControlCommand::decode(&bytes).unwrap()).unwrap();
        log.push(bytes);
        assert!(log.len() < 10_000, "the plan comes to an end");
    }
    (state, log)
}

#[test]
fn the_plan_makes_every_group_and_gives_every_slot_out() {
    for (nodes, groups) in [(1, 2), (2, 4), (3, 6), (5, 10), (9, 18)] {
        let claim = claim(nodes, groups);
        let (state, log) = made(&claim);
        assert_eq!(log.len() as u32, 1 + groups + 1);
        assert_eq!(state.map.epoch, Epoch(log.len() as u64));
        assert_eq!(state.map.validate(), Ok(()));
        assert_eq!(state.map.cluster, ClusterId(42));
        assert!((0..atoll_types::limits::SLOTS).all(|slot| state.map.group_of(SlotId(slot)).is_some()));
        let control = &state.map.groups[&GroupId::CONTROL];
        assert_eq!(control.replicas.len() as u64, nodes.min(5));
        assert!(control.replicas.iter().all(|(replica, node)| replica.0 == node.0));
        let data: Vec<_> = state
            .map
            .groups
            .iter()
            .filter(|(id, _)| **id != GroupId::CONTROL)
            .collect();
        assert_eq!(data.len() as u32, groups);
        assert!(
            data.iter()
                .all(|(_, entry)| entry.replicas.len() as u64 == nodes.min(3))
        );
    }
}

#[test]
fn replica_ids_are_never_given_twice_and_first_replicas_are_spread() {
    let (state, _) = made(&claim(3, 6));
    let ids: Vec<ReplicaId> = state
        .map
        .groups
        .values()
        .flat_map(|entry| entry.replicas.keys().copied())
        .collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    assert!(ids.iter().all(|id| id.0 < state.next_replica));
    let mut leads: BTreeMap<NodeId, u32> = BTreeMap::new();
    for (_, entry) in state.map.groups.iter().filter(|(id, _)| **id != GroupId::CONTROL) {
        *leads.entry(*entry.replicas.values().next().unwrap()).or_default() += 1;
    }
    assert_eq!(leads.into_values().collect::<Vec<_>>(), vec![2, 2, 2]);
}

#[test]
fn equal_logs_make_equal_states_whoever_else_proposed() {
    let claim = claim(3, 6);
    let (state, log) = made(&claim);
    let mut other = ControlState::default();
    for bytes in &log {
        let command = ControlCommand::decode(bytes).unwrap();
        other.apply(&command).unwrap();
        // A second leader that decided on the same state comes too late and changes nothing.
        let before = other.clone();
        assert!(matches!(other.apply(&command), Err(Rejected::Stale { .. })));
        assert_eq!(other, before);
    }
    assert_eq!(other, state);
}

#[test]
fn a_plan_interrupted_anywhere_ends_in_the_same_map() {
    let claim = claim(3, 6);
    let (whole, log) = made(&claim);
    for cut in 0..log.len() {
        let mut state = ControlState::default();
        for bytes in &log[..cut] {
            state.apply(&ControlCommand::decode(bytes).unwrap()).unwrap();
        }
        while let Some(step) = next_step(&state, &claim, &[]) {
            state.apply(&step).unwrap();
        }
        assert_eq!(state, whole);
    }
}

#[test]
fn impossible_changes_change_nothing() {
    let (state, _) = made(&claim(3, 2));
    let base = state.map.epoch;
    let nodes = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
    let bad = [
        Change::Bootstrap {
            cluster: ClusterId(1),
            groups: 1,
            nodes: vec![],
            control: vec![],
        },
        Change::CreateGroup {
            group: GroupId(9),
            nodes: nodes(&[1]),
        },
        Change::CreateGroup {
            group: GroupId(3),
            nodes: nodes(&[]),
        },
        Change::CreateGroup {
            group: GroupId(3),
            nodes: nodes(&[1, 77]),
        },
        Change::CreateGroup {
            group: GroupId(3),
            nodes: nodes(&[1, 1]),
        },
        Change::SetSlots {
            runs: vec![(0, 16_383, GroupId(1))],
        },
        Change::SetNodeAddress {
            node: NodeId(8),
            address: "x:1".to_owned(),
        },
    ];
    for change in bad {
        let mut tried = state.clone();
        let outcome = tried.apply(&ControlCommand {
            base,
            change: change.clone(),
        });
        assert!(matches!(outcome, Err(Rejected::Invalid(_))), "{change:?}");
        assert_eq!(tried, state);
    }
    let mut grown = state.clone();
    let change = Change::CreateGroup {
        group: GroupId(3),
        nodes: nodes(&[2, 3]),
    };
    assert_eq!(
        grown.apply(&ControlCommand { base, change }),
        Ok(Epoch(base.0 + 1))
    );
}

#[test]
fn slots_are_given_out_whole_or_not_at_all() {
    let claim = claim(1, 1);
    let mut state = ControlState::default();
    for _ in 0..2 {
        state.apply(&next_step(&state, &claim, &[]).unwrap()).unwrap();
    }
    for runs in [
        vec![(0, 100, GroupId(1))],
        vec![(0, 16_383, GroupId(0))],
        vec![(0, 16_384, GroupId(1))],
        vec![],
    ] {
        let command = ControlCommand {
            base: state.map.epoch,
            change: Change::SetSlots { runs },
        };
        assert!(matches!(state.clone().apply(&command), Err(Rejected::Invalid(_))));
    }
    state.apply(&next_step(&state, &claim, &[]).unwrap()).unwrap();
    assert_eq!(state.map.slot_epoch(SlotId(0)), Some(state.map.epoch));
}

#[test]
fn a_node_that_moved_gets_its_new_address_once() {
    let claim = claim(3, 6);
    let (mut state, _) = made(&claim);
    let mut moved = claim.members[1].clone();
    moved.address = "127.0.0.1:9999".to_owned();
    let stranger = Member {
        uuid: NodeUuid(1),
        ..moved.clone()
    };
    assert_eq!(next_step(&state, &claim, std::slice::from_ref(&stranger)), None);
    let step = next_step(&state, &claim, std::slice::from_ref(&moved)).unwrap();
    state.apply(&step).unwrap();
    assert_eq!(state.map.address(moved.node), Some("127.0.0.1:9999"));
    assert_eq!(next_step(&state, &claim, &[moved]), None);
}

fn with_zones(nodes: u64, groups: u32, zones: &[&str]) -> Claim {
    let mut claim = claim(nodes, groups);
    for (member, zone) in claim.members.iter_mut().zip(zones.iter().cycle()) {
        member.zone = (*zone).to_owned();
    }
    claim
}

#[test]
fn groups_and_the_control_plane_are_spread_over_the_claims_zones() {
    let claim = with_zones(9, 18, &["a", "a", "a", "b", "b", "b", "c", "c", "c"]);
    assert_eq!(claim.check(), Ok(()));
    let (state, log) = made(&claim);
    assert_eq!(log[0][1], 5, "a first entry with zones");
    for (group, entry) in &state.map.groups {
        let zones: BTreeSet<_> = entry
            .replicas
            .values()
            .map(|node| &state.map.nodes[node].zone)
            .collect();
        assert_eq!(zones.len(), 3, "{group}: {entry:?}");
    }
    let control: Vec<u64> = claim.control_nodes().iter().map(|node| node.0).collect();
    assert_eq!(control, [1, 2, 4, 5, 7]);
    // Without zones the first five, as ever, and a first entry that older programs read.
    let (_, plain) = made(&self::claim(9, 18));
    assert_eq!(plain[0][1], 1);
    let control = self::claim(9, 18).control_nodes();
    assert_eq!(control, (1..=5).map(NodeId).collect::<Vec<_>>());
}

#[test]
fn who_joins_while_groups_are_made_changes_no_placement() {
    let claim = with_zones(3, 6, &["a", "b", "c"]);
    let (whole, log) = made(&claim);
    for cut in 1..log.len() {
        let mut state = ControlState::default();
        for bytes in &log[..cut] {
            state.apply(&ControlCommand::decode(bytes).unwrap()).unwrap();
        }
        let changes = [
            Change::AddNode {
                uuid: NodeUuid(5),
                address: "new:1".to_owned(),
                zone: "d".to_owned(),
            },
            Change::SetNodeZone {
                node: NodeId(1),
                zone: "elsewhere".to_owned(),
            },
        ];
        for change in changes {
            let base = state.map.epoch;
            state.apply(&ControlCommand { base, change }).unwrap();
        }
        while let Some(step) = next_step(&state, &claim, &[]) {
            state.apply(&step).unwrap();
        }
        assert_eq!(state.map.groups, whole.map.groups);
        assert_eq!(state.map.nodes.len(), 4);
    }
}

#[test]
fn a_node_that_says_another_zone_gets_it_once() {
    let claim = with_zones(3, 6, &["a", "b", "c"]);
    let (mut state, _) = made(&claim);
    let mut moved = claim.members[1].clone();
    assert_eq!(next_step(&state, &claim, std::slice::from_ref(&moved)), None);
    moved.zone = "d".to_owned();
    let step = next_step(&state, &claim, std::slice::from_ref(&moved)).unwrap();
    state.apply(&step).unwrap();
    assert_eq!(state.map.nodes[&moved.node].zone, "d");
    assert_eq!(next_step(&state, &claim, &[moved]), None);
}

#[test]
fn bytes_that_are_no_command_are_refused_without_harm() {
    let (_, mut log) = made(&claim(3, 6));
    log.extend(made(&with_zones(3, 1, &["a", ""])).1);
    let later = [
        Change::SetNodeZone {
            node: NodeId(1),
            zone: "z".to_owned(),
        },
        Change::AddNode {
            uuid: NodeUuid(1),
            address: "a:1".to_owned(),
            zone: String::new(),
        },
    ];
    let base = Epoch(3);
    log.extend(later.map(|change| ControlCommand { base, change }.encode()));
    for bytes in &log {
        assert_eq!(ControlCommand::decode(bytes).unwrap().encode(), *bytes);
        for cut in 0..bytes.len() {
            assert!(ControlCommand::decode(&bytes[..cut]).is_err());
        }
        let mut long = bytes.clone();
        long.push(0);
        assert!(ControlCommand::decode(&long).is_err());
        let mut other = bytes.clone();
        other[0] = 2;
        assert!(
            ControlCommand::decode(&other)
                .unwrap_err()
                .0
                .contains("version 2")
        );
        other[0] = 1;
        other[1] = 99;
        assert!(ControlCommand::decode(&other).is_err());
    }
}
