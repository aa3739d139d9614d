//! What a run found.

use std::collections::BTreeMap;

/// Counts by name.
pub type Counts = BTreeMap<&'static str, u64>;

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Repeats the run.
    pub seed: u64,
    /// Stands for all events and all frames, with their times.
    pub trace_hash: u64,
    /// Operations of clients, by outcome; `writes`, `reads`, `conflicts`, `failed` and `unknown`.
    pub operations: Counts,
    /// Faults that really happened, by kind.
    pub faults: Counts,
    /// Interesting states, and how often they were reached.
    pub reached: Counts,
    /// How often each invariant was checked.
    pub checked: Counts,
    /// Frames, requests and answers delivered.
    pub frames: u64,
    /// Steps of the plan.
    pub steps: usize,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Everything that must never happen and did.
    pub violations: Vec<String>,
    /// The trace's text, if it was asked for.
    pub trace: Vec<String>,
}

impl Report {
    /// Operations with this outcome.
    pub fn operations_with(&self, outcome: &str) -> u64 {
        self.operations.get(outcome).copied().unwrap_or(0)
    }

    /// How often an invariant was checked.
    pub fn checks_of(&self, invariant: &str) -> u64 {
        self.checked.get(invariant).copied().unwrap_or(0)
    }

    /// Faults whose kind begins like this.
    pub fn faults_like(&self, beginning: &str) -> u64 {
        let like = self.faults.iter().filter(|(kind, _)| kind.starts_with(beginning));
        like.map(|(_, count)| count).sum()
    }
}
