//! What a pinned checkpoint keeps on the disk.
//!
//! Whoever sends a snapshot holds on to the files of one manifest, however long that takes. Merges go on meanwhile and write what is
//! still live once more, so what is pinned becomes dead weight, up to all that the group had. It is counted here, for whoever
//! decides how much of it a follower is worth.

use atoll_types::GroupKey;

use crate::index::{Below, Layers, Reach};
use crate::store::group::GroupStore;
use crate::store::maintenance::Shared;

impl GroupStore {
    /// Bytes of runs, value files and segments of the journal that only this and other pins of the group keep.
    pub(crate) fn held_back_by(&self, pinned: &Below) -> u64 {
        let layers = self.0.index.layers();
        let is_named = |number: u64| {
            let mut named = layers.below.runs().iter();
            named.any(|run| run.identity().number == number)
        };
        let runs = pinned.runs().iter();
        let runs = runs.filter(|run| !is_named(run.identity().number));
        let values = pinned.values().iter();
        let values = values.filter(|(number, _)| !layers.below.values().contains_key(number));
        runs.map(|run| run.summary().file_len).sum::<u64>()
            + values.map(|(_, file)| file.file_len()).sum::<u64>()
            + self.segments_held_by(pinned, &layers)
    }

    fn segments_held_by(&self, pinned: &Below, layers: &Layers) -> u64 {
        let mut reach = Reach::default();
        pinned.add_reach(&mut reach);
        let Some(first) = reach.segment else { return 0 };
        let mut own = Reach::default();
        layers.below.add_reach(&mut own);
        for memory in std::iter::once(&layers.active).chain(&layers.frozen) {
            own.join(memory.tree.read().reach());
        }
        let others = self.0.node.needed_besides(self.0.key);
        let needed = own.segment.map_or(others, |own| own.min(others));
        self.0.node.journal.bytes_of(first..needed)
    }
}

impl Shared {
    /// The oldest segment of the journal that logs need or rows of other groups point into.
    fn needed_besides(&self, key: GroupKey) -> u32 {
        let known = self.known().into_iter();
        let rows = known.filter_map(|(group, named)| match group {
            Some(group) if group.0.key == key => None,
            Some(group) => group.oldest_segment(),
            None => named.get(),
        });
        rows.min().unwrap_or(u32::MAX).min(self.journal.needed_by_logs())
    }
}
