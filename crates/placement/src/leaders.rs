//! Which replica of each group is to lead.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use atoll_types::{GroupId, NodeId};

type Hosts = BTreeMap<GroupId, Vec<NodeId>>;

/// Puts the node that is to lead first in each group's list.
///
/// No other choice spreads leaders more evenly over the nodes: the first pass gives each group to the
/// host with the fewest, the second hands groups on along chains of hosts while that makes two nodes
/// more alike (no such chain left is what an optimal choice is), or two zones without making nodes
/// less alike.
pub(crate) fn choose_leaders(mut hosts: Hosts, nodes: &BTreeMap<NodeId, String>) -> Hosts {
    let mut leads = Leads::new(nodes);
    for hosts in hosts.values_mut() {
        let least = hosts
            .iter()
            .enumerate()
            .min_by_key(|(_, node)| leads.rank(**node));
        if let Some((position, &node)) = least {
            leads.change(node, |count| count + 1);
            hosts.swap(0, position);
        }
    }
    while leads.uneven()
        && let Some(chain) = find_chain(&hosts, &leads)
    {
        hand_on(&mut hosts, &mut leads, &chain);
    }
    hosts
}

/// How many groups each node and zone leads.
struct Leads<'a> {
    nodes: &'a BTreeMap<NodeId, String>,
    by_node: BTreeMap<NodeId, usize>,
    by_zone: BTreeMap<&'a str, ZoneLeads>,
}

#[derive(Clone, Copy, Default)]
struct ZoneLeads {
    nodes: usize,
    leads: usize,
}

impl ZoneLeads {
    /// True if one lead less here and one more there brings leads per node closer together.
    fn should_give_to(self, other: Self) -> bool {
        self.leads > 0 && (2 * other.leads + 1) * self.nodes < (2 * self.leads - 1) * other.nodes
    }
}

impl<'a> Leads<'a> {
    fn new(nodes: &'a BTreeMap<NodeId, String>) -> Self {
        let mut by_zone: BTreeMap<&str, ZoneLeads> = BTreeMap::new();
        for zone in nodes.values() {
            by_zone.entry(zone).or_default().nodes += 1;
        }
        Self {
            nodes,
            by_node: nodes.keys().map(|node| (*node, 0)).collect(),
            by_zone,
        }
    }

    fn of(&self, node: NodeId) -> usize {
        self.by_node.get(&node).copied().unwrap_or(0)
    }

    fn zone_of(&self, node: NodeId) -> ZoneLeads {
        let zone = self
            .nodes
            .get(&node)
            .and_then(|zone| self.by_zone.get(zone.as_str()));
        zone.copied().unwrap_or_default()
    }

    /// Lower is to lead rather.
    fn rank(&self, node: NodeId) -> (usize, u64, NodeId) {
        let zone = self.zone_of(node);
        let per_node = ((zone.leads as u64) << 32) / zone.nodes.max(1) as u64;
        (self.of(node), per_node, node)
    }

    fn change(&mut self, node: NodeId, change: impl Fn(usize) -> usize) {
        if let Some(count) = self.by_node.get_mut(&node) {
            *count = change(*count);
        }
        let zone = self.nodes.get(&node).map_or("", String::as_str);
        if let Some(zone) = self.by_zone.get_mut(zone) {
            zone.leads = change(zone.leads);
        }
    }

    /// True if there may be something to gain.
    fn uneven(&self) -> bool {
        let counts = self.by_node.values();
        let apart = counts.clone().max().unwrap_or(&0) - counts.min().unwrap_or(&0);
        let mut zones = self.by_zone.values();
        apart > 1 || zones.any(|from| self.by_zone.values().any(|to| from.should_give_to(*to)))
    }

    /// True if it is better that `to` leads one more and `from` one less.
    fn gains(&self, from: NodeId, to: NodeId) -> bool {
        let (most, least) = (self.of(from), self.of(to));
        least + 2 <= most || (least < most && self.zone_of(from).should_give_to(self.zone_of(to)))
    }
}

/// Groups to hand on, each to the node that leads the one after it in the list's reverse order: the
/// first goes to the node that gains, the last away from the one that leads too many.
struct Chain(Vec<(GroupId, NodeId)>);

fn find_chain(hosts: &Hosts, leads: &Leads<'_>) -> Option<Chain> {
    let mut led: BTreeMap<NodeId, Vec<GroupId>> = BTreeMap::new();
    for (&group, hosts) in hosts {
        if let Some(&leader) = hosts.first() {
            led.entry(leader).or_default().push(group);
        }
    }
    let mut from: Vec<NodeId> = led.keys().copied().collect();
    from.sort_by_key(|node| (Reverse(leads.of(*node)), *node));
    from.into_iter().find_map(|node| search(hosts, &led, leads, node))
}

/// The shortest chain from one node, breadth first.
fn search(
    hosts: &Hosts,
    led: &BTreeMap<NodeId, Vec<GroupId>>,
    leads: &Leads<'_>,
    from: NodeId,
) -> Option<Chain> {
    let mut came: BTreeMap<NodeId, (NodeId, GroupId)> = BTreeMap::new();
    let (mut seen, mut queue) = (BTreeSet::from([from]), VecDeque::from([from]));
    while let Some(node) = queue.pop_front() {
        if leads.gains(from, node) {
            return Some(trace(&came, from, node));
        }
        let ways = led.get(&node).into_iter().flatten();
        for (group, &next) in ways.flat_map(|group| {
            hosts
                .get(group)
                .into_iter()
                .flatten()
                .map(move |next| (group, next))
        }) {
            if seen.insert(next) {
                came.insert(next, (node, *group));
                queue.push_back(next);
            }
        }
    }
    None
}

fn trace(came: &BTreeMap<NodeId, (NodeId, GroupId)>, from: NodeId, to: NodeId) -> Chain {
    let (mut chain, mut at) = (Vec::new(), to);
    while at != from
        && let Some(&(before, group)) = came.get(&at)
    {
        chain.push((group, at));
        at = before;
    }
    Chain(chain)
}

fn hand_on(hosts: &mut Hosts, leads: &mut Leads<'_>, chain: &Chain) {
    for &(group, to) in &chain.0 {
        let Some(hosts) = hosts.get_mut(&group) else {
            continue;
        };
        let Some(position) = hosts.iter().position(|host| *host == to) else {
            continue;
        };
        if let Some(&leader) = hosts.first() {
            leads.change(leader, |count| count.saturating_sub(1));
        }
        leads.change(to, |count| count + 1);
        hosts.swap(0, position);
    }
}
