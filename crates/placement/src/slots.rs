//! Who owns which slot.

use std::collections::BTreeMap;

use atoll_types::limits::SLOTS;
use atoll_types::{Epoch, GroupId, SlotId};

use crate::MapError;

/// The owner of one slot and since which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotOwner {
    /// The group that serves the slot.
    pub group: GroupId,
    /// Grows with every change of owner; the group itself has the last word (its own state).
    pub epoch: Epoch,
}

/// Neighbouring slots with one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRun {
    /// First slot.
    pub first: SlotId,
    /// Last slot, included.
    pub last: SlotId,
    /// Owner of all of them.
    pub owner: SlotOwner,
}

/// An owner, or none, for each of the 16,384 slots.
///
/// A plain array, because every operation of every client looks a slot up; [`Slots::runs`] is the
/// form to send and to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots(Box<[Option<SlotOwner>]>);

impl Default for Slots {
    fn default() -> Self {
        Self(vec![None; usize::from(SLOTS)].into())
    }
}

impl Slots {
    /// From runs in ascending order that do not overlap; slots between them have no owner.
    pub fn from_runs(runs: impl IntoIterator<Item = SlotRun>) -> Result<Self, MapError> {
        let mut slots = Self::default();
        let mut next = 0;
        for run in runs {
            let (first, last) = (run.first.0, run.last.0);
            if first < next || last < first || last >= SLOTS {
                return Err(MapError::BadRun {
                    first: run.first,
                    last: run.last,
                });
            }
            for slot in first..=last {
                slots.set(SlotId(slot), run.owner);
            }
            next = last + 1;
        }
        Ok(slots)
    }

    /// Who owns a slot; `None` when nobody does or there is no such slot.
    pub fn owner(&self, slot: SlotId) -> Option<SlotOwner> {
        self.0.get(usize::from(slot.0)).copied().flatten()
    }

    /// Gives a slot to an owner. A slot that does not exist is left alone.
    pub fn set(&mut self, slot: SlotId, owner: SlotOwner) {
        if let Some(place) = self.0.get_mut(usize::from(slot.0)) {
            *place = Some(owner);
        }
    }

    /// Every slot with its owner, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (SlotId, Option<SlotOwner>)> {
        (0..SLOTS).map(SlotId).zip(self.0.iter().copied())
    }

    /// The shortest list of runs that covers every slot with an owner, ascending.
    pub fn runs(&self) -> Vec<SlotRun> {
        let mut runs: Vec<SlotRun> = Vec::new();
        for (slot, owner) in self.iter() {
            let Some(owner) = owner else { continue };
            match runs.last_mut() {
                Some(run) if run.owner == owner && run.last.0 + 1 == slot.0 => run.last = slot,
                _ => runs.push(SlotRun {
                    first: slot,
                    last: slot,
                    owner,
                }),
            }
        }
        runs
    }

    /// The slots of one group as `(first, last)` pairs, ascending: what its Genesis names.
    pub fn runs_of(&self, group: GroupId) -> Vec<(u16, u16)> {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for (slot, owner) in self.iter() {
            if owner.is_none_or(|owner| owner.group != group) {
                continue;
            }
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == slot.0 => *last = slot.0,
                _ => runs.push((slot.0, slot.0)),
            }
        }
        runs
    }

    /// How many slots each group owns. Groups without any are not listed.
    pub fn loads(&self) -> BTreeMap<GroupId, u16> {
        let mut loads = BTreeMap::new();
        for owner in self.0.iter().flatten() {
            *loads.entry(owner.group).or_insert(0) += 1;
        }
        loads
    }
}
