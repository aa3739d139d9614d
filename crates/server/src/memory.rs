//! One amount of memory, divided.

use atoll_storage::StoreOptions;
use atoll_types::limits::TAIL_BYTES;

/// With less than this, hardly anything would be found in memory.
pub(crate) const MEMORY_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// What a node takes that is told nothing.
pub(crate) const MEMORY_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// A group whose rows in memory take more than this is written to a run however much memory there is: a restart applies
/// again what is not.
const CHECKPOINT_MEMORY_MAX: usize = 32 * 1024 * 1024;

/// The parts of a node's memory that grow with data and load, in bytes. Together they are what was divided.
///
/// Not among them: what every key in files takes (its part of filters and of the tops of runs), sessions, requests under way, and
/// the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShares {
    /// Rows of all groups that are not in a run yet.
    pub rows: usize,
    /// Newest entries of all logs.
    pub tail: usize,
    /// Blocks of runs.
    pub block_cache: usize,
    /// Rows read from files.
    pub row_cache: usize,
}

impl MemoryShares {
    /// Divides so many bytes:
    /// - a quarter for rows that are not in a run yet. More of it means fewer, longer runs, but beyond that it helps no read;
    /// - a quarter for the newest entries, at most 64 MiB: followers that are further behind read the disk in long pieces;
    /// - what is left in halves for blocks and for rows. A row found spares all work below memory; a block found serves all rows in it,
    ///   also those that are asked for the first time.
    pub fn of(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let rows = bytes / 4;
        let tail = rows.min(TAIL_BYTES);
        let caches = bytes - rows - tail;
        let block_cache = caches / 2;
        Self {
            rows,
            tail,
            block_cache,
            row_cache: caches - block_cache,
        }
    }

    /// The same store, keeping to them.
    pub fn within(self, store: StoreOptions) -> StoreOptions {
        StoreOptions {
            // One group alone may take all that may be written to at a time.
            checkpoint_memory: CHECKPOINT_MEMORY_MAX.min(self.rows / 2),
            row_memory: self.rows,
            block_cache: self.block_cache,
            row_cache: self.row_cache,
            ..store
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn the_parts_are_the_whole() {
        for bytes in [0, 1, 7, 1000, 256 << 20, (1 << 40) + 3, u64::MAX] {
            let MemoryShares {
                rows,
                tail,
                block_cache,
                row_cache,
            } = MemoryShares::of(bytes);
            assert_eq!((rows + tail + block_cache + row_cache) as u64, bytes);
            assert!(tail <= TAIL_BYTES && tail <= rows);
            assert!(
                row_cache.abs_diff(block_cache) <= 1 && block_cache >= tail,
                "{bytes}"
            );
        }
    }

    #[test]
    fn a_small_node_has_quarters_and_a_large_one_caches() {
        let shares = |mib: u64| {
            let shares = MemoryShares::of(mib << 20);
            [shares.rows, shares.tail, shares.block_cache, shares.row_cache].map(|bytes| bytes / MIB)
        };
        assert_eq!(shares(256), [64, 64, 64, 64]);
        assert_eq!(shares(64), [16, 16, 16, 16]);
        assert_eq!(shares(4096), [1024, 64, 1504, 1504]);
    }

    #[test]
    fn no_group_alone_takes_more_than_may_be_written_to() {
        let store = StoreOptions {
            checkpoint_log: 7,
            ..StoreOptions::default()
        };
        let within = |mib: u64| MemoryShares::of(mib << 20).within(store);
        let limit = |mib: u64| within(mib).checkpoint_memory / MIB;
        assert_eq!((limit(64), limit(256), limit(4096)), (8, 32, 32));
        assert_eq!(within(256).checkpoint_log, 7, "the rest stays as it is");
    }
}
