//! Which value files are written anew, and how long they should be.
//!
//! A value file is never changed, so what dies in it takes room until the rest is moved to another file. The later that is done,
//! the more has died and the less must be moved: a file that is half dead costs a byte moved for every byte won, one that is three
//! quarters dead a third of it. So nothing is moved while a group has few dead bytes in all its files together, and then the files
//! with the most of them go first (greedy cleaning, as in Rosenblum and Ousterhout, \"The Design and Implementation of a
//! Log-Structured File System\", 1992).

use std::collections::BTreeSet;

/// Dead bytes per hundred live ones in the value files of a group: how many there may be, and how many are left
/// when files have been written anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Garbage {
    max: u64,
    kept: u64,
}

impl Garbage {
    /// Beyond which files are a reason for a merge. That writes all runs anew that point to them, too.
    pub(super) const ALONE: Self = Self { max: 70, kept: 30 };
    /// Beyond which a merge that is done anyway takes files along.
    pub(super) const ALONG: Self = Self { max: 30, kept: 20 };
    /// Where there is hardly room left.
    pub(super) const URGENT: Self = Self { max: 20, kept: 10 };
}

/// Files are to be so small that there are about so many: one that is written anew would else be all there is.
const FILES_WANTED: u64 = 16;
/// But not smaller: each has a name, a file handle and an entry in the manifest.
const FILE_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Files shorter than this part of what they should be are small.
const SMALL_PART: u64 = 4;
/// Small value files from which on they become one.
pub(super) const SMALL_MANY: usize = 8;

/// What a value file means for the plan.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct FileShape {
    pub(in crate::store) number: u32,
    pub(in crate::store) live: u64,
    pub(in crate::store) dead: u64,
}

/// How long value files should be that are written for a group with so many bytes of them, if none may be longer than `most`.
pub(in crate::store) fn file_bytes_wanted(all: u64, most: u64) -> u64 {
    (all / FILES_WANTED).max(FILE_BYTES_MIN).min(most)
}

/// The files to be written anew because of what is dead in them. Those with nothing alive are none: they go without.
pub(super) fn dead(files: &[FileShape], Garbage { max, kept }: Garbage) -> BTreeSet<u32> {
    let mut files: Vec<&FileShape> = files.iter().filter(|file| file.live > 0).collect();
    let sum = |of: fn(&FileShape) -> u64| files.iter().map(|file| of(file)).fold(0, u64::saturating_add);
    let (live, mut dead) = (sum(|file| file.live), sum(|file| file.dead));
    if dead <= percent(live, max) {
        return BTreeSet::new();
    }
    let ratio = |file: &FileShape| u128::from(file.dead) * u128::from(u64::MAX) / u128::from(file.live);
    files.sort_by_key(|file| (std::cmp::Reverse(ratio(file)), file.number));
    let mut victims = BTreeSet::new();
    for file in files {
        if dead <= percent(live, kept) {
            break;
        }
        dead = dead.saturating_sub(file.dead);
        victims.insert(file.number);
    }
    victims
}

fn percent(of: u64, percent: u64) -> u64 {
    u64::try_from(u128::from(of) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

/// Small files, if they are many.
pub(super) fn small(files: &[FileShape], wanted: u64) -> BTreeSet<u32> {
    let small =
        |file: &&FileShape| file.live > 0 && file.live.saturating_add(file.dead) < wanted / SMALL_PART;
    let small: BTreeSet<u32> = files.iter().filter(small).map(|file| file.number).collect();
    if small.len() < SMALL_MANY {
        BTreeSet::new()
    } else {
        small
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(shapes: &[(u64, u64)]) -> Vec<FileShape> {
        let numbered = shapes.iter().zip(1..);
        let file = |(&(live, dead), number)| FileShape { number, live, dead };
        numbered.map(file).collect()
    }

    #[test]
    fn nothing_goes_while_little_is_dead_and_then_what_has_most() {
        let alone = |shapes: &[(u64, u64)]| dead(&files(shapes), Garbage::ALONE);
        assert!(alone(&[]).is_empty());
        // One that is half dead among many that are not costs less than moving it.
        let half = [(500, 500), (1000, 100), (1000, 300)];
        assert!(alone(&half).is_empty());
        assert_eq!(
            dead(&files(&half), Garbage::ALONG),
            [1].into(),
            "but a merge takes it along"
        );
        assert_eq!(alone(&[(300, 900), (500, 500), (1000, 0)]), [1].into());
        assert_eq!(alone(&[(900, 100), (500, 500), (100, 900)]), [3, 2].into());
        assert!(
            alone(&[(0, 5000), (1000, 500)]).is_empty(),
            "what has nothing alive costs nothing"
        );
        assert_eq!(alone(&[(u64::MAX, u64::MAX), (1, 0)]), [1].into());
    }

    #[test]
    fn files_are_neither_few_nor_short() {
        const MIB: u64 = 1 << 20;
        assert_eq!(file_bytes_wanted(0, 256 * MIB), 8 * MIB);
        assert_eq!(file_bytes_wanted(320 * MIB, 256 * MIB), 20 * MIB);
        assert_eq!(file_bytes_wanted(u64::MAX, 256 * MIB), 256 * MIB);
        assert_eq!(
            file_bytes_wanted(u64::MAX, MIB),
            MIB,
            "what is set is not exceeded"
        );
    }

    proptest! {
        #[test]
        fn what_is_left_has_few_dead_bytes(shapes in proptest::collection::vec((0_u64..1000, 0_u64..1000), 0..40), which in 0..3_usize) {
            let files = files(&shapes);
            let garbage = [Garbage::ALONE, Garbage::ALONG, Garbage::URGENT][which];
            let victims = dead(&files, garbage);
            prop_assert!(dead(&files, Garbage::ALONE).is_subset(&dead(&files, Garbage::ALONG)));
            let all: u64 = files.iter().map(|file| file.live).sum();
            let left = files.iter().filter(|file| file.live > 0 && !victims.contains(&file.number));
            let left: u64 = left.map(|file| file.dead).sum();
            prop_assert!(left <= percent(all, garbage.max));
            for file in files.iter().filter(|file| victims.contains(&file.number)) {
                prop_assert!(file.live > 0 && file.dead > 0, "{file:?} wins nothing");
            }
        }
    }
}
