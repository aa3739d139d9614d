//! What a scan asks a group for: its slots, as the map has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_types::{Epoch, GroupId, SlotId};

/// The slots of one group, or those of them that it has had since the same epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) group: GroupId,
    /// The lowest among the slots.
    pub(crate) epoch: Epoch,
    /// Pairs (first, last), ascending.
    pub(crate) slots: Arc<[u32]>,
}

impl Share {
    /// Sorts slots, given in ascending order, by owner.
    pub(crate) fn of(owners: impl Iterator<Item = Option<(GroupId, Epoch)>>, by_epoch: bool) -> Vec<Self> {
        let mut shares: BTreeMap<(GroupId, Epoch), (Epoch, Vec<u32>)> = BTreeMap::new();
        for (slot, owner) in (0..).zip(owners) {
            let Some((group, epoch)) = owner else { continue };
            let key = if by_epoch { epoch } else { Epoch::default() };
            let (lowest, runs) = shares.entry((group, key)).or_insert((epoch, Vec::new()));
            *lowest = epoch.min(*lowest);
            match runs.last_mut() {
                Some(last) if *last + 1 == slot => *last = slot,
                _ => runs.extend([slot, slot]),
            }
        }
        let share = |((group, _), (epoch, slots)): ((GroupId, Epoch), (Epoch, Vec<u32>))| Self {
            group,
            epoch,
            slots: slots.into(),
        };
        shares.into_iter().map(share).collect()
    }

    /// Every slot in it.
    pub(crate) fn each_slot(&self) -> impl Iterator<Item = SlotId> {
        self.slots
            .chunks_exact(2)
            .flat_map(|run| match *run {
                [first, last] => first..=last,
                // Not reached; an empty range.
                #[expect(clippy::reversed_empty_ranges, reason = "an empty range")]
                _ => 1..=0,
            })
            .map(|slot| SlotId(slot as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_sorted_into_runs_by_owner_and_by_epoch() {
        let owned = |group, epoch| Some((GroupId(group), Epoch(epoch)));
        let owners = [
            owned(1, 3),
            owned(1, 2),
            owned(2, 5),
            None,
            owned(1, 3),
            owned(1, 3),
        ];
        let plain = |shares: Vec<Share>| -> Vec<(u64, u64, Vec<u32>)> {
            let parts = shares
                .iter()
                .map(|share| (share.group.0, share.epoch.0, share.slots.to_vec()));
            parts.collect()
        };
        assert_eq!(
            plain(Share::of(owners.into_iter(), false)),
            [(1, 2, vec![0, 1, 4, 5]), (2, 5, vec![2, 2])]
        );
        let by_epoch = Share::of(owners.into_iter(), true);
        assert_eq!(
            by_epoch[1].each_slot().map(|slot| slot.0).collect::<Vec<_>>(),
            [0, 4, 5]
        );
        assert_eq!(
            plain(by_epoch),
            [(1, 2, vec![1, 1]), (1, 3, vec![0, 0, 4, 5]), (2, 5, vec![2, 2])]
        );
    }
}
