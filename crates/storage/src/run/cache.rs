//! Blocks read lately, of all runs of a node.
//!
//! A run never changes, so a cached block needs no invalidation; its sum was checked when it was read. Blocks
//! of runs that are gone are pushed out in time.

use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use rustc_hash::FxBuildHasher;

use super::block::{BLOCK_TARGET, Block};

/// Longer blocks hold one row that would push out many.
const BLOCK_CACHED_MAX: usize = 64 * 1024;
/// About what an entry costs beside its bytes, with the heads of its keys.
const ENTRY_OVERHEAD: u64 = 384;

/// An opened run, and the offset in its file.
type Place = (u64, u64);

#[derive(Clone)]
struct Weigh;

impl Weighter<Place, Block> for Weigh {
    fn weight(&self, _place: &Place, block: &Block) -> u64 {
        block.bytes().len() as u64 + ENTRY_OVERHEAD
    }
}

/// Bounded by bytes. The hasher has no randomness of its own, so that runs of the simulator can be repeated.
pub struct BlockCache {
    blocks: Option<Cache<Place, Block, Weigh, FxBuildHasher>>,
    /// Runs opened with this cache.
    runs: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl BlockCache {
    /// A cache of at most so many bytes; 0: none.
    pub fn new(bytes: usize) -> Self {
        let blocks = (bytes > 0).then(|| {
            let items = bytes / BLOCK_TARGET;
            Cache::with(
                items,
                bytes as u64,
                Weigh,
                FxBuildHasher,
                DefaultLifecycle::default(),
            )
        });
        Self {
            blocks,
            runs: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Blocks found here so far.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Blocks looked for in vain.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Bytes it takes now, about.
    pub fn memory_bytes(&self) -> u64 {
        self.blocks.as_ref().map_or(0, Cache::weight)
    }

    /// A number under which no other run stands here.
    pub(super) fn register(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn get(&self, run: u64, offset: u64) -> Option<Block> {
        let found = self.blocks.as_ref()?.get(&(run, offset));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(super) fn insert(&self, run: u64, offset: u64, block: &Block) {
        if let Some(blocks) = self
            .blocks
            .as_ref()
            .filter(|_| block.bytes().len() <= BLOCK_CACHED_MAX)
        {
            blocks.insert((run, offset), block.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of so many bytes, with a single row.
    fn block(len: usize) -> Block {
        let mut bytes = vec![0; len];
        bytes[len - 2] = 1;
        Block::new(bytes.into()).unwrap()
    }

    #[test]
    fn the_bound_holds_and_zero_means_none() {
        let cache = BlockCache::new(64 * 1024);
        let (one, other) = (cache.register(), cache.register());
        for offset in 0..1_000 {
            cache.insert(one, offset, &block(1000));
        }
        let kept = (0..1_000).filter(|offset| cache.get(one, *offset).is_some());
        let kept = kept.count();
        assert!(kept > 0 && kept * 1000 <= 64 * 1024, "{kept}");
        assert_eq!((cache.hits(), cache.misses()), (kept as u64, 1_000 - kept as u64));
        assert!(
            (0..1_000).all(|offset| cache.get(other, offset).is_none()),
            "of another run"
        );
        cache.insert(other, 0, &block(BLOCK_CACHED_MAX + 1));
        assert!(cache.get(other, 0).is_none());
        let none = BlockCache::new(0);
        none.insert(1, 1, &block(10));
        assert!(none.get(1, 1).is_none());
    }
}
