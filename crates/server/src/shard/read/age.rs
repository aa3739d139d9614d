//! How old a replica's state may be, by its own clock (D23), and keeping it young while somebody cares.
//!
//! The last completed read-index round whose entry is applied was sent at t0: the state has everything
//! acknowledged before t0, so it is no older than the time since. A hundredth is added for a clock that
//! runs slow. Nobody else's clock is asked.
//!
//! Linearizable reads make rounds anyway. Where there are only eventual and bounded ones, one task per
//! replica makes a round a second, and ends a few seconds after the last of them: idle costs nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_env::{Env, Instant};

use super::Shard;

/// No round was completed yet.
pub(super) const UNKNOWN_MS: u64 = u64::MAX;
/// Rounds for the age alone are at least so far apart.
const PERIOD: Duration = Duration::from_secs(1);
/// For so long after the last read that cares, the age is kept low.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// How old a state may be, in milliseconds rounded up, that is complete up to `since`.
pub(super) fn age_ms(since: Option<Instant>, now: Instant) -> u64 {
    let Some(since) = since else { return UNKNOWN_MS };
    let nanos = now.since(since).as_nanos();
    u64::try_from((nanos * 101).div_ceil(100 * 1_000_000)).unwrap_or(UNKNOWN_MS)
}

/// Remembers whether anybody cares about the age.
#[derive(Debug, Default)]
pub(crate) struct Refresher {
    /// When an eventual or bounded read came last.
    asked: AtomicU64,
    /// True while the task runs.
    awake: AtomicBool,
}

impl Refresher {
    /// True if the caller must start the task.
    fn ask(&self, now: Instant) -> bool {
        self.asked.store(now.as_nanos(), Ordering::SeqCst);
        !self.awake.swap(true, Ordering::SeqCst)
    }

    /// True if the task ends now.
    fn ends(&self, now: Instant) -> bool {
        let is_quiet = || now.since(Instant::from_nanos(self.asked.load(Ordering::SeqCst))) > KEPT_FOR;
        if !is_quiet() {
            return false;
        }
        self.awake.store(false, Ordering::SeqCst);
        // Whoever asked in between may have seen the task awake and started none.
        is_quiet() || self.awake.swap(true, Ordering::SeqCst)
    }
}

impl Shard {
    /// Milliseconds the state may be old, at most; `None`: not known.
    pub(crate) fn age_ms(&self) -> Option<u64> {
        let since = self.reads.fresh_since()?;
        Some(age_ms(Some(since), self.env.clock.now()))
    }

    /// Says that somebody cares about the age.
    pub(super) fn keep_fresh(self: &Arc<Self>) {
        if self.refresher.ask(self.env.clock.now()) {
            // Ends by itself.
            drop(
                self.env
                    .spawn
                    .spawn(refresh(self.env.clone(), Arc::downgrade(self))),
            );
        }
    }
}

async fn refresh(env: Env, shard: Weak<Shard>) {
    loop {
        let now = env.clock.now();
        let Some(shard) = shard.upgrade() else { return };
        if shard.refresher.ends(now) {
            return;
        }
        let due = shard.reads.fresh_since().map_or(now, |since| since + PERIOD);
        let reads = shard.reads.clone();
        drop(shard);
        if due > now {
            env.clock.sleep_until(due).await;
        } else if reads.wait().await.is_err() {
            env.clock.sleep(PERIOD).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn an_age_is_the_time_since_and_a_hundredth_rounded_up() {
        assert_eq!(age_ms(None, at(5)), UNKNOWN_MS);
        assert_eq!(age_ms(Some(at(1000)), at(1000)), 0);
        assert_eq!(age_ms(Some(at(1000)), at(2000)), 1010);
        assert_eq!(age_ms(Some(at(1000)), at(1001)), 2);
        assert_eq!(age_ms(Some(Instant::from_nanos(0)), Instant::from_nanos(1)), 1);
        assert_eq!(
            age_ms(Some(at(0)), Instant::from_nanos(u64::MAX)),
            18_631_211_514_447
        );
    }

    #[test]
    fn one_task_runs_while_somebody_cares() {
        let refresher = Refresher::default();
        assert!(refresher.ask(at(10_000)));
        assert!(!refresher.ask(at(10_100)));
        assert!(!refresher.ends(at(15_100)));
        assert!(refresher.ends(at(15_101)));
        assert!(refresher.ask(at(15_200)), "the next one starts it again");
    }
}
