//! How many files of freed segments the journal keeps to be used again.
//!
//! When values have left the oldest segments, several of these go at once, and as many new ones are needed until that happens again.
//! What is not kept for them is filled with zeros again: every byte of the journal written twice. What is kept takes room meanwhile,
//! so it is given back where there is little:
//! - Spares and segments together take no more than the journal should have: with spares it is at most as long as it
//!   gets without them.
//! - Of the disk they take at most half of what would be free above twice what must be.
//! - What files of the node may take besides ([`Store::set_spare_room`]) has room for them.
//!
//! Two are kept in any case. Looked at once a second, and before segments are freed.

use std::io;
use std::sync::atomic::Ordering;

use crate::journal::SpareLimits;
use crate::store::maintenance::{Shared, Store};

impl Store {
    /// Says how many more bytes the node's files may take before they are too many; files that only wait to be used again have to
    /// fit in there. No limit until it is said.
    pub fn set_spare_room(&self, bytes: u64) {
        self.0.spare_room.store(bytes, Ordering::Relaxed);
    }
}

impl Shared {
    /// Has the journal keep as many spares as there is room for.
    pub(super) async fn limit_spares(&self) -> io::Result<()> {
        self.journal.keep_spares(self.spare_limits()).await
    }

    fn spare_limits(&self) -> SpareLimits {
        let alone = if self.urgent.load(Ordering::Relaxed) {
            0
        } else {
            let of_disk = self.room_as_known().to_spare(self.journal.spare_bytes());
            of_disk.min(self.spare_room.load(Ordering::Relaxed))
        };
        SpareLimits {
            with_segments: self.options.journal_budget,
            alone,
        }
    }
}
