//! The hash ring: which group a slot would rather be with.

use std::collections::BTreeSet;

use atoll_types::limits::SLOTS;
use atoll_types::{GroupId, SlotId};

/// Points per group. Loads do not depend on it (they are levelled by count); it only sets how finely
/// a group's slots are spread, and thereby how many runs a map has: about this many per group.
const POINTS_PER_GROUP: u64 = 16;

/// Slots lie on the ring in order, evenly; groups at hashed points. Neighbouring slots prefer the
/// same group, so a map stays a short list of runs.
pub(crate) struct Ring {
    points: Vec<(u64, GroupId)>,
}

impl Ring {
    pub(crate) fn new(groups: &BTreeSet<GroupId>) -> Self {
        let mut points: Vec<_> = groups
            .iter()
            .flat_map(|&group| (0..POINTS_PER_GROUP).map(move |n| (point(group, n), group)))
            .collect();
        points.sort_unstable();
        Self { points }
    }

    /// The groups' points met when walking once around the ring from a slot.
    pub(crate) fn walk(&self, slot: SlotId) -> impl Iterator<Item = GroupId> {
        let start = self.points.partition_point(|&(at, _)| at < position(slot));
        let (before, after) = self.points.split_at(start);
        after.iter().chain(before).map(|&(_, group)| group)
    }
}

/// How far the group's nearest point is from a slot, walking the ring.
pub(crate) fn distance(slot: SlotId, group: GroupId) -> u64 {
    (0..POINTS_PER_GROUP)
        .map(|n| point(group, n).wrapping_sub(position(slot)))
        .min()
        .unwrap_or(u64::MAX)
}

fn position(slot: SlotId) -> u64 {
    u64::from(slot.0) * (u64::MAX / u64::from(SLOTS))
}

fn point(group: GroupId, n: u64) -> u64 {
    mix(mix(group.0) ^ n)
}

/// The finaliser of SplitMix64. Fixed for ever: every node must draw the same ring.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
