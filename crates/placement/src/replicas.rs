//! Replicas to nodes, from nothing.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::{GroupId, NodeId};

/// Places `rf` replicas of each group on different nodes (all nodes if there are fewer), spreading
/// replicas and first leaders evenly: no node has two more of either than another. The first node
/// of each list is the one to lead at first. Without nodes every list is empty.
///
/// Each group takes the next `rf` nodes going round, so replica counts stay even. The windows repeat
/// after `nodes / gcd(nodes, rf)` groups; leaders are the first node of each window in the first such
/// lap, the second in the next, and so on, so that in `nodes` groups every node leads once. Going
/// round also keeps the number of distinct replica sets small, and with it the chance that some
/// three nodes lost at once are all replicas of something.
pub fn place_replicas(
    groups: &BTreeSet<GroupId>,
    nodes: &BTreeSet<NodeId>,
    rf: usize,
) -> BTreeMap<GroupId, Vec<NodeId>> {
    let nodes: Vec<NodeId> = nodes.iter().copied().collect();
    let rf = rf.min(nodes.len());
    if rf == 0 {
        return groups.iter().map(|group| (*group, Vec::new())).collect();
    }
    let common = gcd(nodes.len(), rf);
    let lap = nodes.len() / common;
    let hosts = |position: usize| {
        let window = nodes.iter().cycle().skip(position * rf % nodes.len()).take(rf);
        let mut hosts: Vec<NodeId> = window.copied().collect();
        hosts.rotate_left(position / lap % common);
        hosts
    };
    groups
        .iter()
        .enumerate()
        .map(|(position, group)| (*group, hosts(position)))
        .collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
