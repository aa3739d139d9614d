//! How long a node takes to answer: a moving average that rises at once and falls slowly.
//!
//! "Peak EWMA", as in Finagle: a reply that took longer than the average becomes the average, a faster
//! one pulls it down with a time constant of 10 s. While nothing is heard of a node its average decays
//! by itself, so that a node left alone because it was slow is tried again; one call at a time, for
//! with a call under way the average counts as it was last observed.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use atoll_env::Instant;
use parking_lot::Mutex;

const SETTLING: Duration = Duration::from_secs(10);
/// Of a node that was asked and has not answered yet: the first call goes alone if there is a choice.
const UNKNOWN: f64 = 1e9;

#[derive(Debug, Default)]
pub(crate) struct Latency {
    average: Mutex<Average>,
    /// Calls under way that will be observed.
    pending: AtomicU32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    nanos: f64,
    /// When it was observed; the start of the clock: never.
    at: Instant,
}

impl Latency {
    /// Notes that a call begins; it ends when the guard is dropped.
    pub(crate) fn begin(&self) -> Pending<'_> {
        self.pending.fetch_add(1, Relaxed);
        Pending(self)
    }

    /// Notes how long a call took, with or without success.
    pub(crate) fn observe(&self, now: Instant, took: Duration) {
        let took = took.as_nanos() as f64;
        let mut average = self.average.lock();
        let kept = kept_share(now.since(average.at));
        average.nanos = if took > average.nanos {
            took
        } else {
            average.nanos * kept + took * (1.0 - kept)
        };
        average.at = now;
    }

    /// The latency to expect, in nanoseconds; 0 if there is nothing to go by and nobody is finding out.
    pub(crate) fn expected(&self, now: Instant) -> f64 {
        let average = *self.average.lock();
        let pending = self.pending.load(Relaxed) > 0;
        match (average.at == Instant::default(), pending) {
            (true, true) => UNKNOWN,
            (true, false) => 0.0,
            (false, true) => average.nanos,
            (false, false) => average.nanos * kept_share(now.since(average.at)),
        }
    }

    /// The expected latency, times the calls that one more would have to share the node with.
    pub(crate) fn load(&self, now: Instant) -> f64 {
        self.expected(now) * (f64::from(self.pending.load(Relaxed)) + 1.0)
    }
}

/// How much of an old average counts after a while.
fn kept_share(age: Duration) -> f64 {
    (-age.as_secs_f64() / SETTLING.as_secs_f64()).exp()
}

/// A call under way.
pub(crate) struct Pending<'a>(&'a Latency);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rises_at_once_falls_slowly_and_decays_when_left_alone() {
        let latency = Latency::default();
        let mut now = Instant::from_nanos(1);
        assert!(latency.expected(now) < 1.0);
        latency.observe(now, MS);
        latency.observe(now, MS * 500);
        assert!(
            (latency.expected(now) - 5e8).abs() < 1.0,
            "a stall counts at once"
        );
        for _ in 0..100 {
            now = now + MS * 100;
            latency.observe(now, MS);
        }
        let settled = latency.expected(now);
        assert!(
            (1e8..3e8).contains(&settled),
            "after one time constant: {settled}"
        );
        now = now + SETTLING * 10;
        assert!(latency.expected(now) < 1e5);
        let trial = latency.begin();
        assert!(latency.expected(now) >= settled, "one trial at a time");
        drop(trial);
        assert!(latency.expected(now) < 1e5);
    }

    #[test]
    fn load_grows_with_calls_under_way() {
        let latency = Latency::default();
        let now = Instant::from_nanos(1);
        latency.observe(now, MS);
        let calls: Vec<_> = (0..9).map(|_| latency.begin()).collect();
        assert!((latency.load(now) - 1e7).abs() < 1.0);
        drop(calls);
        assert!((latency.load(now) - 1e6).abs() < 1.0);
    }
}
