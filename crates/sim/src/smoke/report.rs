//! What a run found.

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Repeats the run.
    pub seed: u64,
    /// Stands for all events and all frames, with their times.
    pub trace_hash: u64,
    /// Operations of clients.
    pub operations: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Reads that were answered.
    pub reads: usize,
    /// Compare-and-sets that found another version.
    pub conflicts: usize,
    /// Operations that certainly did nothing.
    pub failed: usize,
    /// Operations of unknown outcome.
    pub unknown: usize,
    /// Processes that crashed.
    pub crashes: usize,
    /// Links that were cut, in one direction or both.
    pub cuts: usize,
    /// States of replicas that were compared with another replica's at the same log index.
    pub compared: usize,
    /// Frames, requests and answers delivered.
    pub frames: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Everything that must never happen and did.
    pub violations: Vec<String>,
    /// The trace's text, if it was asked for.
    pub trace: Vec<String>,
}
