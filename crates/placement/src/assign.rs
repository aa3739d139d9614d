//! Slots to groups, incrementally.
//!
//! How *many* slots a group gives or takes is decided by counting, which levels loads to within one
//! slot; *which* ones is decided by the ring, which keeps a group's slots in few runs and makes the
//! choice the same on every node. Nothing moves between two groups that both stay.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use atoll_types::limits::SLOTS;
use atoll_types::{Epoch, GroupId, SlotId};

use crate::ring::{Ring, distance};
use crate::{SlotOwner, Slots};

type Loads = BTreeMap<GroupId, u32>;
type ByLoad = BTreeSet<(u32, GroupId)>;

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
    let mut donors: ByLoad = loads.iter().map(|(group, load)| (*load, *group)).collect();
    donors.retain(|(_, group)| !joiners.contains(group));
    // All to the mean rounded down before any gets one more, or the first would take too much.
    let (total, count) = (u32::from(SLOTS), groups.len() as u32);
    for share in [total / count, total.div_ceil(count)] {
        for &group in &joiners {
            let load = loads.entry(group).or_default();
            *load = fill(&mut slots, &mut donors, SlotOwner { group, epoch }, *load..share);
        }
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
    let mut by_load: ByLoad = loads.iter().map(|(group, load)| (*load, *group)).collect();
    let mut quotas = Loads::new();
    for _ in &homeless {
        let Some((load, group)) = by_load.pop_first() else {
            return;
        };
        by_load.insert((load + 1, group));
        *quotas.entry(group).or_insert(0) += 1;
    }
    loads.extend(by_load.into_iter().map(|(load, group)| (group, load)));
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

/// Brings a new group from a number of slots up to another one, taking from whoever of the others
/// has most. Returns how many it has then.
fn fill(slots: &mut Slots, donors: &mut ByLoad, joiner: SlotOwner, load: Range<u32>) -> u32 {
    let Range {
        start: mut load,
        end: share,
    } = load;
    let mut gives = Loads::new();
    while load < share {
        // Down to a difference of one; while the joiner is below the mean somebody is above it.
        let Some((has, donor)) = donors.last().copied().filter(|(has, _)| *has >= load + 2) else {
            break;
        };
        donors.remove(&(has, donor));
        donors.insert((has - 1, donor));
        *gives.entry(donor).or_insert(0) += 1;
        load += 1;
    }
    take(slots, &gives, joiner);
    load
}

/// Moves so many slots of each donor, those that lie nearest to the new owner on the ring.
fn take(slots: &mut Slots, gives: &Loads, owner: SlotOwner) {
    let mut nearest: BTreeMap<GroupId, Vec<(u64, SlotId)>> = BTreeMap::new();
    for (slot, held) in slots.iter() {
        if let Some(donor) = held.map(|held| held.group)
            && gives.contains_key(&donor)
        {
            let slots = nearest.entry(donor).or_default();
            slots.push((distance(slot, owner.group), slot));
        }
    }
    for (donor, mut nearest) in nearest {
        nearest.sort_unstable();
        let count = gives.get(&donor).copied().unwrap_or(0) as usize;
        for (_, slot) in nearest.into_iter().take(count) {
            slots.set(slot, owner);
        }
    }
}
