//! Values read from files lately, by place.
//!
//! A place in the journal never holds other bytes: segment numbers are not used again. So a cached value needs
//! no invalidation, also if its segment was freed. It saves the system call, not the check: every read, cached or not, is compared
//! with its pointer's checksum.

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use rustc_hash::FxBuildHasher;

/// Larger values would push out many small ones, and their read costs little beside their transfer.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// About what an entry costs beside its bytes.
const ENTRY_OVERHEAD: u64 = 128;
/// For the size of the table at the start, which is memory that an idle node holds; it grows.
const FIRST_VALUE_BYTES: usize = 8 * 1024;

/// Segment and offset.
type Place = (u32, u32);

#[derive(Clone)]
struct Weigh;

impl Weighter<Place, Bytes> for Weigh {
    fn weight(&self, _place: &Place, value: &Bytes) -> u64 {
        value.len() as u64 + ENTRY_OVERHEAD
    }
}

/// Bounded by bytes. The hasher has no randomness of its own, so that runs can be repeated.
pub(crate) struct ValueCache(Option<Cache<Place, Bytes, Weigh, FxBuildHasher>>);

impl ValueCache {
    /// A cache of at most so many bytes; 0: none.
    pub(crate) fn new(bytes: usize) -> Self {
        Self((bytes > 0).then(|| {
            let items = bytes / FIRST_VALUE_BYTES;
            Cache::with(
                items,
                bytes as u64,
                Weigh,
                FxBuildHasher,
                DefaultLifecycle::default(),
            )
        }))
    }

    pub(crate) fn get(&self, segment: u32, offset: u32) -> Option<Bytes> {
        self.0.as_ref()?.get(&(segment, offset))
    }

    pub(crate) fn insert(&self, segment: u32, offset: u32, value: &Bytes) {
        if let Some(cache) = self.0.as_ref().filter(|_| value.len() <= VALUE_BYTES_MAX) {
            cache.insert((segment, offset), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_zero_means_none() {
        let cache = ValueCache::new(64 * 1024);
        for offset in 0..10_000 {
            cache.insert(1, offset, &Bytes::from(vec![1; 100]));
        }
        let kept: usize = (0..10_000)
            .filter_map(|offset| cache.get(1, offset))
            .map(|value| value.len())
            .sum();
        assert!(kept > 0 && kept <= 64 * 1024, "{kept}");
        cache.insert(2, 0, &Bytes::from(vec![1; VALUE_BYTES_MAX + 1]));
        assert!(cache.get(2, 0).is_none());
        let none = ValueCache::new(0);
        none.insert(1, 1, &Bytes::from_static(b"x"));
        assert!(none.get(1, 1).is_none());
    }
}
