//! Points of time as openraft sees them, on the process's [`Tempo`].
//!
//! Every group ticks on its own, 25 times a second, at a phase openraft draws at random. On a node with
//! many idle groups each tick would wake a thread and each heartbeat be a packet. So points that are
//! slept for are moved to a common grid: the ticks of all groups wake a thread once, and the heartbeats
//! of all groups to one peer leave in one frame.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use atoll_env::Tempo;

/// Width of the grid: how much later than asked a timer may fire. Small against the shortest election
/// timeout.
const GRID_NS: i64 = 50_000_000;

/// Nanoseconds of the process's tempo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(i64);

impl Instant {
    /// The next line of the grid, now or later.
    pub(super) fn on_grid(self) -> Self {
        let beyond = self.0.rem_euclid(GRID_NS);
        let left = if beyond == 0 { 0 } else { GRID_NS - beyond };
        Self(self.0.saturating_add(left))
    }

    /// How long the runtime has to sleep from now on.
    pub(super) fn wait(self) -> Duration {
        Tempo::current().until(self.0)
    }
}

impl openraft_rt::Instant for Instant {
    fn now() -> Self {
        Self(Tempo::current().now_ns())
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, span: Duration) {
        *self = *self - span;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero if `earlier` is later, as with the standard library's.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_move_to_the_next_line_and_never_back() {
        let ms = |ms: i64| Instant(ms * 1_000_000);
        for (point, line) in [
            (0, 0),
            (1, 50),
            (49, 50),
            (50, 50),
            (51, 100),
            (-1, 0),
            (-50, -50),
            (-60, -50),
        ] {
            assert_eq!(ms(point).on_grid(), ms(line), "{point}");
        }
    }

    #[test]
    fn arithmetic_is_that_of_the_standard_library() {
        let (early, late) = (Instant(5), Instant(12));
        assert_eq!(late - early, Duration::from_nanos(7));
        assert_eq!(early - late, Duration::ZERO);
        assert_eq!(early + Duration::from_nanos(7), late);
        assert_eq!(late - Duration::from_nanos(7), early);
        let mut point = early;
        point += Duration::from_nanos(10);
        point -= Duration::from_nanos(3);
        assert_eq!(point, late);
        assert_eq!(early + Duration::MAX, Instant(i64::MAX));
    }
}
