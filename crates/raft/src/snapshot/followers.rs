//! What of a leader's log its followers still need.
//!
//! openraft purges nothing at all while entries up to the mark are on their way to somebody, so a follower that answers, but always
//! from behind the mark, would keep everything. So the mark is set where no follower that moves is behind it, as long as that
//! keeps no more than a bound; beyond the bound a follower is given up: it is sent no entries from before the mark any more,
//! which ends what is on its way, the log goes, and a snapshot follows.
//!
//! Whoever got a snapshot must not be given up on the way from there to where the log ended when it came: the next snapshot would
//! take as long, and with enough writes there would be no end. What is written meanwhile bounds what this keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_env::Instant;
use atoll_types::ReplicaId;

/// A follower that got no further for so long is not waited for. Longer than an append may take.
const STILL_LIMIT: Duration = Duration::from_secs(4);
/// The same for one that got a snapshot: it has to come back from a long absence.
const RETURN_LIMIT: Duration = Duration::from_secs(60);

/// The followers of one leader, as they were when last looked at.
#[derive(Default)]
pub(crate) struct Followers(BTreeMap<ReplicaId, Seen>);

struct Seen {
    /// The last entry known to be there.
    matched: Option<u64>,
    /// When it got there, or was last seen to need nothing that is to go.
    moved: Instant,
    /// It got a snapshot, and has not everything yet that the log had then.
    returning: Option<Return>,
}

struct Return {
    /// The snapshot's last entry.
    from: u64,
    /// The log's last entry when it had arrived.
    to: u64,
}

/// Up to where a log may be purged for one reason or another; `None`: nothing of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// Where it is.
    pub(crate) purged: Option<u64>,
    /// If no follower needed anything.
    pub(crate) wanted: Option<u64>,
    /// Although followers need it.
    pub(crate) bound: Option<u64>,
}

impl Followers {
    /// Looks at them: `matched` has what each is known to have, `arrived` who got a snapshot up to where since the last look,
    /// and `last` is the log's last entry. Up to `wanted` it is to go.
    pub(crate) fn look(
        &mut self,
        matched: &[(ReplicaId, Option<u64>)],
        arrived: &[(ReplicaId, u64)],
        (wanted, last): (Option<u64>, u64),
        now: Instant,
    ) {
        self.0
            .retain(|id, _| matched.iter().any(|(other, _)| other == id));
        for (id, matched) in matched {
            let seen = self.0.entry(*id).or_insert(Seen {
                matched: *matched,
                moved: now,
                returning: None,
            });
            if seen.matched != *matched || *matched >= wanted {
                seen.matched = *matched;
                seen.moved = now;
            }
            for (_, from) in arrived.iter().filter(|(other, _)| other == id) {
                seen.moved = now;
                seen.returning = Some(Return {
                    from: *from,
                    to: last,
                });
            }
            seen.end_return(now);
        }
    }

    /// How many got a snapshot and have not come to where the log ended then.
    pub(crate) fn returning(&self) -> usize {
        self.0.values().filter(|seen| seen.returning.is_some()).count()
    }

    /// Up to where the log may go.
    pub(crate) fn allow(&self, marks: Marks, now: Instant) -> Option<u64> {
        let mut upto = marks.wanted;
        for seen in self.0.values() {
            upto = match seen.need(marks.purged, now) {
                Need::Nothing => upto,
                Need::All(behind) => upto.min(behind),
                Need::Bounded(behind) => upto.min(behind.max(marks.bound)),
            };
        }
        upto
    }
}

/// What a follower needs: what is behind an entry.
enum Need {
    Nothing,
    /// However much that is.
    All(Option<u64>),
    /// As long as it is not too much.
    Bounded(Option<u64>),
}

impl Seen {
    fn need(&self, purged: Option<u64>, now: Instant) -> Need {
        if let Some(Return { from, .. }) = self.returning {
            return Need::All(self.matched.max(Some(from)));
        }
        if now >= self.moved + STILL_LIMIT {
            return Need::Nothing;
        }
        match self.matched {
            // A new leader does not know yet.
            None => Need::Bounded(purged),
            // It needs a snapshot already.
            matched if matched < purged => Need::Nothing,
            matched => Need::Bounded(matched),
        }
    }

