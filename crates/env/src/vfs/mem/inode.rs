//! The bytes of one file: as read, as durable, and the changes between the two.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Rng;

/// What a disk writes whole or not at all, nearly always.
const SECTOR: u64 = 512;

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
struct Change {
    number: u64,
    offset: u64,
    bytes: Vec<u8>,
    len_after: u64,
}

impl Change {
    fn sectors(&self) -> std::ops::Range<u64> {
        let end = self.offset + self.bytes.len() as u64;
        if self.bytes.is_empty() {
            0..0
        } else {
            self.offset / SECTOR..end.div_ceil(SECTOR)
        }
    }

    fn apply(&self, to: &mut Vec<u8>) {
        put(to, self.offset, &self.bytes);
        to.resize(self.len_after as usize, 0);
    }
}

fn put(to: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
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

    /// The power went: luck decides for every sector, and for the length.
    pub(super) fn lose_some(&mut self, rng: &Rng) {
        let changes = std::mem::take(&mut self.changes);
        let mut versions: BTreeMap<u64, u64> = BTreeMap::new();
        for sector in changes.iter().flat_map(Change::sectors) {
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
            .map(|(sector, versions)| (sector, mood.fate(rng, versions)))
            .collect();
        for change in &changes {
            for sector in change.sectors() {
                let fate = fates.get_mut(&sector).expect("every changed sector has a fate");
                fate.take(change, sector, &mut self.durable);
            }
        }
        for (sector, fate) in &fates {
            fate.spoil(*sector, rng, &mut self.durable);
        }
        self.durable.resize(len as usize, 0);
        self.visible.clone_from(&self.durable);
    }
}

/// Most crashes are no mixture: nothing, or everything, had reached the disk.
#[derive(Clone, Copy)]
enum Mood {
    Keep,
    Lose,
    Mix,
}

/// How many of a sector's successive versions reached the disk: so many in front of `cut`, so many
/// behind it.
struct Fate {
    front: u64,
    back: u64,
    cut: u64,
    /// Behind the cut is neither old nor new.
    garbage: bool,
    seen: u64,
}

impl Mood {
    fn draw(rng: &Rng) -> Self {
        match rng.below(8) {
            0 => Self::Keep,
            1 => Self::Lose,
            _ => Self::Mix,
        }
    }

    fn fate(self, rng: &Rng, versions: u64) -> Fate {
        let whole = |kept| Fate {
            front: kept,
            back: kept,
            cut: 0,
            garbage: false,
            seen: 0,
        };
        match self {
            Self::Keep => whole(versions),
            Self::Lose => whole(0),
            Self::Mix => match rng.below(8) {
                0..=2 => whole(0),
                3..=5 => whole(versions),
                6 => whole(rng.below(versions + 1)),
                _ => Fate {
                    front: rng.below(versions + 1),
                    back: rng.below(versions + 1),
                    cut: 1 + rng.below(SECTOR - 1),
                    garbage: rng.below(8) == 0,
                    seen: 0,
                },
            },
        }
    }
}

impl Fate {
    fn take(&mut self, change: &Change, sector: u64, disk: &mut Vec<u8>) {
        let version = self.seen;
        self.seen += 1;
        let start = sector * SECTOR;
        let cut = start + self.cut;
        if version < self.front {
            copy(change, start..cut, disk);
        }
        if version < self.back {
            copy(change, cut..start + SECTOR, disk);
        }
    }

    fn spoil(&self, sector: u64, rng: &Rng, disk: &mut [u8]) {
        let start = (sector * SECTOR + self.cut) as usize;
        let end = ((sector + 1) * SECTOR) as usize;
        let end = end.min(disk.len());
        if let Some(bytes) = disk.get_mut(start..end).filter(|_| self.garbage) {
            bytes.fill_with(|| rng.bits64() as u8);
        }
    }
}

/// Copies what a change has within a range.
fn copy(change: &Change, range: std::ops::Range<u64>, to: &mut Vec<u8>) {
    let start = range.start.max(change.offset);
    let end = range.end.min(change.offset + change.bytes.len() as u64);
    if start < end {
        let within = (start - change.offset) as usize..(end - change.offset) as usize;
        put(
            to,
            start,
            change.bytes.get(within).expect("the range was cut to the change"),
        );
    }
}
