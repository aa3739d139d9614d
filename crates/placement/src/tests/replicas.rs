//! Replicas spread evenly.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::{GroupId, NodeId};

use crate::place_replicas;

fn spread(counts: &BTreeMap<NodeId, usize>, nodes: u64) -> usize {
    let count = |n| counts.get(&NodeId(n)).copied().unwrap_or(0);
    (1..=nodes).map(count).max().unwrap() - (1..=nodes).map(count).min().unwrap()
}

#[test]
fn replicas_and_first_leaders_differ_by_at_most_one() {
    for nodes in 1..=16 {
        for groups in 0..=48 {
            for rf in [1, 2, 3, 4, 5] {
                check(groups, nodes, rf);
            }
        }
    }
}

fn check(groups: u64, nodes: u64, rf: usize) {
    let names: BTreeSet<NodeId> = (1..=nodes).map(NodeId).collect();
    let placed = place_replicas(&(1..=groups).map(GroupId).collect(), &names, rf);
    assert_eq!(placed.len() as u64, groups);
    let (mut replicas, mut leads) = (BTreeMap::new(), BTreeMap::new());
    for hosts in placed.values() {
        assert_eq!(hosts.len(), rf.min(names.len()));
        assert_eq!(
            hosts.iter().collect::<BTreeSet<_>>().len(),
            hosts.len(),
            "never two on one node"
        );
        *leads.entry(hosts[0]).or_insert(0) += 1;
        for node in hosts {
            *replicas.entry(*node).or_insert(0) += 1;
        }
    }
    assert!(
        spread(&replicas, nodes) <= 1,
        "{groups} groups on {nodes} nodes, {rf} each: {replicas:?}"
    );
    assert!(
        spread(&leads, nodes) <= 1,
        "{groups} groups on {nodes} nodes, {rf} each lead: {leads:?}"
    );
}

#[test]
fn without_nodes_nothing_is_placed() {
    let placed = place_replicas(&BTreeSet::from([GroupId(1)]), &BTreeSet::new(), 3);
    assert_eq!(placed[&GroupId(1)], []);
}
