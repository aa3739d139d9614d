//! What can be set.

use crate::codec::Compression;

/// When checkpoints are made, when space is taken back, and what reading may keep in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of one group's index in memory from which on it is frozen and written to a run.
    pub checkpoint_memory: usize,
    /// Bytes of entries applied since the last checkpoint from which on there is another, so that a restart has no
    /// more than that to apply per group, and about as much again that came while one was written.
    pub checkpoint_log: u64,
    /// Bytes that the rows in memory of all groups together may take, frozen ones included. From half of it on that are not frozen, the
    /// group with the most of them checkpoints. While the disk does not take them there may be more.
    pub row_memory: usize,
    /// Bytes of blocks of runs kept in memory for all groups; 0: none.
    pub block_cache: usize,
    /// Bytes of rows kept in memory for all groups after they were read from files; 0: none.
    pub row_cache: usize,
    /// Bytes from which on a chunk of a snapshot takes no more rows; more than 1 MiB counts as that.
    pub snapshot_chunk: usize,
    /// Bytes that the disk must keep free while a snapshot is received; 0: it is not looked at.
    pub keep_free: u64,
    /// Bytes that the journal should have at most. From seven eighths of it on, values are moved out of its oldest segments until those can
    /// go that are beyond five eighths.
    pub journal_budget: u64,
    /// Bytes of a value file beyond which the next is begun, or fewer for a group that has not many; one value may exceed it.
    pub value_file_bytes: u64,
    /// Bytes per second that merges may read and write, on average; 0: as many as the disk can, as also when the journal has more
    /// than twice its budget. Checkpoints are not held up.
    pub maintenance_rate: u64,
    /// How values are packed in value files; the same for entries is up to whoever makes them.
    pub compression: Compression,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            checkpoint_memory: 32 * 1024 * 1024,
            checkpoint_log: 64 * 1024 * 1024,
            row_memory: 256 * 1024 * 1024,
            block_cache: 64 * 1024 * 1024,
            row_cache: 64 * 1024 * 1024,
            snapshot_chunk: 1024 * 1024,
            keep_free: 0,
            journal_budget: 512 * 1024 * 1024,
            value_file_bytes: 256 * 1024 * 1024,
            maintenance_rate: 64 * 1024 * 1024,
            compression: Compression::default(),
        }
    }
}
