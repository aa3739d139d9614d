//! Making a client.

use std::time::Duration;

use atoll_env::Env;

use crate::client::Client;
use crate::consistency::{Consistency, Routing};
use crate::error::Error;
use crate::options::Options;

/// Settings of a client to be made. See [`Client::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), atoll_client::Error> {
/// use std::time::Duration;
/// use atoll_client::{Client, Routing};
///
/// let client = Client::builder()
///     .seeds(["db1:7400", "db2:7400", "db3:7400"])
///     .deadline(Duration::from_secs(5))
///     .zone("room-a")
///     .routing(Routing::Nearest)
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    seeds: Vec<String>,
    options: Options,
}

impl ClientBuilder {
    /// Adds addresses (`host:port`) to ask for the shard map. Any node of the cluster will do, and one
    /// that answers is enough; name several, so that the client can start while one of them is down.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.seeds.extend(seeds.into_iter().map(Into::into));
        self
    }

    /// How long one call may take in all, retries included. Default: 15 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options.deadline = deadline;
        self
    }

    /// How long making one connection may take. Default: 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// How long one sending of a call waits for its reply before the call is sent again, elsewhere if
    /// there is elsewhere. Default: 2.5 s, twice that after the first such wait, and so on.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.options.attempt_timeout = timeout;
        self
    }

    /// Whether writes carry a session and a number, so that sending one again cannot do it twice.
    /// Default: true. Without, a write whose reply is lost ends as
    /// [`ErrorKind::Unknown`](crate::ErrorKind::Unknown).
    pub fn exactly_once(mut self, exactly_once: bool) -> Self {
        self.options.exactly_once = exactly_once;
        self
    }

    /// Where this program runs, in the words of the nodes' `--zone`. Used by [`Routing::Nearest`].
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.options.zone = zone.into();
        self
    }

    /// Which replica reads are sent to. Default: [`Routing::Leader`].
    pub fn routing(mut self, routing: Routing) -> Self {
        self.options.routing = routing;
        self
    }

    /// What reads may see. Default: [`Consistency::Linearizable`].
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.options.consistency = consistency;
        self
    }

    /// Connects: returns when some seed has handed out a shard map. Needs a running tokio runtime with
    /// time and I/O enabled. Fails with [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if no
    /// seed answers within the deadline. Dropping the future closes what was opened.
    pub async fn build(self) -> Result<Client, Error> {
        self.build_in(&Env::real()).await
    }

    /// Like [`ClientBuilder::build`], with another clock, randomness and network: for simulators.
    pub async fn build_in(self, env: &Env) -> Result<Client, Error> {
        Client::connect(env, &self.seeds, self.options).await
    }
}
