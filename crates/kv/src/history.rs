//! How far back a group can be read.
//!
//! The *horizon* is the lowest version that can be read at. It is the same on every replica, because it is made of the log alone: of
//! group time, of versions and of the bytes of entries. Now and then an entry leaves a *mark* (its time, the group's last version, the
//! bytes so far); the horizon is the version of the newest mark that is older than the window, or of a later one if more was written
//! since than may be kept. So what can be read is at least the window, and at most a thirty-second part more.

use std::collections::VecDeque;

use atoll_types::Version;

/// The window, and the cap of bytes, are divided into so many parts; one mark is left for each.
const PARTS: u64 = 32;
/// Marks are never more: those within the window, those within the cap, and one at either end.
pub(crate) const MARKS_MAX: usize = 2 * PARTS as usize + 2;

/// How much history is kept: whatever is shorter. Neither is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Milliseconds of group time.
    pub window_ms: u64,
    /// Bytes of log entries: what was written within the window, at most.
    pub bytes: u64,
}

/// A point of the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) time_ms: u64,
    pub(crate) version: Version,
    /// Bytes of entries since history began.
    pub(crate) written: u64,
}

/// What a group that keeps history knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) limits: HistoryLimits,
    /// Oldest first: the horizon. Times, versions and bytes never fall.
    pub(crate) marks: VecDeque<Mark>,
    pub(crate) written: u64,
}

impl History {
    /// From an entry on: nothing before it is known to be kept.
    pub(crate) fn begin(limits: HistoryLimits, time_ms: u64, version: Version) -> Self {
        let first = Mark {
            time_ms,
            version,
            written: 0,
        };
        Self {
            limits,
            marks: [first].into(),
            written: 0,
        }
    }

    pub(crate) fn horizon(&self) -> Version {
        self.marks.front().map_or(Version::ZERO, |mark| mark.version)
    }

    /// True if the horizon will rise without anything being written.
    pub(crate) fn is_passing(&self, last: Version) -> bool {
        self.horizon() < last
    }

    /// At the end of an entry.
    pub(crate) fn advance(&mut self, time_ms: u64, version: Version, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
        let now = Mark {
            time_ms,
            version,
            written: self.written,
        };
        let HistoryLimits { window_ms, bytes } = self.limits;
        let newest = self.marks.back().copied().unwrap_or_default();
        let is_due = now.written - newest.written >= (bytes / PARTS).max(1)
            || now.time_ms - newest.time_ms >= (window_ms / PARTS).max(1);
        if is_due && version > newest.version {
            self.marks.push_back(now);
        }
        while let (Some(first), Some(second)) = (self.marks.front(), self.marks.get(1)) {
            let is_over = now.time_ms - second.time_ms >= window_ms || now.written - first.written > bytes;
            if !is_over && self.marks.len() <= MARKS_MAX {
                break;
            }
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: HistoryLimits = HistoryLimits {
        window_ms: 6_400,
        bytes: 1 << 40,
    };

    #[test]
    fn the_window_is_kept_and_little_more() {
        let mut history = History::begin(LIMITS, 1_000, Version(50));
        for step in 1..1_000_u64 {
            let now = 1_000 + step * 10;
            history.advance(now, Version(50 + step), 100);
            // Written at 10 ms a version.
            let oldest = 1_000 + (history.horizon().0 - 50) * 10;
            assert!(now - oldest <= 6_400 + 200 + 10, "{oldest} at {now}");
            assert!(
                now - oldest >= 6_400 - 10 || history.horizon() == Version(50),
                "{oldest} at {now}"
            );
        }
    }

    #[test]
    fn without_writes_the_horizon_reaches_the_last_version() {
        let mut history = History::begin(LIMITS, 0, Version(1));
        history.advance(10, Version(9), 100);
        assert!(history.is_passing(Version(9)));
        for step in 1..=9_u64 {
            history.advance(step * 1_000, Version(9), 10);
        }
        assert!(!history.is_passing(Version(9)));
        assert_eq!(history.marks.len(), 1);
    }

    #[test]
    fn many_bytes_shorten_it() {
        let limits = HistoryLimits {
            window_ms: 1 << 40,
            bytes: 3_200,
        };
        let mut history = History::begin(limits, 0, Version(0));
        for step in 1..1_000_u64 {
            history.advance(0, Version(step), 10);
            let kept = (step - history.horizon().0) * 10;
            assert!(
                kept <= 3_200 && (kept >= 3_100 || step < 320),
                "{kept} after {step}"
            );
        }
        history.advance(0, Version(2_000), 1 << 30);
        assert_eq!(history.horizon(), Version(2_000), "one entry beyond all of it");
    }

    proptest! {
        #[test]
        fn marks_are_few_and_never_fall(
            window_ms in 1..100_000_u64, bytes in 1..100_000_u64,
            entries in prop::collection::vec((0..20_000_u64, 0..3_u64, 0..20_000_u64), 0..300),
        ) {
            let mut history = History::begin(HistoryLimits { window_ms, bytes }, 5, Version(7));
            let (mut time, mut version, mut horizon) = (5, 7, Version(7));
            for (elapsed, versions, written) in entries {
                time += elapsed;
                version += versions;
                history.advance(time, Version(version), written);
                prop_assert!(history.marks.len() <= MARKS_MAX);
                prop_assert!(history.horizon() >= horizon && history.horizon() <= Version(version));
                horizon = history.horizon();
                let marks: Vec<_> = history.marks.iter().collect();
                prop_assert!(marks.windows(2).all(|two| two[0].version < two[1].version
                    && two[0].time_ms <= two[1].time_ms && two[0].written <= two[1].written));
            }
        }
    }
}
