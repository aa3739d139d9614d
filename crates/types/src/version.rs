//! Versions: hybrid logical clock readings. Order, not time.

use std::fmt;

/// 48 bits of milliseconds and a 16-bit counter (Kulkarni et al., "Logical Physical Clocks", 2014).
/// Strictly increasing within a group. Nothing is decided by reading a time out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// Below every version a write can get.
    pub const ZERO: Self = Self(0);

    /// The lowest version of a millisecond.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis << 16)
    }

    /// The millisecond part.
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The next version; saturates at the end of time (year 10889).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
