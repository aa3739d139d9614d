//! What one replica's sendings tell each other and whoever looks at the replica.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_types::ReplicaId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// One per replica.
#[derive(Default)]
pub(crate) struct Board {
    /// Followers that wait for their turn or are being sent to.
    served: AtomicUsize,
    /// Followers that got a snapshot and are on their way to where the log ended then.
    returning: AtomicUsize,
    /// Why the last try to send to a follower failed, until the next one gets through.
    troubles: Mutex<BTreeMap<ReplicaId, String>>,
    /// A node is back: what waits because it could not be reached need not.
    pub(crate) back: Notify,
}

impl Board {
    /// A follower is served until what is returned is dropped.
    pub(crate) fn serve(self: &Arc<Self>) -> Served {
        self.served.fetch_add(1, Ordering::Relaxed);
        Served(Arc::clone(self))
    }

    pub(crate) fn set_returning(&self, followers: usize) {
        self.returning.store(followers, Ordering::Relaxed);
    }

    /// Followers that count on this replica: they are served, or on their way.
    pub(crate) fn busy(&self) -> usize {
        self.served.load(Ordering::Relaxed) + self.returning.load(Ordering::Relaxed)
    }

    pub(crate) fn set_trouble(&self, to: ReplicaId, why: Option<String>) {
        let mut troubles = self.troubles.lock();
        match why {
            Some(why) => troubles.insert(to, why),
            None => troubles.remove(&to),
        };
    }

    pub(crate) fn troubles(&self) -> Vec<(ReplicaId, String)> {
        let troubles = self.troubles.lock();
        troubles.iter().map(|(to, why)| (*to, why.clone())).collect()
    }
}

/// A follower that is served.
pub(crate) struct Served(Arc<Board>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.served.fetch_sub(1, Ordering::Relaxed);
    }
}
