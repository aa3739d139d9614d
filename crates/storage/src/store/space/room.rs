//! How much merges may write now.
//!
//! A merge writes before it gives anything back. Begun where it does not fit it would fill the disk for everybody, the
//! journal first; so merges leave some room in any case, more than what journals and checkpoints take in the meantime. When
//! there is hardly room, values leave only as many of the oldest segments at a time as fit ([`crate::store::planner`]), and what does not
//! fit is done in parts ([`crate::store::merging::work`]).

use std::io;

use crate::store::group::GroupStore;
use crate::store::maintenance::Shared;
use crate::store::merging::filing::SYNC_BYTES;

/// Room on the disk that a merge leaves, if none must be kept free.
const ROOM_LEFT: u64 = 1024 * 1024;
/// Of what must be free, the part that merges leave.
const KEPT_SHARE: u64 = 4;

/// What of the disk merges may use.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Room {
    /// Bytes that are free.
    pub(in crate::store) free: u64,
    /// Bytes that must be, for writes to be taken; 0: that is not looked at.
    keep_free: u64,
    /// How many times as long values are taken for, when they are written, as they were thought to be.
    times: u64,
}

impl Room {
    /// With so many bytes free, of which so many must stay so for writes to be taken; 0: that is not looked at.
    pub(in crate::store) fn of(free: u64, keep_free: u64) -> Self {
        Self {
            free,
            keep_free,
            times: 1,
        }
    }

    /// The same if values take so many times what they are thought to.
    pub(in crate::store) fn with_longer_values(self, times: u64) -> Self {
        Self { times, ..self }
    }

    /// True if runs of so many bytes can be written, and values of so many that move.
    pub(in crate::store) fn fits(self, runs: u64, moved: u64) -> bool {
        let moved = moved.saturating_mul(self.times);
        let needed = runs
            .checked_add(moved)
            .and_then(|all| all.checked_add(self.left(moved)));
        needed.is_some_and(|needed| needed <= self.free)
    }

    /// Bytes that merges may write if they move few values.
    pub(in crate::store) fn bytes(self) -> u64 {
        self.free.saturating_sub(self.left(0))
    }

    /// Bytes that files may take that only wait to be used again, and take so many now: half of what would be free without them
    /// above twice what must be.
    pub(in crate::store) fn to_spare(self, taken: u64) -> u64 {
        let free = self.free.saturating_add(taken);
        free.saturating_sub(self.keep_free.saturating_mul(2)) / 2
    }

    /// An error if values that are being written have come to the end of it. How much that is was guessed before: values that were
    /// packed may be written as they are. A disk that is full is so for everybody.
    pub(in crate::store) fn check(self) -> io::Result<()> {
        let (free, left) = (self.free, self.left(SYNC_BYTES));
        if free >= left {
            return Ok(());
        }
        let reason = format!("{free} bytes are free, and {left} must stay so");
        Err(io::Error::new(io::ErrorKind::StorageFull, reason))
    }

    fn left(self, moved: u64) -> u64 {
        match self.keep_free {
            // From so many on the disk is asked again on the way.
            0 if moved >= SYNC_BYTES => 2 * SYNC_BYTES,
            0 => ROOM_LEFT,
            keep_free => keep_free / KEPT_SHARE,
        }
    }
}

impl Shared {
    /// Asks the disk.
    pub(in crate::store) fn room(&self) -> io::Result<Room> {
        let free = self.env.vfs.free_bytes(self.data())?;
        Ok(Room::of(free, self.options.keep_free))
    }

    /// The same; if the disk cannot tell, a merge finds out.
    pub(in crate::store) fn room_as_known(&self) -> Room {
        self.room().unwrap_or(Room::of(u64::MAX, 0))
    }
}

impl GroupStore {
    /// See [`Room::check`].
    pub(in crate::store) fn check_room(&self) -> io::Result<()> {
        self.0.node.room()?.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn merges_leave_a_part_of_what_must_be_free_or_little() {
        let room = Room::of;
        assert!(room(3 * MIB, 0).fits(MIB, MIB) && !room(3 * MIB, 0).fits(MIB, MIB + 1));
        assert!(room(49 * MIB, 0).fits(MIB, 16 * MIB) && !room(48 * MIB, 0).fits(MIB, 16 * MIB));
        assert!(
            room(30 * MIB, 40 * MIB).fits(MIB, 19 * MIB) && !room(30 * MIB, 40 * MIB).fits(2 * MIB, 19 * MIB)
        );
        assert!(!room(u64::MAX, 4).fits(u64::MAX, 1));
        assert_eq!(
            (room(3 * MIB, 0).bytes(), room(3 * MIB, 40 * MIB).bytes()),
            (2 * MIB, 0)
        );
        let longer = room(30 * MIB, 40 * MIB).with_longer_values(4);
        assert!(longer.fits(4 * MIB, 4 * MIB) && !longer.fits(4 * MIB, 4 * MIB + 1));
        assert!(longer.fits(20 * MIB, 0) && !longer.fits(0, u64::MAX));
        assert!(room(32 * MIB, 0).check().is_ok() && room(32 * MIB - 1, 0).check().is_err());
        assert!(room(10 * MIB, 40 * MIB).check().is_ok() && room(10 * MIB - 1, 40 * MIB).check().is_err());
    }

    #[test]
    fn files_that_only_wait_take_half_of_what_nobody_needs() {
        let room = |free| Room::of(free, 10);
        assert_eq!((room(20).to_spare(0), room(30).to_spare(0)), (0, 5));
        assert_eq!(
            room(20).to_spare(10),
            5,
            "they may stay as they are or become fewer"
        );
        assert_eq!((room(15).to_spare(10), room(5).to_spare(10)), (2, 0));
        assert_eq!(Room::of(8, 0).to_spare(0), 4);
        assert_eq!(Room::of(u64::MAX, 0).to_spare(9), u64::MAX / 2);
    }
}
