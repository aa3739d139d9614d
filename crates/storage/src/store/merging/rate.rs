//! How fast merges may go: as fast as is set, and leaving the disk to the journal while its syncs are slow. Unless writes outrun them
//! ([`Backlog`]): then a bound would only let the journal grow.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Clock, Instant};

use crate::journal::Journal;
use crate::store::space::backlog::Backlog;

/// A merge that was slower than it may be makes up for so much of it.
const BURST: Duration = Duration::from_millis(100);
/// Waits shorter than this are put off.
const WAIT_MIN: Duration = Duration::from_millis(10);
/// Bytes after which others on the same thread get their turn, at the latest.
const TURN_BYTES: u64 = 256 * 1024;
/// How long to leave the disk to the journal when its syncs are slow.
const STAND_BACK: Duration = Duration::from_millis(250);

/// A token bucket over the clock of the environment: how much a merge did says when it may go on.
pub(in crate::store) struct Rate {
    clock: Clock,
    /// Bytes per second; 0: no bound.
    per_second: u64,
    backlog: Arc<Backlog>,
    /// When what was taken so far has been paid for, in nanoseconds of the clock.
    paid_at: u64,
    /// Taken since others had their turn.
    untold: u64,
    slow_syncs: u64,
}

impl Rate {
    /// So many bytes per second, 0: no bound, but as fast as it goes while merges lag behind.
    pub(in crate::store) fn new(
        clock: &Clock,
        per_second: u64,
        backlog: &Arc<Backlog>,
        journal: &Journal,
    ) -> Self {
        Self {
            clock: clock.clone(),
            per_second,
            backlog: backlog.clone(),
            paid_at: clock.now().as_nanos(),
            untold: 0,
            slow_syncs: journal.stats().slow_syncs,
        }
    }

    /// Counts bytes that were read or written. Waits if they were too many, and if the disk is slow to
    /// sync what users write.
    pub(in crate::store) async fn take(&mut self, bytes: u64, journal: &Journal) {
        self.untold += bytes;
        if self.untold < TURN_BYTES {
            return;
        }
        let bytes = std::mem::take(&mut self.untold);
        let wait = if self.backlog.is_behind(journal) {
            Duration::ZERO
        } else {
            self.spend(bytes)
        };
        if wait >= WAIT_MIN {
            self.clock.sleep(wait).await;
        } else {
            tokio::task::yield_now().await;
        }
        let slow_syncs = journal.stats().slow_syncs;
        if slow_syncs > self.slow_syncs {
            self.slow_syncs = slow_syncs;
            self.clock.sleep(STAND_BACK).await;
        }
    }

    /// How long to wait after so many bytes.
    fn spend(&mut self, bytes: u64) -> Duration {
        if self.per_second == 0 {
            return Duration::ZERO;
        }
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.per_second);
        let now = self.clock.now().as_nanos();
        let from = self.paid_at.max(now.saturating_sub(BURST.as_nanos() as u64));
        self.paid_at = from.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX));
        Instant::from_nanos(self.paid_at).since(Instant::from_nanos(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u64) -> Rate {
        let clock = Clock::simulated(1.0, 0);
        Rate {
            paid_at: clock.now().as_nanos(),
            clock,
            per_second,
            backlog: Arc::new(Backlog::new(u64::MAX)),
            untold: 0,
            slow_syncs: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn on_average_it_is_as_fast_as_it_may_be() {
        let mut rate = rate(1_000_000);
        let begun = rate.clock.now();
        for _ in 0..100 {
            let wait = rate.spend(100_000);
            rate.clock.sleep(wait).await;
        }
        let took = rate.clock.now().since(begun);
        assert!(
            (Duration::from_millis(9_890)..Duration::from_millis(10_200)).contains(&took),
            "{took:?}"
        );
        // What was not used for long is not saved up.
        rate.clock.sleep(Duration::from_secs(60)).await;
        assert!(rate.spend(1_000_000) >= Duration::from_millis(890));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_bound_nothing_is_waited_for() {
        let mut rate = rate(0);
        assert_eq!(rate.spend(u64::MAX), Duration::ZERO);
    }
}
