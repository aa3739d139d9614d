//! How a node has behaved lately, as this client has felt it: a circuit breaker.
//!
//! Three states, over all groups that the node has replicas of:
//!
//! - *healthy*: fewer than [`FAILURES`] calls in a row have failed. One success forgets the failures.
//! - *ejected*: reads are not routed to it until a point in time, 0.5 s away at first.
//! - *half-open*: that point has passed. One real call goes to it as a probe, by moving the point on
//!   by a pause that doubles up to 30 s. So a probe that is never heard of again holds nothing up: the
//!   next one comes when its pause is over. If a probe, or any other call, succeeds, the node is
//!   healthy.
//!
//! Only calls that tell something about the node count: links that cannot be made or break, and replies
//! that do not come in time. A refusal, whatever it says, is about one group, and the node may serve
//! others well. Who is asked when every replica is ejected is decided by the caller, who has to ask
//! somebody.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use atoll_env::{Instant, Rng};

/// Failures in a row that eject a node. One may be anybody's bad luck, and a restart of a node breaks
/// all calls at once anyway.
const FAILURES: u32 = 3;
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Health {
    /// In a row, while healthy.
    failures: AtomicU32,
    /// When the next probe is due, in nanoseconds of the clock; 0: healthy.
    probe_at: AtomicU64,
    /// Probes sent since it was ejected.
    probes: AtomicU32,
}

impl Health {
    /// A call was answered. Costs two loads while all is well.
    pub(crate) fn succeeded(&self) {
        // A success may fall between the two steps of an ejection, and leave a node that is ejected
        // without failures.
        if self.failures.load(Relaxed) != 0 || self.is_ejected() {
            self.failures.store(0, Relaxed);
            self.probe_at.store(0, Relaxed);
        }
    }

    /// A call failed in a way that the node is to blame for; true if that ejected it.
    pub(crate) fn failed(&self, now: Instant, rng: &Rng) -> bool {
        // What was sent before it was ejected still fails for a while, and says nothing new.
        if self.is_ejected() || self.failures.fetch_add(1, Relaxed) + 1 < FAILURES {
            return false;
        }
        self.probes.store(0, Relaxed);
        self.probe_at.store(pause_end(now, 0, rng), Relaxed);
        true
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.probe_at.load(Relaxed) != 0
    }

    /// When the next probe is due; healthy nodes come first.
    pub(crate) fn probe_at(&self) -> u64 {
        self.probe_at.load(Relaxed)
    }

    /// True for one caller if a probe is due: its call is the probe.
    pub(crate) fn claim_probe(&self, now: Instant, rng: &Rng) -> bool {
        let due = self.probe_at.load(Relaxed);
        if due == 0 || now.as_nanos() < due {
            return false;
        }
        let probes = self.probes.load(Relaxed).saturating_add(1);
        let next = pause_end(now, probes, rng);
        let claimed = self
            .probe_at
            .compare_exchange(due, next, Relaxed, Relaxed)
            .is_ok();
        if claimed {
            self.probes.store(probes, Relaxed);
        }
        claimed
    }
}

/// The end of a pause of 0.5 s times two to the `step`, shortened by up to a half at random, so that
/// clients that saw the same failure do not probe together.
fn pause_end(now: Instant, step: u32, rng: &Rng) -> u64 {
    let longest = FIRST.saturating_mul(1 << step.min(10)).min(LONGEST);
    (now + longest.mul_f64(0.5 + rng.fraction() / 2.0)).as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn three_failures_in_a_row_eject() {
        let (health, rng) = (Health::default(), Rng::seeded(1));
        for _ in 0..5 {
            assert!(!health.failed(at(1), &rng));
            assert!(!health.failed(at(1), &rng));
            health.succeeded();
        }
        assert!(!health.is_ejected());
        assert_eq!([(); 3].map(|()| health.failed(at(1), &rng)), [false, false, true]);
        assert!(health.is_ejected());
        health.succeeded();
        assert!(!health.is_ejected());
    }

    #[test]
    fn a_success_in_the_midst_of_an_ejection_does_not_make_it_last_for_ever() {
        let (health, rng) = (Health::default(), Rng::seeded(1));
        assert_eq!([(); 2].map(|()| health.failed(at(1), &rng)), [false, false]);
        // The steps of `failed`, with those of `succeeded` in between.
        health.failures.fetch_add(1, Relaxed);
        health.succeeded();
        health.probe_at.store(pause_end(at(1), 0, &rng), Relaxed);
        assert!(health.is_ejected());
        health.succeeded();
        assert!(!health.is_ejected());
    }

    #[test]
    fn one_probe_at_a_time_with_growing_pauses_that_stay_bounded() {
        let (health, rng) = (Health::default(), Rng::seeded(1));
        assert_eq!([(); 3].map(|()| health.failed(at(0), &rng)), [false, false, true]);
        let mut probes = Vec::new();
        for ms in 0..200_000 {
            if health.claim_probe(at(ms), &rng) {
                assert!(
                    !health.claim_probe(at(ms), &rng),
                    "the second caller goes elsewhere"
                );
                probes.push(ms);
                health.failed(at(ms), &rng);
            }
        }
        assert!((250..=500).contains(&probes[0]), "{probes:?}");
        let gaps: Vec<u64> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((500..=1_000).contains(&gaps[0]), "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= 30_001), "{gaps:?}");
        assert!(gaps.last().unwrap() >= &15_000, "{gaps:?}");
        assert!((9..=20).contains(&probes.len()), "{probes:?}");
    }
}
