//! Replicas and leaders spread evenly over nodes and zones.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::{GroupId, NodeId};
use proptest::prelude::*;

use crate::{place_replicas, spread_over_zones};

type Nodes = BTreeMap<NodeId, String>;
type Placed = BTreeMap<GroupId, Vec<NodeId>>;

/// Nodes numbered from 1, zone after zone, of these sizes.
fn layout(sizes: &[usize]) -> Nodes {
    let zones = sizes
        .iter()
        .enumerate()
        .flat_map(|(zone, &size)| vec![format!("z{zone}"); size]);
    (1..).map(NodeId).zip(zones).collect()
}

fn unzoned(nodes: u64) -> Nodes {
    (1..=nodes).map(|node| (NodeId(node), String::new())).collect()
}

fn place(groups: u64, nodes: &Nodes, rf: usize) -> Placed {
    place_replicas(&(1..=groups).map(GroupId).collect(), nodes, rf)
}

fn counts<T: Ord>(all: impl Iterator<Item = T>, of: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts: BTreeMap<T, usize> = all.map(|each| (each, 0)).collect();
    for each in of {
        *counts.entry(each).or_insert(0) += 1;
    }
    counts
}

fn replicas(placed: &Placed, nodes: &Nodes) -> BTreeMap<NodeId, usize> {
    counts(nodes.keys().copied(), placed.values().flatten().copied())
}

fn leads(placed: &Placed, nodes: &Nodes) -> BTreeMap<NodeId, usize> {
    counts(nodes.keys().copied(), placed.values().map(|hosts| hosts[0]))
}

fn spread<'a>(counts: impl Iterator<Item = &'a usize> + Clone) -> usize {
    counts.clone().max().unwrap_or(&0) - counts.min().unwrap_or(&0)
}

fn sizes(nodes: &Nodes) -> BTreeMap<&str, usize> {
    counts(std::iter::empty(), nodes.values().map(String::as_str))
}

fn by_zone<'a>(hosts: &[NodeId], nodes: &'a Nodes) -> BTreeMap<&'a str, usize> {
    counts(
        nodes.values().map(String::as_str),
        hosts.iter().map(|node| nodes[node].as_str()),
    )
}

/// What holds of every placement.
fn check_always(placed: &Placed, nodes: &Nodes, rf: usize) {
    let sizes = sizes(nodes);
    for (group, hosts) in placed {
        assert_eq!(hosts.len(), rf.min(nodes.len()));
        let distinct: BTreeSet<_> = hosts.iter().collect();
        assert_eq!(distinct.len(), hosts.len(), "{group} twice on a node: {hosts:?}");
        let held = by_zone(hosts, nodes);
        if sizes.len() >= rf {
            assert!(held.values().all(|count| *count <= 1), "{group}: {held:?}");
        }
        // As even as can be: no zone with room for another has two fewer than some other zone.
        let most = held.values().copied().max().unwrap();
        let has_room = |zone: &&&str| held[**zone] < sizes[**zone];
        let least = sizes.keys().filter(has_room).map(|zone| held[zone]).min();
        assert!(
            least.is_none_or(|least| most - least <= 1),
            "{group}: {held:?} of {sizes:?}"
        );
    }
    let replicas = replicas(placed, nodes);
    for zone in sizes.keys() {
        let here = replicas.iter().filter(|(node, _)| nodes[*node] == **zone);
        assert!(spread(here.map(|(_, count)| count)) <= 1, "{zone}: {replicas:?}");
    }
}

#[test]
fn without_zones_replicas_and_first_leaders_differ_by_at_most_one() {
    for nodes in 1..=16 {
        for groups in 0..=48 {
            for rf in [1, 2, 3, 4, 5] {
                let names = unzoned(nodes);
                let placed = place(groups, &names, rf);
                check_always(&placed, &names, rf);
                assert_eq!(placed.len() as u64, groups);
                assert!(spread(replicas(&placed, &names).values()) <= 1);
                assert!(
                    spread(leads(&placed, &names).values()) <= 1,
                    "{groups} groups on {nodes} nodes, {rf} each lead: {placed:?}"
                );
            }
        }
    }
}

#[test]
fn zones_of_equal_size_are_used_alike() {
    for zones in 1..=6 {
        for size in 1..=5 {
            let names = layout(&vec![size; zones]);
            for (groups, rf) in
                (0..=40).flat_map(|groups| [(groups, 1), (groups, 2), (groups, 3), (groups, 5)])
            {
                let placed = place(groups, &names, rf);
                check_always(&placed, &names, rf);
                let what = format!("{groups} groups, {zones} zones of {size}, {rf} each: {placed:?}");
                assert!(spread(replicas(&placed, &names).values()) <= 1, "{what}");
                assert!(spread(leads(&placed, &names).values()) <= 1, "{what}");
                let leaders: Vec<_> = placed.values().map(|hosts| hosts[0]).collect();
                assert!(spread(by_zone(&leaders, &names).values()) <= 1, "{what}");
            }
        }
    }
}

