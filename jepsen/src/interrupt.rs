//! Being told to stop: whoever waits looks up, and what was begun is put in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_env::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// A wish to stop early. Clones are the same wish.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    changed: Notify,
}

impl Interrupt {
    /// Nobody wishes anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stop as soon as it can be done in order.
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Whether somebody wished it.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Waits until somebody wishes it.
    pub async fn raised(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.is_raised() {
                return;
            }
            changed.await;
        }
    }

    /// Waits, but not longer than until it is raised. True if it is.
    pub async fn sleep(&self, clock: &Clock, interval: Duration) -> bool {
        // Either way is fine, and which one it was is asked after.
        let _ = clock.timeout(interval, self.raised()).await;
        self.is_raised()
    }

    /// Raises it at the first Ctrl-C or SIGTERM, for as long as the future lives; the second one ends this process
    /// at once, and with it all nodes.
    pub async fn on_signals(&self) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        either(&mut interrupt, &mut terminate).await;
        self.raise();
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(2)
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_ends_every_wait() {
        let interrupt = Interrupt::new();
        let clock = Clock::boot();
        assert!(!interrupt.sleep(&clock, Duration::from_millis(1)).await);
        let other = interrupt.clone();
        let long = Duration::from_secs(600);
        let (first, second, ()) = tokio::join!(
            interrupt.sleep(&clock, long),
            interrupt.sleep(&clock, long),
            async { other.raise() },
        );
        assert!(first && second && interrupt.sleep(&clock, long).await);
    }
}
