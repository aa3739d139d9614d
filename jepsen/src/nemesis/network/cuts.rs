//! Which links each kind of partition cuts.

use std::collections::BTreeMap;

use atoll_env::Rng;

use super::plan::{Plan, list, named, one_of, shuffled};
use crate::net::{Cut, LinkFault, Party};

/// Who leads each group.
pub(super) type Leaders = BTreeMap<u64, u16>;

/// The variants of the family `partition`.
pub(super) const VARIANTS: [&str; 8] = [
    "halves", "leader", "minority", "ring", "bridge", "one-way", "flapping", "clients",
];

/// The fewest nodes that a variant makes sense with.
pub(super) fn least_nodes(variant: &str) -> u16 {
    match variant {
        "clients" => 1,
        "minority" | "bridge" => 3,
        "ring" => 4,
        _ => 2,
    }
}

/// The cuts of a variant. `None` if it needs a leader and there is none, or more nodes than there are.
pub(super) fn plan(variant: &str, nodes: &[u16], leaders: &Leaders, rng: &Rng) -> Option<Plan> {
    match variant {
        "halves" => halves(nodes, rng),
        "leader" => with_leader(nodes, leaders, rng),
        "minority" => without_leader(nodes, leaders, rng),
        "ring" => ring(nodes, rng),
        "bridge" => bridge(nodes, rng),
        "one-way" => one_way(nodes, leaders, rng),
        "flapping" => link_or_node(nodes, rng),
        "clients" => clients(leaders, rng),
        _ => None,
    }
}

/// Two sides that hear nothing of each other; of an odd number of nodes, one side is a majority.
fn halves(nodes: &[u16], rng: &Rng) -> Option<Plan> {
    let nodes = shuffled(nodes, rng);
    let (few, many) = nodes.split_at_checked(nodes.len() / 2)?;
    Some(Plan {
        what: format!("{} apart from {}", named(few), list(many)),
        nodes: few.to_vec(),
        cuts: apart(few, many),
    })
}

/// The leader of one group, with as many others as still are no majority.
fn with_leader(nodes: &[u16], leaders: &Leaders, rng: &Rng) -> Option<Plan> {
    let (group, leader) = one_led(leaders, rng)?;
    let followers: Vec<_> = nodes.iter().copied().filter(|node| *node != leader).collect();
    let company = minority(nodes).saturating_sub(1);
    let mut island = vec![leader];
    island.extend(shuffled(&followers, rng).into_iter().take(company));
    Some(isolated(
        &island,
        nodes,
        &format!(", leader of group {group} ({leader}) among them"),
    ))
}

/// A minority without the leader of one group.
fn without_leader(nodes: &[u16], leaders: &Leaders, rng: &Rng) -> Option<Plan> {
    let (group, leader) = one_led(leaders, rng)?;
    let followers: Vec<_> = nodes.iter().copied().filter(|node| *node != leader).collect();
    let count = 1 + rng.below(minority(nodes).max(1) as u64) as usize;
    let island: Vec<_> = shuffled(&followers, rng).into_iter().take(count).collect();
    let left = format!(", leader of group {group} ({leader}) not among them");
    Some(isolated(&island, nodes, &left))
}

/// On a ring everyone hears just enough neighbours to be in a majority, and no two hear the same nodes.
fn ring(nodes: &[u16], rng: &Rng) -> Option<Plan> {
    let ring = shuffled(nodes, rng);
    let count = ring.len();
    // With itself and so many on either side a node is in a majority.
    let reach = (count / 2).div_ceil(2);
    if 2 * reach + 1 >= count {
        return None;
    }
    let mut cuts = Vec::new();
    for (here, &from) in ring.iter().enumerate() {
        for (there, &to) in ring.iter().enumerate() {
            let apart = here.abs_diff(there);
            if apart.min(count - apart) > reach {
                cuts.push(cut(Party::Node(from), Party::Node(to)));
            }
        }
    }
    let order: Vec<String> = ring.iter().map(u16::to_string).collect();
    let what = format!("ring {}: each hears only {reach} on either side", order.join("-"));
    Some(Plan {
        what,
        nodes: Vec::new(),
        cuts,
    })
}

