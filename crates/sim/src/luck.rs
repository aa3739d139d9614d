//! Randomness of a run: one generator per purpose, so that a change in one place leaves the others
//! as they were.

use std::ops::Range;
use std::time::Duration;

use atoll_env::Rng;

/// A number for one purpose, from the run's seed.
pub(crate) fn derive(seed: u64, purpose: &str, number: u64) -> u64 {
    let mut hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    for byte in purpose.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Rng::seeded(hash).bits64()
}

/// The generator of one purpose.
pub(crate) struct Luck(Rng);

impl Luck {
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        Self(Rng::seeded(derive(seed, purpose, 0)))
    }

    pub(crate) fn bits64(&self) -> u64 {
        self.0.bits64()
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    pub(crate) fn between(&self, range: Range<u64>) -> u64 {
        range.start + self.0.below(range.end.saturating_sub(range.start))
    }

    pub(crate) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.between(range))
    }

    /// One of some.
    pub(crate) fn pick<T: Clone>(&self, from: &[T]) -> T {
        let at = self.0.below(from.len() as u64) as usize;
        from.get(at).cloned().expect("there is something to pick from")
    }

    /// Between 0 and 1.
    pub(crate) fn fraction(&self) -> f64 {
        self.0.fraction()
    }
}
