//! Counters of a client.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a client has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Frames written to pipes.
    pub frames_sent: u64,
    /// Operations in those frames.
    pub operations_sent: u64,
    /// Frames read from pipes.
    pub frames_received: u64,
    /// Attempts after a failure that was not a redirect.
    pub retries: u64,
    /// Answers that named another leader.
    pub redirects: u64,
    /// Answers that the server is overloaded.
    pub overloaded: u64,
    /// Answers that stored bytes are damaged on one replica; such reads go on at another.
    pub corrupt: u64,
    /// Attempts that got no reply in time.
    pub timeouts: u64,
    /// Links opened.
    pub links_opened: u64,
    /// Links that broke, or could not be opened.
    pub links_lost: u64,
    /// Times that a node was left out of reads for a while, because calls to it had failed.
    pub ejections: u64,
    /// Shard maps fetched.
    pub map_fetches: u64,
    /// Sessions opened, counted per group.
    pub sessions_opened: u64,
    /// Client ids given up because a group had forgotten them.
    pub sessions_renewed: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The live form of [`ClientStats`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> ClientStats {
                ClientStats { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters!(
    frames_sent,
    operations_sent,
    frames_received,
    retries,
    redirects,
    overloaded,
    corrupt,
    timeouts,
    links_opened,
    links_lost,
    ejections,
    map_fetches,
    sessions_opened,
    sessions_renewed,
);

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
