//! What a disk did not read, left alone for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_env::Instant;

/// After this it is tried again. A disk mostly goes on refusing what it refused, and every try costs a merge that comes to
/// nothing; but one that recovers, or a file that was mended, must not hold space until the next start. So each time it was in
/// vain, the wait is twice as long.
const AVOID_FIRST: Duration = Duration::from_secs(600);
const AVOID_LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Numbers of segments or files, each with when it may be tried again, and how long that was.
pub(in crate::store) struct Avoided<N>(BTreeMap<N, (Instant, Duration)>);

impl<N: Ord> Avoided<N> {
    /// Leaves it alone from now on. If it is left alone already, that takes no longer.
    pub(in crate::store) fn add(&mut self, number: N, now: Instant) {
        let (until, wait) = self.0.entry(number).or_insert((now, AVOID_FIRST / 2));
        if *until <= now {
            *wait = (*wait * 2).min(AVOID_LONGEST);
            *until = now + *wait;
        }
    }

    /// True while it is to be left alone.
    pub(in crate::store) fn has(&self, number: &N, now: Instant) -> bool {
        self.0.get(number).is_some_and(|(until, _)| *until > now)
    }

    /// How many are left alone.
    pub(in crate::store) fn count(&self, now: Instant) -> usize {
        self.0.values().filter(|(until, _)| *until > now).count()
    }

    pub(in crate::store) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<N> Default for Avoided<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_and_is_not_put_off() {
        let mut avoided = Avoided::default();
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        avoided.add(7_u32, at(10));
        avoided.add(7, at(300));
        assert!(avoided.has(&7, at(609)) && !avoided.has(&7, at(610)) && !avoided.has(&8, at(10)));
        assert_eq!((avoided.count(at(609)), avoided.count(at(610))), (1, 0));
        avoided.add(7, at(610));
        assert!(
            avoided.has(&7, at(1_809)) && !avoided.has(&7, at(1_810)),
            "twice as long"
        );
        for _ in 0..20 {
            avoided.add(7, at(10_000_000));
            avoided.add(7, at(20_000_000));
        }
        assert!(!avoided.has(&7, at(20_000_000 + 24 * 3600)), "a day at most");
    }
}
