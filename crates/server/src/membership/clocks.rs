//! Whose wall clock is wrong.
//!
//! Versions follow the wall clock of whoever leads, and never go back: one clock that runs ahead lifts
//! the versions of every group it leads for good. No guarantee hangs on it, but versions that say
//! nothing about time are worth less, so a node that finds itself apart from the others says so and
//! leaves leading to them. Readings come with greetings and are as exact as half a round trip.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_env::Instant;
use atoll_types::NodeId;
use parking_lot::Mutex;

use crate::identity::MEMBERS_MAX;

/// How far a clock may be from the median of all, in milliseconds.
const APART_MS_MAX: u64 = 500;
/// Older readings say nothing about now.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// With fewer clocks nobody can tell which one is wrong.
const CLOCKS_MIN: usize = 3;

/// What other nodes' clocks showed when they last answered.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<BTreeMap<NodeId, Reading>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// By how much it is ahead of this node's.
    ahead_ms: i64,
    taken: Instant,
}

impl Clocks {
    /// Another node's clock is so far ahead of this node's.
    pub(crate) fn note(&self, node: NodeId, ahead_ms: i64, now: Instant) {
        let mut readings = self.0.lock();
        if readings.len() < MEMBERS_MAX || readings.contains_key(&node) {
            readings.insert(node, Reading { ahead_ms, taken: now });
        }
    }

    /// By how many milliseconds this node's clock is ahead of the median of all, its own included.
    /// `None` while too few are known.
    pub(crate) fn own_offset_ms(&self, now: Instant) -> Option<i64> {
        self.median_ahead_ms(now).map(i64::saturating_neg)
    }

    /// True if this node is known to be apart from the others.
    pub(crate) fn own_is_apart(&self, now: Instant) -> bool {
        self.own_offset_ms(now)
            .is_some_and(|offset| offset.unsigned_abs() > APART_MS_MAX)
    }

    /// True if another node's clock is known to agree with the median.
    pub(crate) fn agrees(&self, node: NodeId, now: Instant) -> bool {
        let reading = self.fresh(now).into_iter().find(|(fresh, _)| *fresh == node);
        match (reading, self.median_ahead_ms(now)) {
            (Some((_, ahead)), Some(median)) => ahead.abs_diff(median) <= APART_MS_MAX,
            _ => false,
        }
    }

    /// True if a node may be given a leadership that it does not need to have: its clock agrees well enough
    /// for it not to hand the leadership back at once, or too few clocks are known to tell.
    pub(crate) fn may_lead(&self, node: NodeId, now: Instant) -> bool {
        let Some(median) = self.median_ahead_ms(now) else {
            return true;
        };
        let reading = self.fresh(now).into_iter().find(|(fresh, _)| *fresh == node);
        reading.is_some_and(|(_, ahead)| ahead.abs_diff(median) <= APART_MS_MAX / 2)
    }

    fn fresh(&self, now: Instant) -> Vec<(NodeId, i64)> {
        let readings = self.0.lock();
        let fresh = readings
            .iter()
            .filter(|(_, reading)| now.since(reading.taken) < FRESH_FOR);
        fresh.map(|(&node, reading)| (node, reading.ahead_ms)).collect()
    }

    /// Of two in the middle the one nearer to this node's: in doubt nobody is wrong.
    fn median_ahead_ms(&self, now: Instant) -> Option<i64> {
        let mut ahead: Vec<i64> = self.fresh(now).into_iter().map(|(_, ahead)| ahead).collect();
        ahead.push(0);
        if ahead.len() < CLOCKS_MIN {
            return None;
        }
        ahead.sort_unstable();
        let upper = ahead.len() / 2;
        let lower = (ahead.len() - 1) / 2;
        let middle = [ahead.get(lower), ahead.get(upper)];
        middle
            .into_iter()
            .flatten()
            .copied()
            .min_by_key(|ahead| ahead.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_nanos(secs * 1_000_000_000)
    }

    fn clocks(ahead: &[i64]) -> Clocks {
        let clocks = Clocks::default();
        for (node, &ahead) in (2..).zip(ahead) {
            clocks.note(NodeId(node), ahead, at(1));
        }
        clocks
    }

    #[test]
    fn the_one_apart_from_all_others_is_the_wrong_one() {
        let ours_wrong = clocks(&[-3_000, -3_010]);
        assert_eq!(ours_wrong.own_offset_ms(at(2)), Some(3_000));
        assert!(ours_wrong.own_is_apart(at(2)));
        assert!(ours_wrong.agrees(NodeId(2), at(2)) && ours_wrong.agrees(NodeId(3), at(2)));

        let theirs_wrong = clocks(&[10, 90_000]);
        assert!(!theirs_wrong.own_is_apart(at(2)));
        assert!(theirs_wrong.agrees(NodeId(2), at(2)));
        assert!(!theirs_wrong.agrees(NodeId(3), at(2)) && !theirs_wrong.may_lead(NodeId(3), at(2)));
        // Close to the bound: it may go on leading, but is not asked to begin.
        let close = clocks(&[10, 400]);
        assert!(close.agrees(NodeId(3), at(2)) && !close.may_lead(NodeId(3), at(2)));
        assert!(close.may_lead(NodeId(2), at(2)) && clocks(&[9_000]).may_lead(NodeId(2), at(2)));
        // Nothing is known of it.
        assert!(!theirs_wrong.agrees(NodeId(9), at(2)) && !theirs_wrong.may_lead(NodeId(9), at(2)));
    }

    #[test]
    fn two_clocks_cannot_tell_and_half_a_second_is_still_together() {
        let two = clocks(&[90_000]);
        assert_eq!(two.own_offset_ms(at(2)), None);
        assert!(!two.own_is_apart(at(2)) && !two.agrees(NodeId(2), at(2)));
        assert!(!clocks(&[-500, -500]).own_is_apart(at(2)));
        assert!(clocks(&[501, 501]).own_is_apart(at(2)));
        // Two against two: in doubt nobody is wrong.
        assert!(!clocks(&[0, 9_000, 9_000]).own_is_apart(at(2)));
    }

    #[test]
    fn old_readings_count_no_more() {
        let clocks = clocks(&[5_000, 5_000]);
        assert!(clocks.own_is_apart(at(30)));
        assert!(!clocks.own_is_apart(at(31)));
        clocks.note(NodeId(2), 0, at(40));
        clocks.note(NodeId(3), 0, at(40));
        assert_eq!(clocks.own_offset_ms(at(41)), Some(0));
    }
}
