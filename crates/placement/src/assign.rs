//! Slots to groups, incrementally.
//!
//! How *many* slots a group gives or takes is decided by counting, which levels loads to within one
//! slot; *which* ones is decided by the ring, which keeps a group's slots in few runs and makes the
//! choice the same on every node. Nothing moves between two groups that both stay.

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::limits::SLOTS;
use atoll_types::{Epoch, GroupId, SlotId};

use crate::ring::{Ring, distance};
use crate::{SlotOwner, Slots};

type Loads = BTreeMap<GroupId, u32>;

/// Shares all slots among groups of which none owns anything yet. Shares differ by at most one.
pub fn assign(groups: &BTreeSet<GroupId>, epoch: Epoch) -> Slots {
    reassign(&Slots::default(), groups, epoch)
}

/// The next assignment when the set of groups becomes `groups`.
///
/// Slots that have no owner, or one that leaves, go to the groups with the fewest. A group that
/// joins is then filled up to the new mean from groups above it. Each slot that changes hands gets
/// `epoch`; all others keep owner and epoch. Without groups the assignment stays as it was: slots
/// are never orphaned.
pub fn reassign(old: &Slots, groups: &BTreeSet<GroupId>, epoch: Epoch) -> Slots {
    let mut slots = old.clone();
    if groups.is_empty() {
        return slots;
    }
    let held = old.loads();
    let load_of = |group: &GroupId| held.get(group).copied().map_or(0, u32::from);
    let mut loads: Loads = groups.iter().map(|group| (*group, load_of(group))).collect();
    let joiners: Vec<GroupId> = groups
        .iter()
        .copied()
        .filter(|group| load_of(group) == 0)
        .collect();
    hand_out(&mut slots, &mut loads, groups, epoch);
    for &joiner in &joiners {
        fill(&mut slots, &mut loads, joiner, epoch);
    }
    slots
}

/// Gives every slot whose owner is not (or no longer) there to a group with few slots.
fn hand_out(slots: &mut Slots, loads: &mut Loads, groups: &BTreeSet<GroupId>, epoch: Epoch) {
    let homeless: Vec<SlotId> = slots
        .iter()
        .filter(|(_, owner)| owner.is_none_or(|owner| !groups.contains(&owner.group)))
        .map(|(slot, _)| slot)
        .collect();
    let mut quotas = Loads::new();
    for _ in &homeless {
        let Some((load, group)) = loads.iter().map(|(group, load)| (*load, *group)).min() else {
            return;
        };
        loads.insert(group, load + 1);
        *quotas.entry(group).or_insert(0) += 1;
    }
    let ring = Ring::new(groups);
    for slot in homeless {
        let takes = |group: &GroupId| quotas.get(group).is_some_and(|quota| *quota > 0);
        // The quotas add up to the number of homeless slots, so one of them is open.
        let Some(group) = ring.walk(slot).find(takes) else {
            return;
        };
        *quotas.entry(group).or_insert(1) -= 1;
        slots.set(slot, SlotOwner { group, epoch });
    }
}

/// Brings a new group up to the mean, taking from whoever has most.
fn fill(slots: &mut Slots, loads: &mut Loads, joiner: GroupId, epoch: Epoch) {
    let mean = u32::from(SLOTS) / loads.len() as u32;
    let mut gives = Loads::new();
    let mut load = loads.get(&joiner).copied().unwrap_or_default();
    while load < mean {
        let most = loads
            .iter()
            .filter(|(group, _)| **group != joiner)
            .map(|(group, load)| (*load, *group));
        let Some((has, donor)) = most.max() else { break };
        if has <= mean {
            break;
        }
        loads.insert(donor, has - 1);
        *gives.entry(donor).or_insert(0) += 1;
        load += 1;
    }
    loads.insert(joiner, load);
    for (donor, count) in gives {
        take(slots, donor, count, SlotOwner { group: joiner, epoch });
    }
}

/// Moves the `count` slots of `donor` that lie nearest to the new owner on the ring.
fn take(slots: &mut Slots, donor: GroupId, count: u32, owner: SlotOwner) {
    let mut nearest: Vec<(u64, SlotId)> = slots
        .iter()
        .filter(|(_, held)| held.is_some_and(|held| held.group == donor))
        .map(|(slot, _)| (distance(slot, owner.group), slot))
        .collect();
    nearest.sort_unstable();
    for (_, slot) in nearest.into_iter().take(count as usize) {
        slots.set(slot, owner);
    }
}
