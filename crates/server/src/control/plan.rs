//! The next step from what is to what is wanted. Pure, so that every leader decides alike.

use std::collections::BTreeSet;

use atoll_placement::{assign, place_replicas};
use atoll_types::{Epoch, GroupId, ReplicaId};

use super::{Change, ControlCommand, ControlState};
use crate::identity::{Claim, Member};

/// Replicas of a data group, where there are as many nodes.
pub(super) const REPLICAS: usize = 3;

/// The next change, if something is left to do. `claim` is what the cluster was made from, `seen`
/// where nodes were heard from.
pub(super) fn next_step(state: &ControlState, claim: &Claim, seen: &[Member]) -> Option<ControlCommand> {
    let change = if state.bootstrapped() {
        create_next_group(state, claim)
            .or_else(|| give_out_slots(state))
            .or_else(|| correct_address(state, seen))
            .or_else(|| correct_zone(state, seen))?
    } else {
        bootstrap(claim)
    };
    Some(ControlCommand {
        base: state.map.epoch,
        change,
    })
}

fn bootstrap(claim: &Claim) -> Change {
    Change::Bootstrap {
        cluster: claim.cluster,
        groups: claim.groups,
        nodes: claim.members.clone(),
        control: claim
            .control_nodes()
            .into_iter()
            .map(|node| (ReplicaId(node.0), node))
            .collect(),
    }
}

fn wanted_groups(state: &ControlState) -> BTreeSet<GroupId> {
    (1..=u64::from(state.wanted_groups)).map(GroupId).collect()
}

/// All groups are placed together every time, and one of the places is used: so each is placed with
/// the others in mind whatever happened in between. Initial nodes and their zones are the claim's: a
/// node that joins meanwhile, or says another zone, does not change what was begun.
fn create_next_group(state: &ControlState, claim: &Claim) -> Option<Change> {
    let group = GroupId(state.next_group);
    if group.0 > u64::from(state.wanted_groups) {
        return None;
    }
    let nodes = place_replicas(&wanted_groups(state), &claim.zones(), REPLICAS).remove(&group)?;
    Some(Change::CreateGroup { group, nodes })
}

fn give_out_slots(state: &ControlState) -> Option<Change> {
    if !state.map.runs().is_empty() {
        return None;
    }
    let slots = assign(&wanted_groups(state), Epoch(state.map.epoch.0 + 1));
    let runs = slots
        .runs()
        .into_iter()
        .map(|run| (run.first.0, run.last.0, run.owner.group))
        .collect();
    Some(Change::SetSlots { runs })
}

fn correct_address(state: &ControlState, seen: &[Member]) -> Option<Change> {
    let moved = seen.iter().find(|member| {
        let entry = state.map.nodes.get(&member.node);
        entry.is_some_and(|entry| entry.uuid == member.uuid && entry.address != member.address)
    })?;
    Some(Change::SetNodeAddress {
        node: moved.node,
        address: moved.address.clone(),
    })
}

fn correct_zone(state: &ControlState, seen: &[Member]) -> Option<Change> {
    let moved = seen.iter().find(|member| {
        let entry = state.map.nodes.get(&member.node);
        entry.is_some_and(|entry| entry.uuid == member.uuid && entry.zone != member.zone)
    })?;
    Some(Change::SetNodeZone {
        node: moved.node,
        zone: moved.zone.clone(),
    })
}
