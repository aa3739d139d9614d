//! What one reader keeps on the disk.
//!
//! Whoever sends a snapshot holds on to the files of one manifest, however long that takes, and a view to all that it may read from.
//! Merges go on meanwhile and write what is still live once more, so what is pinned becomes dead weight, up to all that the group had.
//! It is counted here, for whoever decides how much of it a follower, or a long read, is worth.

use atoll_types::GroupKey;

use crate::index::{Below, Layers, Reach, View};
use crate::store::group::GroupStore;
use crate::store::maintenance::Shared;

impl GroupStore {
    /// Bytes of runs, value files and segments of the journal that only this and other pins of the group keep.
    pub(crate) fn held_back_by(&self, pinned: &Below) -> u64 {
        let mut reach = Reach::default();
        pinned.add_reach(&mut reach);
        let layers = self.0.index.layers();
        let others = self.0.node.needed_besides(self.0.key);
        let own = layers.reach().segment;
        let needed = own.map_or(others, |own| own.min(others));
        files_held_by(pinned, &layers) + self.segments_between(reach.segment, needed)
    }

    /// Bytes of files and of segments of the journal that go once this view and others like it, of any group, are dropped. Does not
    /// wait for the disk.
    pub fn held_back_by_view(&self, view: &View) -> u64 {
        let pinned = view.layers();
        files_held_by(&pinned.below, &self.0.index.layers())
            + self.segments_between(pinned.reach().segment, self.0.node.needed_by_no_view())
    }

    fn segments_between(&self, first: Option<u32>, needed: u32) -> u64 {
        first.map_or(0, |first| self.0.node.journal.bytes_of(first..needed))
    }
}

/// Bytes of the files that are pinned and not in force any more.
fn files_held_by(pinned: &Below, layers: &Layers) -> u64 {
    let is_named = |number: u64| {
        let mut named = layers.below.runs().iter();
        named.any(|run| run.identity().number == number)
    };
    let runs = pinned.runs().iter();
    let runs = runs.filter(|run| !is_named(run.identity().number));
    let values = pinned.values().iter();
    let values = values.filter(|(number, _)| !layers.below.values().contains_key(number));
    runs.map(|run| run.summary().file_len).sum::<u64>() + values.map(|(_, file)| file.file_len()).sum::<u64>()
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

    /// The oldest segment that is needed even if nobody reads: views of several groups, as a scan over all of them has, would otherwise
    /// each be excused by the others.
    fn needed_by_no_view(&self) -> u32 {
        let known = self.known().into_iter();
        let rows = known.filter_map(|(group, named)| match group {
            Some(group) => group.0.index.layers().reach().segment,
            None => named.get(),
        });
        rows.min().unwrap_or(u32::MAX).min(self.journal.needed_by_logs())
    }
}
