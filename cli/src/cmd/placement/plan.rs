//! A planned change, computed.

use std::collections::{BTreeMap, BTreeSet};

use atoll_placement::{Slots, assign, place_replicas, reassign};
use atoll_types::limits::SLOTS;
use atoll_types::{Epoch, GroupId, NodeId};

/// What is there and what is to change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Data groups that were there from the start.
    pub(super) groups: u32,
    /// How many more.
    pub(super) add: u32,
    /// Which of them go.
    pub(super) remove: BTreeSet<u32>,
    /// Nodes with their zones.
    pub(super) nodes: BTreeMap<NodeId, String>,
    /// Replicas of each group.
    pub(super) replicas: usize,
}

/// A count before and after the change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) before: usize,
    pub(super) after: usize,
}

/// One group's slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupRow {
    /// `None`: not there then.
    pub(super) before: Option<usize>,
    pub(super) after: Option<usize>,
    pub(super) gained: usize,
    pub(super) lost: usize,
}

/// Replicas and leaders of a node or a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoadRow {
    /// Nodes counted.
    pub(super) nodes: usize,
    pub(super) replicas: Count,
    pub(super) leaders: Count,
}

/// What the change does.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) groups: BTreeMap<GroupId, GroupRow>,
    /// Slots that change hands.
    pub(super) moved: usize,
    /// Slots moved from one group that stays to another; by construction none.
    pub(super) moved_between_stayers: usize,
    /// Length of the map.
    pub(super) runs: Count,
    pub(super) nodes: BTreeMap<NodeId, LoadRow>,
    pub(super) zones: BTreeMap<String, LoadRow>,
    /// Groups with two replicas in one zone, after the change.
    pub(super) sharing_a_zone: usize,
}

type Placed = BTreeMap<GroupId, Vec<NodeId>>;

impl Change {
    /// Computes it.
    pub(super) fn outcome(&self) -> Outcome {
        let ids = |range: std::ops::RangeInclusive<u32>| -> BTreeSet<GroupId> {
            range.map(|id| GroupId(u64::from(id))).collect()
        };
        let old = ids(1..=self.groups);
        // All that ever were: ids are never reused.
        let ever = ids(1..=self.groups + self.add);
        let gone: BTreeSet<GroupId> = self.remove.iter().map(|&id| GroupId(u64::from(id))).collect();
        let new: BTreeSet<GroupId> = ever.difference(&gone).copied().collect();

        let before = assign(&old, Epoch(1));
        let after = reassign(&before, &new, Epoch(2));
        let mut outcome = Outcome {
            runs: Count {
                before: before.runs().len(),
                after: after.runs().len(),
            },
            ..Outcome::default()
        };
        outcome.count_slots(&before, &after, &old, &new);

        // Groups that stay keep their replicas; those that come are placed with them in mind.
        let placed_before = place_replicas(&old, &self.nodes, self.replicas);
        let mut placed_after = place_replicas(&ever, &self.nodes, self.replicas);
        placed_after.extend(placed_before.clone());
        placed_after.retain(|group, _| new.contains(group));
        outcome.count_replicas(&self.nodes, &placed_before, &placed_after);
        outcome
    }
}

impl Outcome {
    fn count_slots(
        &mut self,
        before: &Slots,
        after: &Slots,
        old: &BTreeSet<GroupId>,
        new: &BTreeSet<GroupId>,
    ) {
        let (had, has) = (before.loads(), after.loads());
        for group in old.union(new) {
            let load = |loads: &BTreeMap<GroupId, u16>| usize::from(loads.get(group).copied().unwrap_or(0));
            let row = GroupRow {
                before: old.contains(group).then(|| load(&had)),
                after: new.contains(group).then(|| load(&has)),
                ..GroupRow::default()
            };
            self.groups.insert(*group, row);
        }
        for ((_, from), (_, to)) in before.iter().zip(after.iter()) {
            let (Some(from), Some(to)) = (from, to) else {
                continue;
            };
            if from.group == to.group {
                continue;
            }
            self.moved += 1;
            if new.contains(&from.group) && old.contains(&to.group) {
                self.moved_between_stayers += 1;
            }
            self.groups.entry(from.group).or_default().lost += 1;
            self.groups.entry(to.group).or_default().gained += 1;
        }
    }

