//! What becomes of an un-synced sector when the power goes.

use super::inode::{Change, put};
use crate::Rng;

/// Most crashes are no mixture: nothing, or everything, had reached the disk.
#[derive(Clone, Copy)]
pub(super) enum Mood {
    Keep,
    Lose,
    Mix,
}

/// How many of a sector's successive versions reached the disk: so many in front of `cut`, so many
/// behind it.
pub(super) struct Fate {
    front: u64,
    back: u64,
    cut: u64,
    /// Behind the cut is neither old nor new.
    garbage: bool,
    seen: u64,
    size: u64,
}

impl Mood {
    pub(super) fn draw(rng: &Rng) -> Self {
        match rng.below(8) {
            0 => Self::Keep,
            1 => Self::Lose,
            _ => Self::Mix,
        }
    }

    pub(super) fn fate(self, rng: &Rng, versions: u64, size: u64) -> Fate {
        let whole = |kept| Fate {
            front: kept,
            back: kept,
            cut: 0,
            garbage: false,
            seen: 0,
            size,
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
                    cut: 1 + rng.below(size - 1),
                    garbage: rng.below(8) == 0,
                    seen: 0,
                    size,
                },
            },
        }
    }
}

impl Fate {
    /// Applies what a change has of the sector at `start`, if it is among the versions kept.
    pub(super) fn take(&mut self, change: &Change, start: u64, disk: &mut Vec<u8>) {
        let version = self.seen;
        self.seen += 1;
        let cut = start + self.cut;
        if version < self.front {
            copy(change, start..cut, disk);
        }
        if version < self.back {
            copy(change, cut..start + self.size, disk);
        }
    }

    /// Leaves garbage behind the cut of the sector at `start`, if that is its fate.
    pub(super) fn spoil(&self, start: u64, rng: &Rng, disk: &mut [u8]) {
        let end = (start + self.size) as usize;
        let start = (start + self.cut) as usize;
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