    fn end_return(&mut self, now: Instant) {
        let there = |back: &Return| self.matched >= Some(back.to);
        if self.returning.as_ref().is_some_and(there) || now >= self.moved + RETURN_LIMIT {
            self.returning = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_env::Clock;

    use super::*;

    const A: ReplicaId = ReplicaId(1);
    const B: ReplicaId = ReplicaId(2);

    fn marks(purged: Option<u64>, wanted: u64, bound: u64) -> Marks {
        Marks {
            purged,
            wanted: Some(wanted),
            bound: Some(bound),
        }
    }

    fn start() -> Instant {
        Clock::simulated(1.0, 0).now()
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_that_moves_is_waited_for_up_to_the_bound() {
        let now = start();
        let mut all = Followers::default();
        all.look(&[(A, Some(70)), (B, Some(40))], &[], (Some(90), 100), now);
        assert_eq!(all.allow(marks(Some(10), 90, 20), now), Some(40));
        assert_eq!(all.allow(marks(Some(10), 90, 50), now), Some(50));
        assert_eq!(all.allow(marks(Some(10), 30, 20), now), Some(30));
        // Nothing is known of a follower, and nothing was purged.
        all.look(&[(A, Some(70)), (B, None)], &[], (Some(90), 100), now);
        assert_eq!(all.allow(marks(Some(10), 90, 5), now), Some(10));
        let none = Marks {
            purged: None,
            wanted: Some(90),
            bound: None,
        };
        assert_eq!(all.allow(none, now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stands_still_or_needs_a_snapshot_is_not_waited_for() {
        let now = start();
        let mut all = Followers::default();
        all.look(&[(A, Some(40)), (B, Some(9))], &[], (Some(90), 100), now);
        assert_eq!(all.allow(marks(Some(10), 90, 20), now), Some(40));
        let later = now + STILL_LIMIT;
        all.look(&[(A, Some(40)), (B, Some(9))], &[], (Some(90), 100), later);
        assert_eq!(all.allow(marks(Some(10), 90, 20), later), Some(90));
        all.look(&[(A, Some(41)), (B, Some(9))], &[], (Some(90), 100), later);
        assert_eq!(all.allow(marks(Some(10), 90, 20), later), Some(41));
        // It needed nothing until now: it did not stand still.
        let burst = later + 2 * STILL_LIMIT;
        all.look(&[(A, Some(41))], &[], (Some(41), 100), burst);
        all.look(&[(A, Some(41))], &[], (Some(90), 200), burst);
        assert_eq!(all.allow(marks(Some(10), 90, 20), burst), Some(41));
        // It is a follower no more.
        all.look(&[(B, Some(9))], &[], (Some(90), 100), later);
        assert_eq!(all.allow(marks(Some(10), 90, 20), later), Some(90));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_got_a_snapshot_comes_to_the_end_as_it_was() {
        let now = start();
        let mut all = Followers::default();
        all.look(&[(A, Some(3))], &[(A, 50), (B, 60)], (Some(90), 100), now);
        assert_eq!(all.allow(marks(Some(40), 90, 80), now), Some(50));
        assert_eq!(all.returning(), 1, "B is no follower");
        all.look(&[(A, Some(70))], &[], (Some(190), 200), now);
        assert_eq!(all.allow(marks(Some(40), 190, 180), now), Some(70));
        // It is where the log ended: as any other.
        all.look(&[(A, Some(100))], &[], (Some(190), 200), now);
        assert_eq!(all.allow(marks(Some(40), 190, 180), now), Some(180));
        assert_eq!(all.returning(), 0);

        all.look(&[(A, Some(100))], &[(A, 100)], (Some(190), 200), now);
        let later = now + RETURN_LIMIT;
        all.look(&[(A, Some(100))], &[], (Some(190), 200), later);
        assert_eq!(all.allow(marks(Some(40), 190, 180), later), Some(190));
    }
}
