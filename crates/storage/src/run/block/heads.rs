//! The first bytes of some keys that stand in order, side by side.
//!
//! A search by whole keys waits for memory at every step, where the key stands. These are one or two lines of the processor's
//! cache for a whole block, and leave only the keys to be asked that begin alike.

use std::cmp::Ordering;
use std::ops::Range;

use super::common_len;

/// Keys noted, at most: of more, only every so many are.
const NOTED_MAX: usize = 16;
/// What all keys begin with is noted up to here.
const COMMON_MAX: usize = 24;

/// Notes of so many keys, or of none.
#[derive(Clone, Copy, Default)]
pub(super) struct Heads {
    /// Of each key, [`head`] of what stands behind `common`.
    starts: [u64; NOTED_MAX],
    noted: u8,
    /// From one key that is noted to the next.
    step: u16,
    /// What all keys begin with, or a part of that.
    common: [u8; COMMON_MAX],
    common_len: u8,
}

/// The first eight bytes, and zeros behind a shorter key, as a number. Where those of two keys differ, they differ as the keys do.
pub(in crate::run) fn head(key: &[u8]) -> u64 {
    if let Some(bytes) = key.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(key) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}

impl Heads {
    /// Of so many keys, which stand in order. Without one of them there are no notes at all.
    pub(super) fn of<'k>(count: usize, key: impl Fn(usize) -> Option<&'k [u8]>) -> Self {
        Self::try_of(count, key).unwrap_or_default()
    }

    fn try_of<'k>(count: usize, key: impl Fn(usize) -> Option<&'k [u8]>) -> Option<Self> {
        let (first, last) = (key(0)?, key(count.checked_sub(1)?)?);
        let mut heads = Self::default();
        let len = common_len(first, last).min(COMMON_MAX);
        heads.common.get_mut(..len)?.copy_from_slice(first.get(..len)?);
        heads.common_len = len as u8;
        let step = count.div_ceil(NOTED_MAX);
        heads.step = u16::try_from(step).ok()?;
        for (place, number) in heads.starts.iter_mut().zip((0..count).step_by(step)) {
            *place = head(key(number)?.get(len..)?);
            heads.noted += 1;
        }
        Some(heads)
    }

    /// Where the first key can be that is not before this one, of so many: at one of these, or at the end of them.
    pub(super) fn range(&self, key: &[u8], count: usize) -> Range<usize> {
        let heads = self.starts.get(..usize::from(self.noted)).unwrap_or_default();
        if heads.is_empty() {
            return 0..count;
        }
        let common = self
            .common
            .get(..usize::from(self.common_len))
            .unwrap_or_default();
        let (start, rest) = key.split_at(common.len().min(key.len()));
        match start.cmp(common) {
            Ordering::Less => return 0..0,
            Ordering::Greater => return count..count,
            Ordering::Equal => {}
        }
        let wanted = head(rest);
        let before = heads.iter().filter(|head| **head < wanted).count();
        let upto = heads.iter().filter(|head| **head <= wanted).count();
        let step = usize::from(self.step);
        // The last that is before it, and what follows that one up to the first that is behind it.
        let start = before.checked_sub(1).map_or(0, |last| last * step + 1);
        start..if upto < heads.len() { upto * step } else { count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Keys of which many begin alike, some longer than a head, or than what is noted of the beginning.
        #[test]
        fn the_first_key_that_is_not_before_is_in_the_range(
            prefix in proptest::collection::vec(any::<u8>(), 0..40),
            ends in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..11), 0..60),
            wanted in proptest::collection::vec((proptest::collection::vec(0_u8..3, 0..11), any::<bool>()), 1..40),
        ) {
            let whole = |end: &[u8]| [&prefix, end].concat();
            let mut keys: Vec<_> = ends.iter().map(|end| whole(end)).collect();
            keys.sort();
            let heads = Heads::of(keys.len(), |number| keys.get(number).map(Vec::as_slice));
            for (end, alone) in &wanted {
                let key = if *alone { end.clone() } else { whole(end) };
                let range = heads.range(&key, keys.len());
                // Of keys that are equal, any may be the one: versions decide.
                let least = keys.iter().filter(|own| **own < key).count();
                let most = keys.iter().filter(|own| **own <= key).count();
                prop_assert!(range.start <= least && most <= range.end && range.end <= keys.len(), "{range:?}");
            }
        }
    }

    #[test]
    fn keys_that_differ_early_leave_nothing_to_ask() {
        let keys: Vec<[u8; 2]> = (0..12).map(|number| [7, number * 2]).collect();
        let heads = Heads::of(12, |number| keys.get(number).map(<[u8; 2]>::as_slice));
        assert_eq!(heads.range(&[7, 5], 12), 3..3);
        assert_eq!(heads.range(&[7, 6], 12), 3..4);
        assert_eq!((heads.range(&[6], 12), heads.range(&[8], 12)), (0..0, 12..12));
        let none = Heads::of(12, |number| (number < 11).then_some(&[1_u8][..]));
        assert_eq!(none.range(&[1], 12), 0..12);
    }
}
