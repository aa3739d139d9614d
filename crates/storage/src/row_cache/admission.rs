//! Which rows are worth room that others have to leave.
//!
//! To put a row in copies it and lets go of others, which costs about as much as the read that brought it. Where more rows are read
//! than fit, most are gone before they are asked for again, and all of that was in vain. So once the cache is full a row is
//! taken only if its key was asked for lately already: a mark of every key that was not taken stands in a small table until that of
//! another key takes its place.
//!
//! Marks are a few bits of a hash: now and then a key is taken for another, which costs or spares a copy and means nothing
//! else.

use std::iter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Bytes of the cache for one mark: about as many marks as rows.
const BYTES_PER_MARK: usize = 256;

/// Marks of keys that were asked for and not taken. There are none before the cache is full, so that an idle node has no memory for
/// them.
pub(super) struct Admission {
    marks: OnceLock<Box<[AtomicU16]>>,
    count: usize,
}

impl Admission {
    /// For a cache of so many bytes, these included.
    pub(super) fn new(cache_bytes: usize) -> Self {
        Self {
            marks: OnceLock::new(),
            count: (cache_bytes / BYTES_PER_MARK).max(1),
        }
    }

    /// Bytes that the marks take once there are any.
    pub(super) fn bytes(&self) -> usize {
        self.count * size_of::<AtomicU16>()
    }

    /// The cache is full.
    pub(super) fn begin(&self) {
        let marks = || iter::repeat_with(AtomicU16::default).take(self.count).collect();
        self.marks.get_or_init(marks);
    }

    /// True if a key with this hash is to be taken now. If not, it is when it is asked for next.
    pub(super) fn takes(&self, hash: u64) -> bool {
        self.mark_of(hash)
            .is_none_or(|(place, mark)| place.swap(mark, Ordering::Relaxed) == mark)
    }

    /// A key with this hash is to be taken when it is asked for next.
    pub(super) fn expect(&self, hash: u64) {
        if let Some((place, mark)) = self.mark_of(hash) {
            place.store(mark, Ordering::Relaxed);
        }
    }

    fn mark_of(&self, hash: u64) -> Option<(&AtomicU16, u16)> {
        let marks = self.marks.get()?;
        // By the upper half; the mark is of the lower one, and never that of no key.
        let place = ((hash >> 32) * marks.len() as u64) >> 32;
        Some((marks.get(place as usize)?, hash as u16 | 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_taken_until_it_is_full_and_then_those_asked_for_twice() {
        let admission = Admission::new(64 * 1024);
        let hash = |key: u64| key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        assert!((0..100).all(|key| admission.takes(hash(key))));
        admission.begin();
        let (once, twice) = (hash(1), hash(2));
        assert!(!admission.takes(once));
        assert!(!admission.takes(twice) && admission.takes(twice));
        admission.expect(hash(3));
        assert!(admission.takes(hash(3)));
        // Of a thousand others hardly any is taken for one that was asked for, and those asked for long ago are forgotten.
        let taken = (1_000..2_000).filter(|key| admission.takes(hash(*key)));
        assert!(taken.count() < 10);
        assert!(!admission.takes(once));
    }
}
