//! How much of the disk's time scrubbing may have.

use std::time::Duration;

/// When files are read again to find damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubOptions {
    /// Bytes per second that may be read for it, on average; 0: nothing is read.
    pub bytes_per_second: u64,
    /// From the beginning of one round to that of the next, at least.
    pub period: Duration,
    /// From the start of the process to the first round.
    pub first_after: Duration,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self {
            bytes_per_second: 8 * 1024 * 1024,
            period: Duration::from_secs(7 * 24 * 3600),
            first_after: Duration::from_secs(60),
        }
    }
}
