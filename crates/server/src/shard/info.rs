//! What a shard shows of itself.

use super::Shard;
use super::counters::{Counters, HistogramCounts};

/// Figures for status and metrics. Counters are monotonic since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardInfo {
    /// Keys, about: one that stands in several layers of the index counts more than once.
    pub(crate) keys: u64,
    /// The last entry that a restart need not apply again; 0: none.
    pub(crate) checkpoint_index: u64,
    /// Runs, and their bytes.
    pub(crate) runs: (usize, u64),
    /// Bytes of the index in memory.
    pub(crate) index_bytes: u64,
    /// Sessions open.
    pub(crate) sessions: u64,
    /// Slots owned.
    pub(crate) owned_slots: usize,
    /// True once the group has been given its slots.
    pub(crate) has_genesis: bool,
    /// True once requests are served.
    pub(crate) ready: bool,
    /// Entries this node packed.
    pub(crate) entries: u64,
    /// Commands in them.
    pub(crate) commands: u64,
    /// Read operations answered.
    pub(crate) reads: u64,
    /// Of them, those served while another replica led.
    pub(crate) follower_reads: u64,
    /// Milliseconds the state may be old, at most; `None`: not known.
    pub(crate) age_ms: Option<u64>,
    /// Batches of reads that waited for the read index.
    pub(crate) read_batches: u64,
    /// Rounds of the read index.
    pub(crate) read_rounds: u64,
    /// Reads that had to leave the runtime.
    pub(crate) cold_reads: u64,
    /// How many commands each entry carried.
    pub(crate) commands_per_entry: HistogramCounts,
}

impl Shard {
    /// Figures now.
    pub(crate) fn info(&self) -> ShardInfo {
        let owned_slots = self.state.ownerships.newest().owned();
        ShardInfo {
            keys: self.state.index.len() as u64,
            checkpoint_index: self.store.flushed_index(),
            runs: self.store.runs(),
            index_bytes: self.state.index.memory_bytes() as u64,
            sessions: self.state.sessions() as u64,
            owned_slots,
            has_genesis: owned_slots > 0,
            ready: self.is_ready(),
            entries: Counters::get(&self.counters.entries),
            commands: Counters::get(&self.counters.commands),
            reads: Counters::get(&self.counters.reads),
            follower_reads: Counters::get(&self.counters.follower_reads),
            age_ms: self.age_ms(),
            read_batches: Counters::get(&self.counters.read_batches),
            read_rounds: self.reads.rounds(),
            cold_reads: Counters::get(&self.counters.cold_reads),
            commands_per_entry: self.counters.commands_per_entry.counts(),
        }
    }
}