    fn count_replicas(&mut self, nodes: &BTreeMap<NodeId, String>, before: &Placed, after: &Placed) {
        for (&node, zone) in nodes {
            let row = LoadRow {
                nodes: 1,
                replicas: Count {
                    before: hosted(before, node),
                    after: hosted(after, node),
                },
                leaders: Count {
                    before: led(before, node),
                    after: led(after, node),
                },
            };
            self.nodes.insert(node, row);
            self.zones.entry(zone.clone()).or_default().add(row);
        }
        let zone = |node: &NodeId| nodes.get(node);
        self.sharing_a_zone = after
            .values()
            .filter(|hosts| hosts.iter().map(zone).collect::<BTreeSet<_>>().len() < hosts.len())
            .count();
    }

    /// Moved slots in percent of all.
    pub(super) fn moved_percent(&self) -> f64 {
        100.0 * self.moved as f64 / f64::from(SLOTS)
    }
}

fn hosted(placed: &Placed, node: NodeId) -> usize {
    placed.values().filter(|hosts| hosts.contains(&node)).count()
}

fn led(placed: &Placed, node: NodeId) -> usize {
    placed
        .values()
        .filter(|hosts| hosts.first() == Some(&node))
        .count()
}

impl LoadRow {
    fn add(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.replicas.before += other.replicas.before;
        self.replicas.after += other.replicas.after;
        self.leaders.before += other.leaders.before;
        self.leaders.after += other.leaders.after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(groups: u32, add: u32, remove: &[u32], zones: &[&str]) -> Outcome {
        let nodes = (1..).map(NodeId).zip(zones.iter().map(ToString::to_string));
        let change = Change {
            groups,
            add,
            remove: remove.iter().copied().collect(),
            nodes: nodes.collect(),
            replicas: 3,
        };
        change.outcome()
    }

    #[test]
    fn joiners_get_their_share_and_nothing_else_moves() {
        let outcome = change(6, 2, &[], &["", "", ""]);
        assert_eq!((outcome.moved, outcome.moved_between_stayers), (4096, 0));
        assert!((outcome.moved_percent() - 25.0).abs() < 1e-9);
        for (group, row) in &outcome.groups {
            assert_eq!(row.after, Some(2048), "{group}");
            assert_eq!(row.before.is_none(), group.0 > 6, "{group}");
        }
        let gained: usize = outcome.groups.values().map(|row| row.gained).sum();
        let lost: usize = outcome.groups.values().map(|row| row.lost).sum();
        assert_eq!((gained, lost), (4096, 4096));
    }

    #[test]
    fn leavers_give_only_their_own() {
        let outcome = change(6, 0, &[2, 5], &["", "", ""]);
        let had: usize = [2, 5]
            .map(|id| outcome.groups[&GroupId(id)].before.unwrap())
            .iter()
            .sum();
        assert_eq!((outcome.moved, outcome.moved_between_stayers), (had, 0));
        assert!(
            outcome
                .groups
                .values()
                .all(|row| row.after.is_none() || row.lost == 0)
        );
        let replicas: usize = outcome.nodes.values().map(|row| row.replicas.after).sum();
        assert_eq!(replicas, 4 * 3);
    }

    #[test]
    fn zones_are_counted_and_shared_ones_told() {
        let outcome = change(10, 0, &[], &["a", "a", "b", "b", "c"]);
        assert_eq!(outcome.sharing_a_zone, 0);
        assert_eq!(outcome.zones["a"].nodes, 2);
        assert_eq!(
            outcome.zones["c"].replicas,
            Count {
                before: 10,
                after: 10
            }
        );
        assert_eq!(change(4, 0, &[], &["a", "a", "b"]).sharing_a_zone, 4);
    }
}
