//! Settings of a client.

use std::time::Duration;

/// Settings of a client. The defaults suit a cluster in one data centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long one call may take in all, retries included.
    pub deadline: Duration,
    /// How long making one connection may take.
    pub connect_timeout: Duration,
    /// How long one sending of a call waits for its reply before the call is sent again, elsewhere if
    /// there is elsewhere. Doubles with every such wait. Only for calls that are safe to repeat.
    pub attempt_timeout: Duration,
    /// Writes carry a session and a sequence number, so that a retry never applies one twice. Without,
    /// a write whose reply is lost ends as [`ErrorKind::Unknown`](crate::ErrorKind::Unknown).
    pub exactly_once: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(2),
            attempt_timeout: Duration::from_millis(2_500),
            exactly_once: true,
        }
    }
}