/// Two sides that have only one node in common.
fn bridge(nodes: &[u16], rng: &Rng) -> Option<Plan> {
    let nodes = shuffled(nodes, rng);
    let (bridge, others) = nodes.split_first()?;
    let (one, other) = others.split_at_checked(others.len() / 2)?;
    if one.is_empty() {
        return None;
    }
    let (left, right) = (named(one), list(other));
    Some(Plan {
        what: format!("{left} apart from {right}; {bridge} hears both"),
        nodes: vec![*bridge],
        cuts: apart(one, other),
    })
}

/// Only one direction: between two nodes, or everything from or to the leader of one group.
fn one_way(nodes: &[u16], leaders: &Leaders, rng: &Rng) -> Option<Plan> {
    let leader = one_led(leaders, rng);
    let (kind, (_, leader)) = match leader {
        Some(leader) => (rng.below(3), leader),
        None => (0, (0, 0)),
    };
    let others: Vec<_> = nodes.iter().copied().filter(|node| *node != leader).collect();
    let (from, to, what) = match kind {
        0 => {
            let pair = shuffled(nodes, rng);
            let (from, to) = (*pair.first()?, *pair.get(1)?);
            let what = format!("nothing from node {from} to {to}, the other way is open");
            (vec![from], vec![to], what)
        }
        1 => {
            let what = format!("nothing from node {leader} to any other, it hears them all");
            (vec![leader], others, what)
        }
        _ => {
            let what = format!("nothing from any other node to {leader}, they all hear it");
            (others, vec![leader], what)
        }
    };
    let cuts = from
        .iter()
        .flat_map(|from| to.iter().map(|to| cut(Party::Node(*from), Party::Node(*to))));
    let cuts: Vec<_> = cuts.collect();
    let nodes = if kind == 0 {
        [from, to].concat()
    } else {
        vec![leader]
    };
    (!cuts.is_empty()).then_some(Plan { what, nodes, cuts })
}

/// Something small that is cut and healed again and again.
fn link_or_node(nodes: &[u16], rng: &Rng) -> Option<Plan> {
    let nodes = shuffled(nodes, rng);
    let (first, rest) = nodes.split_first()?;
    if rng.below(2) == 0 {
        return Some(Plan {
            what: format!("all links of node {first}"),
            nodes: vec![*first],
            cuts: apart(&[*first], rest),
        });
    }
    let second = rest.first()?;
    Some(Plan {
        what: format!("the link between nodes {first} and {second}"),
        nodes: vec![*first, *second],
        cuts: apart(&[*first], &[*second]),
    })
}

/// Clients cannot reach the leader of one group, which other nodes can.
fn clients(leaders: &Leaders, rng: &Rng) -> Option<Plan> {
    let (group, leader) = one_led(leaders, rng)?;
    Some(Plan {
        what: format!("clients apart from node {leader}, leader of group {group}"),
        nodes: vec![leader],
        cuts: both_ways(Party::Clients, Party::Node(leader)).to_vec(),
    })
}

fn one_led(leaders: &Leaders, rng: &Rng) -> Option<(u64, u16)> {
    let led: Vec<_> = leaders.iter().map(|(group, node)| (*group, *node)).collect();
    one_of(&led, rng)
}

/// The most nodes that are less than half.
fn minority(nodes: &[u16]) -> usize {
    nodes.len().saturating_sub(1) / 2
}

fn isolated(island: &[u16], nodes: &[u16], remark: &str) -> Plan {
    let others: Vec<_> = nodes
        .iter()
        .copied()
        .filter(|node| !island.contains(node))
        .collect();
    Plan {
        what: format!("isolate {} from {}{remark}", named(island), list(&others)),
        nodes: island.to_vec(),
        cuts: apart(island, &others),
    }
}

fn apart(some: &[u16], others: &[u16]) -> Vec<Cut> {
    let pairs = some
        .iter()
        .flat_map(|one| others.iter().map(|other| (*one, *other)));
    pairs
        .flat_map(|(one, other)| both_ways(Party::Node(one), Party::Node(other)))
        .collect()
}

fn both_ways(one: Party, other: Party) -> [Cut; 2] {
    [cut(one, other), cut(other, one)]
}

fn cut(from: Party, to: Party) -> Cut {
    Cut {
        from,
        to,
        fault: LinkFault::Blackhole,
    }
}
