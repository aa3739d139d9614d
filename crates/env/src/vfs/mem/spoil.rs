//! Bytes that change without a word: where, and which.

use std::path::PathBuf;

use super::disk::Disk;

/// A misdirected write lands on a multiple of this.
const WRONG_BY: u64 = 4096;

impl Disk {
    pub(super) fn flip_somewhere(&mut self, path: &str) -> Option<(PathBuf, u64)> {
        let len = |id: &u64| {
            self.inodes
                .get(id)
                .map_or(0, |inode| inode.durable().len() as u64)
        };
        let files: Vec<(PathBuf, u64, u64)> = self
            .names
            .all()
            .filter(|(name, _)| name.to_string_lossy().contains(path))
            .map(|(name, id)| (name.clone(), *id, len(id)))
            .collect();
        let mut at = self.rng.below(files.iter().map(|(_, _, len)| len).sum());
        let (name, id) = files.into_iter().find_map(|(name, id, len)| {
            let here = at < len;
            at -= if here { 0 } else { len };
            here.then_some((name, id))
        })?;
        let bit = self.rng.below(8) as u8;
        self.inode_mut(id).flip_bit(at, bit);
        self.ills.counted.flipped += 1;
        Some((name, at))
    }

    /// Another place for a write: a file and an offset where that many bytes are.
    pub(super) fn wrong_place(&self, len: usize) -> Option<(u64, u64)> {
        let room = |id: &u64| {
            let room = self.inodes.get(id)?.len().checked_sub(len as u64)?;
            Some((*id, room / WRONG_BY + 1))
        };
        let places: Vec<(u64, u64)> = self.names.all().filter_map(|(_, id)| room(id)).collect();
        let (id, offsets) = places.get(self.rng.below(places.len() as u64) as usize)?;
        Some((*id, self.rng.below(*offsets) * WRONG_BY))
    }
}
