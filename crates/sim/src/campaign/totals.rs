//! The sum of many runs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::session::{Counts, Report};

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Time it took.
    pub wall: Duration,
    /// Operations of clients, by outcome.
    pub operations: Counts,
    /// Faults that happened, by kind.
    pub faults: Counts,
    /// Interesting states reached.
    pub reached: Counts,
    /// Checks of invariants.
    pub checked: Counts,
    /// Frames, requests and answers delivered.
    pub frames: u64,
    /// What was violated, by seed.
    pub failures: BTreeMap<u64, Vec<String>>,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.simulated += Duration::from_millis(report.simulated_ms);
        self.frames += report.frames;
        let counts = [
            (&mut self.operations, &report.operations),
            (&mut self.faults, &report.faults),
            (&mut self.reached, &report.reached),
            (&mut self.checked, &report.checked),
        ];
        for (total, one) in counts {
            for (name, count) in one {
                *total.entry(name).or_default() += count;
            }
        }
        if !report.violations.is_empty() {
            self.failures.insert(report.seed, report.violations.clone());
        }
    }

    /// Simulated seconds per second.
    pub fn speed(&self) -> f64 {
        self.simulated.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }
}
