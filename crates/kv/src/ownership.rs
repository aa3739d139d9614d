//! Which slots the group owns, by its own replicated word.

use atoll_types::limits::SLOTS;
use atoll_types::{Epoch, Refusal, SlotId, Version};

/// Ownership per slot. Nothing is owned until Genesis.
#[derive(Debug, Default)]
pub(crate) struct Ownership {
    genesis: Option<Genesis>,
    /// One per slot once there is a genesis: a table per group would otherwise cost 128 KiB idle.
    slots: Box<[Slot]>,
}

/// What the group was born with, kept to tell a repeated genesis from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Genesis {
    /// Valid by [`valid_runs`].
    pub(crate) runs: Vec<(u16, u16)>,
    pub(crate) epoch: Epoch,
    pub(crate) version: Version,
}

/// The newest epoch known of a slot and whether it is the group's own.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    epoch: Epoch,
    owned: bool,
}

/// What a genesis meets.
pub(crate) enum Birth {
    /// Nothing: it takes effect.
    First,
    /// Itself, applied before at this version.
    Repeated(Version),
    /// Another one.
    Other,
}

impl Ownership {
    /// Whether the group owns a slot, and since which epoch.
    pub(crate) fn owns(&self, slot: SlotId) -> Option<Epoch> {
        self.slots
            .get(usize::from(slot.0))
            .filter(|known| known.owned)
            .map(|known| known.epoch)
    }

    pub(crate) fn check(&self, slot: SlotId) -> Result<(), Refusal> {
        if self.genesis.is_none() {
            return Err(Refusal::NoGenesis);
        }
        let known = self.slots.get(usize::from(slot.0)).copied().unwrap_or_default();
        if known.owned {
            Ok(())
        } else {
            Err(Refusal::NotOwner {
                slot,
                epoch: known.epoch,
            })
        }
    }

    pub(crate) fn has_genesis(&self) -> bool {
        self.genesis.is_some()
    }

    pub(crate) fn owned_count(&self) -> usize {
        self.slots.iter().filter(|slot| slot.owned).count()
    }

    pub(crate) fn meets(&self, runs: impl Iterator<Item = (u16, u16)>, epoch: Epoch) -> Birth {
        match &self.genesis {
            None => Birth::First,
            Some(first) if first.epoch == epoch && runs.eq(first.runs.iter().copied()) => {
                Birth::Repeated(first.version)
            }
            Some(_) => Birth::Other,
        }
    }

    pub(crate) fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_ref()
    }

    pub(crate) fn begin(&mut self, genesis: Genesis) {
        let epoch = genesis.epoch;
        let mut slots = vec![Slot::default(); usize::from(SLOTS)];
        for &(first, last) in &genesis.runs {
            let range = usize::from(first)..=usize::from(last);
            slots
                .get_mut(range)
                .unwrap_or_default()
                .fill(Slot { epoch, owned: true });
        }
        self.slots = slots.into();
        self.genesis = Some(genesis);
    }
}

/// Ascending, disjoint runs of existing slots.
pub(crate) fn valid_runs(runs: impl Iterator<Item = (u16, u16)>) -> bool {
    let mut next = 0;
    for (first, last) in runs {
        if first < next || last < first || last >= SLOTS {
            return false;
        }
        next = last + 1;
    }
    true
}
