//! What a node counts about the calls it answers or passes on. Monotonic since start.

use std::sync::atomic::{AtomicU64, Ordering};

use atoll_proto::v1::error_detail::Kind;

/// Calls that were not simply done here.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    forwarded: AtomicU64,
    redirected: AtomicU64,
    overloaded: AtomicU64,
}

impl Traffic {
    /// A call was passed on to another node.
    pub(crate) fn passed_on(&self) {
        self.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    /// An operation was answered with an error.
    pub(crate) fn refused(&self, kind: Kind) {
        let counter = match kind {
            Kind::NotLeader | Kind::NotOwner => &self.redirected,
            Kind::Overloaded => &self.overloaded,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls passed on.
    pub(crate) fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// Operations answered with a hint where else to go.
    pub(crate) fn redirected(&self) -> u64 {
        self.redirected.load(Ordering::Relaxed)
    }

    /// Operations shed.
    pub(crate) fn overloaded(&self) -> u64 {
        self.overloaded.load(Ordering::Relaxed)
    }
}
