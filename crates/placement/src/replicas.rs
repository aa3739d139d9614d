//! Replicas to nodes and zones, from nothing.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::{GroupId, NodeId};

use crate::leaders::choose_leaders;

/// Places `rf` replicas of each group on different nodes (all nodes if there are fewer). `nodes` names
/// each node's zone; nodes that name none count as one zone together, because nothing is known that
/// would separate them. The first node of each list is the one to lead at first. Without nodes every
/// list is empty.
///
/// - With `rf` zones or more no two replicas of a group share one. With fewer, a group's replicas are
///   spread over the zones as evenly as the zones' nodes allow.
/// - Nodes of one zone differ by at most one replica.
/// - Where a group may choose between zones, it goes where replicas per node are fewest, so nodes of
///   zones of equal size differ by at most one replica too. A zone with few nodes that every group
///   must use carries more per node: separation comes before balance.
/// - Leaders are spread over nodes as evenly as the replicas allow (`choose_leaders`).
///
/// Within a zone groups go round its nodes. That keeps the number of distinct replica sets small, and
/// with it the chance that some three nodes lost at once are all replicas of something.
pub fn place_replicas(
    groups: &BTreeSet<GroupId>,
    nodes: &BTreeMap<NodeId, String>,
    rf: usize,
) -> BTreeMap<GroupId, Vec<NodeId>> {
    let rf = rf.min(nodes.len());
    let mut zones = zones(nodes);
    let level = level(&zones, rf);
    let hosts = groups
        .iter()
        .map(|&group| (group, place(&mut zones, level, rf)))
        .collect();
    choose_leaders(hosts, nodes)
}

/// Chooses `count` of the nodes (all if there are fewer) so that zones have as equal a part as their
/// sizes allow; lower ids before higher ones. For replicas of something that exists once.
pub fn spread_over_zones(nodes: &BTreeMap<NodeId, String>, count: usize) -> BTreeSet<NodeId> {
    // Everyone's first node, by id, then everyone's second, and so on.
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, NodeId)> = nodes
        .iter()
        .map(|(&node, zone)| {
            let rank = taken.entry(zone).or_insert(0);
            *rank += 1;
            (*rank, node)
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count).map(|(_, node)| node).collect()
}

/// A failure domain while replicas are handed out.
struct Zone {
    /// Its nodes, the least loaded first.
    nodes: BTreeSet<(usize, NodeId)>,
    /// Replicas on all of them.
    load: usize,
}

impl Zone {
    /// Puts a replica on each of the `count` least loaded nodes.
    fn take(&mut self, count: usize) -> Vec<NodeId> {
        let taken: Vec<_> = self.nodes.iter().copied().take(count).collect();
        for &(load, node) in &taken {
            self.nodes.remove(&(load, node));
            self.nodes.insert((load + 1, node));
        }
        self.load += taken.len();
        taken.into_iter().map(|(_, node)| node).collect()
    }
}

/// By the id of each one's first node, so that names do not matter.
fn zones(nodes: &BTreeMap<NodeId, String>) -> Vec<Zone> {
    let mut by_name: BTreeMap<&str, BTreeSet<(usize, NodeId)>> = BTreeMap::new();
    for (&node, zone) in nodes {
        by_name.entry(zone).or_default().insert((0, node));
    }
    let mut zones: Vec<_> = by_name
        .into_values()
        .map(|nodes| Zone { nodes, load: 0 })
        .collect();
    zones.sort_by(|a, b| a.nodes.cmp(&b.nodes));
    zones
}

/// How many replicas of a group every zone holds that has so many nodes: the most that do not add up
/// to more than `rf`.
fn level(zones: &[Zone], rf: usize) -> usize {
    let held = |level: usize| {
        zones
            .iter()
            .map(|zone| zone.nodes.len().min(level))
            .sum::<usize>()
    };
    (1..=rf)
        .take_while(|&level| held(level) <= rf)
        .last()
        .unwrap_or(0)
}

/// One group's replicas: up to the level in every zone, and one more in as many zones as are left over,
/// those with the fewest replicas per node.
fn place(zones: &mut [Zone], level: usize, rf: usize) -> Vec<NodeId> {
    let mut hosts = Vec::with_capacity(rf);
    for zone in zones.iter_mut() {
        hosts.extend(zone.take(level));
    }
    // One more each, so that it goes to those that have room for one more.
    let mut open: Vec<&mut Zone> = zones.iter_mut().filter(|zone| zone.nodes.len() > level).collect();
    open.sort_by_key(|zone| per_node(zone.load, zone.nodes.len()));
    for zone in open.into_iter().take(rf - hosts.len()) {
        let fresh = zone.nodes.iter().find(|(_, node)| !hosts.contains(node)).copied();
        if let Some((load, node)) = fresh {
            zone.nodes.remove(&(load, node));
            zone.nodes.insert((load + 1, node));
            zone.load += 1;
            hosts.push(node);
        }
    }
    hosts
}

/// A fraction as a whole number that compares as it does, for numbers below 2^32.
fn per_node(load: usize, nodes: usize) -> u64 {
    ((load as u64) << 32) / nodes as u64
}
