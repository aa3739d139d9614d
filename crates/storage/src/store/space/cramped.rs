//! Merges that proved too large for the room there was.
//!
//! How much a merge writes is known only about: keys are not counted that stand beside values in their files, and what was packed may be
//! written as it is. One that comes to the end of the room fails, and planned in the same way again it would fail again, each time
//! after writing for nothing what there was room for. So what failed is remembered: values are taken for twice as long in the next plan, which
//! halves the room for them. Runs are not, which become no longer than they are: where they alone fill half of the room, no merge would ever
//! fit. After a merge that came to its end values are taken for half as long again. All of that is forgotten when the disk has clearly more
//! room, and after some minutes, as nobody knows why there was too little: it may have been somebody else for a moment.

use std::time::Duration;

use atoll_env::Instant;

use super::room::Room;
use crate::store::group::GroupStore;

/// How long it is remembered, after the last time.
const REMEMBERED: Duration = Duration::from_secs(600);
/// By this part more must be free for it to be forgotten: files come and go.
const GROWN_PART: u64 = 8;
/// No value is taken for longer than so many times what it was thought to be; hardly any packs better.
const TIMES_MAX: u64 = 256;

/// What is known of how much longer values of a group's merges are than they were thought to be.
#[derive(Default)]
pub(in crate::store) struct Cramped(Option<Lesson>);

struct Lesson {
    /// How many times as long, a power of two.
    times: u64,
    /// Bytes that were free when one had failed.
    free: u64,
    until: Instant,
}

impl Cramped {
    /// The room that a merge is planned for.
    fn narrow(&mut self, room: Room, now: Instant) -> Room {
        let is_over = |lesson: &mut Lesson| {
            let has_grown = room.free - room.free / GROWN_PART > lesson.free;
            now >= lesson.until || has_grown || lesson.times <= 1
        };
        self.0.take_if(is_over);
        let times = self.0.as_ref().map_or(1, |lesson| lesson.times);
        room.with_longer_values(times)
    }

    /// One found no room for all it wrote. What is free is what there is without it.
    fn note_full(&mut self, free: u64, now: Instant) {
        let times = self.0.as_ref().map_or(1, |lesson| lesson.times);
        self.0 = Some(Lesson {
            times: (times * 2).min(TIMES_MAX),
            free,
            until: now + REMEMBERED,
        });
    }

    /// One came to its end.
    fn note_done(&mut self) {
        if let Some(lesson) = &mut self.0 {
            lesson.times /= 2;
        }
    }
}

impl GroupStore {
    /// The room that the next merge is planned for.
    pub(super) fn room_to_plan(&self) -> Room {
        let room = self.0.node.room_as_known();
        self.0.space.cramped.lock().narrow(room, self.now())
    }

    /// There was no room for all that a merge wrote. To be told when what it wrote is gone.
    pub(in crate::store) fn note_full(&self) {
        let free = self.0.node.room_as_known().free;
        let now = self.now();
        self.0.space.cramped.lock().note_full(free, now);
    }

    /// A merge came to its end.
    pub(in crate::store) fn note_done(&self) {
        self.0.space.cramped.lock().note_done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// How many times as long values are taken for with so much free.
    fn times(cramped: &mut Cramped, free: u64, now: Instant) -> u64 {
        let room = cramped.narrow(Room::of(free, 0), now);
        let moved = |times: &u64| room.fits(0, (free - MIB) / times);
        (1..=2 * TIMES_MAX).find(moved).unwrap()
    }

    #[test]
    fn after_each_failure_values_count_twice_and_after_success_half_as_much() {
        let mut cramped = Cramped::default();
        assert_eq!(times(&mut cramped, 2 * MIB, at(0)), 1);
        for expected in [2, 4, 8] {
            cramped.note_full(2 * MIB, at(1));
            assert_eq!(times(&mut cramped, 2 * MIB, at(2)), expected);
        }
        for expected in [4, 2, 1, 1] {
            cramped.note_done();
            assert_eq!(times(&mut cramped, 2 * MIB, at(3)), expected);
        }
        for _ in 0..100 {
            cramped.note_full(2 * MIB, at(4));
        }
        assert_eq!(times(&mut cramped, 2 * MIB, at(5)), TIMES_MAX);
    }

    #[test]
    fn it_is_forgotten_with_clearly_more_room_and_after_some_time() {
        let mut cramped = Cramped::default();
        cramped.note_full(8 * MIB, at(0));
        assert_eq!(times(&mut cramped, 8 * MIB + MIB / 2, at(599)), 2);
        assert_eq!(times(&mut cramped, 4 * MIB, at(599)), 2);
        assert_eq!(times(&mut cramped, 10 * MIB, at(599)), 1);
        assert_eq!(times(&mut cramped, 8 * MIB, at(599)), 1, "for good");
        cramped.note_full(8 * MIB, at(1000));
        assert_eq!(times(&mut cramped, 8 * MIB, at(1599)), 2);
        assert_eq!(times(&mut cramped, 8 * MIB, at(1600)), 1);
    }
}
