//! Settings of a client, and of one call.

use std::time::Duration;

use atoll_types::Version;

use crate::consistency::{Consistency, Routing};

/// Settings of a client. The defaults suit a cluster in one data centre. Most programs use
/// [`Client::builder`](crate::Client::builder) instead, which has the same settings as methods.
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
    /// Where this client is, in the words of the nodes' `--zone`; empty: not told. Used by
    /// [`Routing::Nearest`].
    pub zone: String,
    /// Which replica reads are sent to, unless a call says otherwise.
    pub routing: Routing,
    /// What reads may see, unless a call says otherwise.
    pub consistency: Consistency,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(2),
            attempt_timeout: Duration::from_millis(2_500),
            exactly_once: true,
            zone: String::new(),
            routing: Routing::Leader,
            consistency: Consistency::Linearizable,
        }
    }
}

/// What may differ from call to call.
#[derive(Clone, Debug)]
pub(crate) struct CallOptions {
    pub(crate) deadline: Duration,
    pub(crate) routing: Routing,
    pub(crate) consistency: Consistency,
    /// What reads see; zero: what there is now.
    pub(crate) at: Version,
}

/// Of calls that the client makes for itself.
pub(crate) static PLAIN: CallOptions = CallOptions {
    deadline: Duration::ZERO,
    routing: Routing::Leader,
    consistency: Consistency::Linearizable,
    at: Version::ZERO,
};

impl From<&Options> for CallOptions {
    fn from(options: &Options) -> Self {
        Self {
            deadline: options.deadline,
            routing: options.routing,
            consistency: options.consistency.clone(),
            at: Version::ZERO,
        }
    }
}
