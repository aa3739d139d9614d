//! The bytes of one file: as read, as durable, and the changes between the two.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fate::{Fate, Mood};
use crate::Rng;

/// A file's contents.
#[derive(Debug, Default)]
pub(super) struct Inode {
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// Not durable, in the order of their making.
    changes: Vec<Change>,
    /// Changes made so far, ever.
    made: u64,
    /// Cloned by every open file.
    open: Arc<()>,
}

#[derive(Clone, Debug)]
pub(super) struct Change {
    number: u64,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    len_after: u64,
}

impl Change {
    fn sectors(&self, size: u64) -> std::ops::Range<u64> {
        let end = self.offset + self.bytes.len() as u64;
        if self.bytes.is_empty() {
            0..0
        } else {
            self.offset / size..end.div_ceil(size)
        }
    }

    fn apply(&self, to: &mut Vec<u8>) {
        put(to, self.offset, &self.bytes);
        to.resize(self.len_after as usize, 0);
    }
}

pub(super) fn put(to: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    to.get_mut(start..end)
        .expect("the vector was just made long enough")
        .copy_from_slice(bytes);
}

impl Inode {
    /// A copy with nobody who has it open.
    pub(super) fn fork(&self) -> Self {
        Self {
            visible: self.visible.clone(),
            durable: self.durable.clone(),
            changes: self.changes.clone(),
            made: self.made,
            open: Arc::default(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.visible.len() as u64
    }

    pub(super) fn durable(&self) -> &[u8] {
        &self.durable
    }

    pub(super) fn opener(&self) -> Arc<()> {
        Arc::clone(&self.open)
    }

    pub(super) fn is_open(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.visible.get(offset..))
            .unwrap_or_default();
        let len = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        len
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let len_after = self.len().max(offset + bytes.len() as u64);
        self.change(offset, bytes.to_vec(), len_after);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        // What is cut off reads as zeros if the file grows again.
        let cut = self.len().saturating_sub(len);
        self.change(len, vec![0; cut as usize], len);
    }

    fn change(&mut self, offset: u64, bytes: Vec<u8>, len_after: u64) {
        self.made += 1;
        let change = Change {
            number: self.made,
            offset,
            bytes,
            len_after,
        };
        change.apply(&mut self.visible);
        self.changes.push(change);
    }

    /// Names the changes made so far, for [`Inode::synced`] and [`Inode::lost`].
    pub(super) fn mark(&self) -> u64 {
        self.made
    }

    /// Makes changes up to `mark` durable.
    pub(super) fn synced(&mut self, mark: u64) {
        let done = self.changes.partition_point(|change| change.number <= mark);
        for change in self.changes.drain(..done) {
            change.apply(&mut self.durable);
        }
    }

    /// Forgets changes up to `mark` though they still read back.
    pub(super) fn lost(&mut self, mark: u64) {
        self.changes.retain(|change| change.number > mark);
    }

    /// What a failed sync lost no longer reads back.
    pub(super) fn forget_cached(&mut self) {
        self.visible.clone_from(&self.durable);
        for change in &self.changes {
            change.apply(&mut self.visible);
        }
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) {
        let offset = offset as usize;
        *self.visible.get_mut(offset).expect("there is such a byte") ^= 1 << bit;
        if let Some(byte) = self.durable.get_mut(offset) {
            *byte ^= 1 << bit;
        }
    }

    pub(super) fn set_len_at_rest(&mut self, len: u64) {
        self.visible.resize(len as usize, 0);
        self.durable.clone_from(&self.visible);
        self.changes.clear();
    }

    /// The power went: only the durable bytes are left.
    pub(super) fn lose_all(&mut self) {
        self.changes.clear();
        self.visible.clone_from(&self.durable);
    }

    /// The power went: luck decides for every sector of `size` bytes, and for the length.
    pub(super) fn lose_some(&mut self, rng: &Rng, size: u64) {
        let changes = std::mem::take(&mut self.changes);
        let mut versions: BTreeMap<u64, u64> = BTreeMap::new();
        for sector in changes.iter().flat_map(|change| change.sectors(size)) {
            *versions.entry(sector).or_default() += 1;
        }
        let mood = Mood::draw(rng);
        let len = match (mood, rng.below(changes.len() as u64 + 1)) {
            (Mood::Keep, _) => self.len(),
            (Mood::Lose, _) | (Mood::Mix, 0) => self.durable.len() as u64,
            (Mood::Mix, chosen) => changes
                .get(chosen as usize - 1)
                .map_or(0, |change| change.len_after),
        };
        let mut fates: BTreeMap<u64, Fate> = versions
            .into_iter()
            .map(|(sector, versions)| (sector, mood.fate(rng, versions, size)))
            .collect();
        for change in &changes {
            for sector in change.sectors(size) {
                let fate = fates.get_mut(&sector).expect("every changed sector has a fate");
                fate.take(change, sector * size, &mut self.durable);
            }
        }
        for (sector, fate) in &fates {
            fate.spoil(*sector * size, rng, &mut self.durable);
        }
        self.durable.resize(len as usize, 0);
        self.visible.clone_from(&self.durable);
    }
}
