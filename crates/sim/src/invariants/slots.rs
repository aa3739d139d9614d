//! At any moment at most one group's committed state serves a slot, and a slot's epoch only grows.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Wrong;

/// Who owns what, by the newest state of each group that any replica reached.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Per slot: the group, and the epoch.
    owners: BTreeMap<u64, ((u64, u64), u64)>,
    /// Per group: the entry since which it owns what it does.
    since: BTreeMap<(u64, u64), u64>,
}

impl Slots {
    /// A replica reached a state, by entry `since`, in which its group owns these slots.
    pub(super) fn own(
        &mut self,
        group: (u64, u64),
        since: u64,
        epoch: u64,
        slots: RangeInclusive<u64>,
    ) -> Wrong {
        let newest = self.since.entry(group).or_insert(since);
        if since < *newest {
            // A replica on its way to where others have been.
            return Ok(());
        }
        if since > *newest {
            *newest = since;
            self.owners.retain(|_, (owner, _)| *owner != group);
        }
        for slot in slots {
            match self.owners.insert(slot, (group, epoch)) {
                Some((owner, _)) if owner != group => {
                    return Err(format!("slot {slot} is owned by {owner:?} too"));
                }
                Some((_, before)) if before > epoch => {
                    return Err(format!("the epoch of slot {slot} went from {before} to {epoch}"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
