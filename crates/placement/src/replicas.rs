//! Replicas to nodes, from nothing.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::{GroupId, NodeId};

#[derive(Clone, Copy, Default)]
struct Burden {
    replicas: u32,
    leads: u32,
}

/// Places `rf` replicas of each group on different nodes (all nodes if there are fewer), spreading
/// replicas and first leaders evenly. The first node of each list is the one to lead at first.
/// Without nodes every list is empty.
pub fn place_replicas(
    groups: &BTreeSet<GroupId>,
    nodes: &BTreeSet<NodeId>,
    rf: usize,
) -> BTreeMap<GroupId, Vec<NodeId>> {
    let mut burdens: BTreeMap<NodeId, Burden> = nodes.iter().map(|node| (*node, Burden::default())).collect();
    groups
        .iter()
        .map(|group| (*group, place(&mut burdens, rf)))
        .collect()
}

fn place(burdens: &mut BTreeMap<NodeId, Burden>, rf: usize) -> Vec<NodeId> {
    let mut by_burden: Vec<(u32, u32, NodeId)> = burdens
        .iter()
        .map(|(node, burden)| (burden.replicas, burden.leads, *node))
        .collect();
    by_burden.sort_unstable();
    by_burden.truncate(rf);
    // Of the chosen ones, whoever leads least leads.
    by_burden.sort_unstable_by_key(|&(replicas, leads, node)| (leads, replicas, node));
    let chosen: Vec<NodeId> = by_burden.into_iter().map(|(_, _, node)| node).collect();
    for (position, node) in chosen.iter().enumerate() {
        let burden = burdens.entry(*node).or_default();
        burden.replicas += 1;
        burden.leads += u32::from(position == 0);
    }
    chosen
}
