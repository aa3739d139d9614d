//! What can be chosen about a run.

use std::time::Duration;

/// How long and how much. Everything else comes from the seed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Simulated time with faults.
    pub chaos: Duration,
    /// Client processes.
    pub clients: usize,
    /// Tasks of each client process that ask one thing after the other.
    pub workers: usize,
    /// Keys they share.
    pub keys: usize,
    /// Keep the trace's text in the report.
    pub keep_trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chaos: Duration::from_secs(10),
            clients: 3,
            workers: 2,
            keys: 5,
            keep_trace: false,
        }
    }
}
