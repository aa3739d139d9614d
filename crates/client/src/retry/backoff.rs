//! Exponential backoff with full jitter.

use std::time::Duration;

use atoll_env::Rng;

/// The first pause is at most this long: a leader's death is noticed by the first call that fails,
/// and the next leader is often there already.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);
/// Keeps a run of lucky draws from becoming a busy loop.
const SHORTEST: Duration = Duration::from_millis(1);

/// Pauses whose bound doubles from 10 ms to 1 s; each is drawn evenly from zero to the bound
/// (Brooker, "Exponential Backoff and Jitter", 2015).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    step: u32,
}

impl Backoff {
    /// The next pause.
    pub(crate) fn next(&mut self, rng: &Rng) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.step.min(10)).min(LONGEST);
        self.step = self.step.saturating_add(1);
        bound.mul_f64(rng.fraction()).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_below_a_doubling_bound() {
        let rng = Rng::seeded(1);
        let mut longest = [Duration::ZERO; 12];
        for _ in 0..500 {
            let mut backoff = Backoff::default();
            for slot in &mut longest {
                *slot = backoff.next(&rng).max(*slot);
            }
        }
        for (step, seen) in longest.iter().enumerate() {
            let bound = Duration::from_millis(10 << step).min(LONGEST);
            assert!(
                *seen <= bound && *seen > bound.mul_f64(0.9),
                "step {step}: {seen:?} of {bound:?}"
            );
        }
    }
}
