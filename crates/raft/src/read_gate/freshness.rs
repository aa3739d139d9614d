//! Since when this replica's state is certainly complete.
//!
//! A round tells which entry was committed, at least, when it was *sent*: everything acknowledged before
//! that moment stands at or below that entry. Once the entry is applied, the state has all of it. Only
//! this replica's own clock is read, at the sending: what the leader's clock shows says nothing here,
//! and by the time of the answer more may have been acknowledged that the answer does not cover.

use std::collections::VecDeque;

use atoll_env::Instant;
use parking_lot::Mutex;

/// Rounds that wait for apply, at most. More only while apply stands still, when more help nobody.
const PENDING_MAX: usize = 32;

/// The newest completed round whose entry is applied, and those that wait for that.
#[derive(Default)]
pub(super) struct Freshness(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    since: Option<Instant>,
    /// When each was sent and what it must see applied; both ascend.
    pending: VecDeque<(Instant, u64)>,
}

impl Freshness {
    /// A round sent at `sent` has found that entry `index` is committed.
    pub(super) fn record(&self, sent: Instant, index: u64) {
        let pending = &mut self.0.lock().pending;
        // A later round that needs no more than an earlier one replaces it.
        while pending.back().is_some_and(|(_, needs)| *needs >= index) || pending.len() == PENDING_MAX {
            pending.pop_back();
        }
        pending.push_back((sent, index));
    }

    /// With the entries below `next` applied, the state has everything acknowledged before the returned
    /// moment.
    pub(super) fn since(&self, next: u64) -> Option<Instant> {
        let mut inner = self.0.lock();
        while let Some((sent, _)) = inner.pending.front().copied().filter(|(_, index)| *index < next) {
            inner.since = inner.since.max(Some(sent));
            inner.pending.pop_front();
        }
        inner.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_round_counts_from_its_sending_once_its_entry_is_applied() {
        let freshness = Freshness::default();
        assert_eq!(freshness.since(100), None);
        freshness.record(at(10), 5);
        freshness.record(at(20), 8);
        assert_eq!(freshness.since(5), None);
        assert_eq!(freshness.since(8), Some(at(10)));
        assert_eq!(freshness.since(8), Some(at(10)));
        assert_eq!(freshness.since(9), Some(at(20)));
    }

    #[test]
    fn a_later_round_replaces_what_needs_as_much() {
        let freshness = Freshness::default();
        freshness.record(at(10), 9);
        freshness.record(at(20), 9);
        assert_eq!(freshness.0.lock().pending.len(), 1);
        // As after a change of leader.
        freshness.record(at(30), 7);
        assert_eq!(freshness.since(8), Some(at(30)));
        // It never goes back.
        freshness.record(at(25), 8);
        assert_eq!(freshness.since(10), Some(at(30)));
    }

    #[test]
    fn apply_that_stands_still_gathers_no_more_than_the_bound() {
        let freshness = Freshness::default();
        for round in 1..=1000 {
            freshness.record(at(round), round);
        }
        assert_eq!(freshness.0.lock().pending.len(), PENDING_MAX);
        assert_eq!(freshness.since(0), None);
        assert_eq!(
            freshness.since(6),
            Some(at(5)),
            "the oldest are the first to be reached"
        );
        assert_eq!(
            freshness.since(1001),
            Some(at(1000)),
            "and the newest is known too"
        );
    }
}
