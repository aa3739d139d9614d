//! What a read may see, and which replica is asked.

use std::time::Duration;

use atoll_proto::v1;

use crate::token::SessionToken;

/// What a read may see. Every level reads from one state of one replica; what differs is how old that
/// state may be.
///
/// ```no_run
/// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
/// use std::time::Duration;
/// use atoll_client::{Consistency, Routing};
///
/// // Reads that may be half a second old, from the replica that answers fastest.
/// let relaxed = client
///     .with_consistency(Consistency::Bounded(Duration::from_millis(500)))
///     .with_routing(Routing::Fastest);
/// let read = relaxed.read("greeting").await?;
/// println!("{:?}, at most {:?} old", read.value, read.proof.age);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Every write that was acknowledged before the read began. Any replica can serve it; it costs the
    /// replica one round with a quorum, which reads made at the same time share.
    #[default]
    Linearizable,
    /// At least everything the token has seen, and everything this client has seen itself. A replica
    /// that is not that far yet waits or passes the read on. An empty token
    /// (`SessionToken::default()`) therefore means: what this client wrote and read.
    Session(SessionToken),
    /// A state at most this old. By the replica's own monotonic clock, no wall clock is involved. A
    /// replica that cannot promise it passes the read on. Whole milliseconds; parts are cut off.
    Bounded(Duration),
    /// Whatever the replica has. The reply says how old it may be, if the replica knows.
    Eventual,
}

impl Consistency {
    pub(crate) fn wire(&self) -> v1::Consistency {
        match self {
            Self::Linearizable => v1::Consistency::Linearizable,
            Self::Session(_) => v1::Consistency::Session,
            Self::Bounded(_) => v1::Consistency::Bounded,
            Self::Eventual => v1::Consistency::Eventual,
        }
    }
}

/// Which replica of a group a read is sent to first. Writes always go to the leader. Replicas that
/// fail are left out for a while under every policy but [`Routing::Leader`], which has no choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// The leader. Linearizable reads have the fewest hops there, and the leader the most work.
    #[default]
    Leader,
    /// A replica in the client's own zone ([`ClientBuilder::zone`](crate::ClientBuilder::zone)), and
    /// among several the one with the lowest observed latency. A replica of another zone is taken only
    /// if none of the own zone is healthy, or those are stuck: if it answers in less than a quarter
    /// of their latency less 20 ms.
    Nearest,
    /// All replicas in turn.
    RoundRobin,
    /// Two replicas drawn at random, and of these the one with the lower latency times calls under
    /// way. Spreads load over equal replicas and leaves slow ones alone, but for a look now and then.
    Fastest,
}