#[test]
fn an_example_that_one_can_follow() {
    let zones = ["a", "a", "b", "b", "c"];
    let names: Nodes = (1..).map(NodeId).zip(zones.map(str::to_owned)).collect();
    let hosts: Vec<Vec<u64>> = place(4, &names, 3)
        .into_values()
        .map(|hosts| hosts.into_iter().map(|node| node.0).collect())
        .collect();
    assert_eq!(hosts, [[1, 3, 5], [4, 2, 5], [5, 3, 1], [2, 4, 5]]);
}

#[test]
fn without_nodes_nothing_is_placed() {
    assert_eq!(place(1, &Nodes::new(), 3)[&GroupId(1)], []);
}

#[test]
fn one_set_for_all_is_spread_over_zones() {
    let chosen = |zones: &[&str], count| {
        let nodes: Nodes = (1..)
            .map(NodeId)
            .zip(zones.iter().map(ToString::to_string))
            .collect();
        let chosen = spread_over_zones(&nodes, count);
        chosen.into_iter().map(|node| node.0).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&[""; 9], 5), [1, 2, 3, 4, 5]);
    assert_eq!(chosen(&["a", "a", "a", "b", "b", "b", "c"], 5), [1, 2, 4, 5, 7]);
    assert_eq!(chosen(&["a", "b", "c", "d", "e", "f"], 5), [1, 2, 3, 4, 5]);
    assert_eq!(chosen(&["a", "b"], 5), [1, 2]);
    assert_eq!(chosen(&[], 5), [0_u64; 0]);
}

/// The fewest groups that the busiest node can lead, by trying every number: a flow from groups to
/// nodes of that capacity exists or not.
fn best_most(placed: &Placed, nodes: &Nodes) -> usize {
    (0..=placed.len())
        .find(|most| all_led(placed, nodes, *most))
        .unwrap()
}

fn all_led(placed: &Placed, nodes: &Nodes, most: usize) -> bool {
    let mut led: BTreeMap<NodeId, Vec<GroupId>> = nodes.keys().map(|node| (*node, Vec::new())).collect();
    placed
        .keys()
        .all(|group| find_leader(placed, &mut led, *group, most, &mut BTreeSet::new()))
}

fn find_leader(
    placed: &Placed,
    led: &mut BTreeMap<NodeId, Vec<GroupId>>,
    group: GroupId,
    most: usize,
    seen: &mut BTreeSet<NodeId>,
) -> bool {
    for node in &placed[&group] {
        if !seen.insert(*node) {
            continue;
        }
        if led[node].len() < most {
            led.get_mut(node).unwrap().push(group);
            return true;
        }
        for position in 0..led[node].len() {
            let other = led[node][position];
            if find_leader(placed, led, other, most, seen) {
                led.get_mut(node).unwrap()[position] = group;
                return true;
            }
        }
    }
    false
}

/// The fewest replicas per node that zones can do with: every group puts at least `level` into each
/// zone that has so many nodes, at most one more, and fractions were allowed.
fn ideal_most(groups: usize, sizes: &[usize], rf: usize) -> f64 {
    let held = |level: usize| sizes.iter().map(|size| level.min(*size)).sum::<usize>();
    let level = (0..=rf).take_while(|level| held(*level) <= rf).last().unwrap();
    let left = (rf - held(level)) as f64;
    let extra = |size: usize, fill: f64| {
        let room = if size > level { 1.0 } else { 0.0 };
        (fill * size as f64 - level.min(size) as f64).clamp(0.0, room)
    };
    let (mut low, mut high) = (0.0, rf as f64 + 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        let filled: f64 = sizes.iter().map(|size| extra(*size, middle)).sum();
        if filled < left {
            low = middle;
        } else {
            high = middle;
        }
    }
    let most = |size: &usize| (level.min(*size) as f64 + extra(*size, high)) / *size as f64;
    sizes.iter().map(most).fold(0.0, f64::max) * groups as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_layout(sizes in prop::collection::vec(1..7_usize, 1..9), groups in 1..80_u64, rf in 1..=5_usize) {
        let names = layout(&sizes);
        let placed = place(groups, &names, rf);
        check_always(&placed, &names, rf);
        prop_assert_eq!(&placed, &place(groups, &names, rf), "equal input, equal output");
        let rf = rf.min(names.len());
        let most = *replicas(&placed, &names).values().max().unwrap();
        let ideal = ideal_most(groups as usize, &sizes, rf);
        prop_assert!(most as f64 <= (ideal - 1e-6).ceil() + 1.0, "{} replicas on a node, {} is ideal", most, ideal);
        let leads = *leads(&placed, &names).values().max().unwrap();
        prop_assert_eq!(leads, best_most(&placed, &names), "no choice of leaders is more even");
    }
}
