//! Ending a link from outside of its two directions.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// Why a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Our own receiver was dropped.
    Dropped = 1,
    /// The server stops.
    Stopping = 2,
}

/// Shared by both directions of one link.
#[derive(Debug, Default)]
pub(super) struct Cut {
    reason: AtomicU8,
    sending: AtomicWaker,
    receiving: AtomicWaker,
}

impl Cut {
    /// Ends both directions. The first reason stays.
    pub(super) fn cut(&self, reason: Reason) {
        let _ = self
            .reason
            .compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        self.sending.wake();
        self.receiving.wake();
    }

    /// Why the link ends, if it does; else wakes the sending direction when that is known.
    pub(super) fn poll_sending(&self, context: &Context<'_>) -> Option<Reason> {
        self.sending.register(context.waker());
        self.reason()
    }

    /// Why the link ends, if it does; else wakes the receiving direction when that is known.
    pub(super) fn poll_receiving(&self, context: &Context<'_>) -> Option<Reason> {
        self.receiving.register(context.waker());
        self.reason()
    }

    fn reason(&self) -> Option<Reason> {
        match self.reason.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Reason::Dropped),
            _ => Some(Reason::Stopping),
        }
    }
}
