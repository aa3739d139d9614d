//! How much time an entry carries.

use std::time::Duration;

use atoll_env::Instant;

/// What one entry carries at most; a leader that was suspended for a week makes no week pass.
const ELAPSED_MAX: Duration = Duration::from_secs(60);

/// Time since the previous entry under one and the same leadership `L`. A leaderless period adds
/// nothing, so a deadline in group time can come late but never early.
#[derive(Debug)]
pub(crate) struct Elapsed<L>(Option<(L, Instant)>);

impl<L> Default for Elapsed<L> {
    fn default() -> Self {
        Self(None)
    }
}

impl<L: PartialEq> Elapsed<L> {
    /// The milliseconds that an entry made now carries.
    pub(crate) fn pass(&mut self, leadership: L, now: Instant) -> u32 {
        let (elapsed, counted) = match &self.0 {
            Some((previous, at)) if *previous == leadership => {
                let elapsed = now.since(*at);
                // Entries carry whole milliseconds; what is left counts for the next, or time would stand
                // still under load.
                let whole = Duration::from_millis(elapsed.as_millis() as u64);
                if elapsed > ELAPSED_MAX {
                    (ELAPSED_MAX, now)
                } else {
                    (whole, *at + whole)
                }
            }
            _ => (Duration::ZERO, now),
        };
        self.0 = Some((leadership, counted));
        elapsed.as_millis() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_us(us: u64) -> Instant {
        Instant::from_nanos(us * 1000)
    }

    #[test]
    fn no_fraction_is_lost_however_many_entries_there_are() {
        let mut elapsed = Elapsed::default();
        // Three entries in each millisecond, for ten seconds.
        let total: u32 = (0..=30_000)
            .map(|entry| elapsed.pass(1, at_us(entry * 1000 / 3)))
            .sum();
        assert_eq!(total, 10_000);
    }

    #[test]
    fn a_change_of_leadership_adds_nothing_and_a_long_pause_no_more_than_the_most() {
        let mut elapsed = Elapsed::default();
        assert_eq!(elapsed.pass(1, at_us(5_000_000)), 0);
        assert_eq!(elapsed.pass(1, at_us(5_007_000)), 7);
        assert_eq!(elapsed.pass(2, at_us(9_000_000)), 0);
        assert_eq!(elapsed.pass(2, at_us(9_001_000)), 1);
        assert_eq!(elapsed.pass(2, at_us(900_000_000)), 60_000);
        assert_eq!(elapsed.pass(2, at_us(900_003_000)), 3);
        // Time that seems to go back passes not at all.
        assert_eq!(elapsed.pass(2, at_us(1)), 0);
    }
}
