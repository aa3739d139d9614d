//! What the snapshots of all groups of a node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atoll_types::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SendError;

/// Of what a sending may hold back, what is left to it while the disk has hardly any room.
const TIGHT_SHARE: u64 = 8;
/// And of the bytes of the snapshot, the part that is left in any case. What is held back is counted in whole segments, also for the sake
/// of rows of other groups: with less, a large snapshot would be given up each time, and its follower never be brought up.
const TIGHT_SHARE_OF_SNAPSHOT: u64 = 4;

/// How many snapshots a node sends and receives at once, and how much of its disk one of them may keep from being freed. The others
/// wait: a node that comes back may be behind in all of its groups.
#[derive(Clone)]
pub(crate) struct Room {
    sending: Arc<Semaphore>,
    receiving: Arc<Semaphore>,
    /// Bytes that a sending may hold back in any case.
    held_bytes: u64,
    /// There is hardly any room on the disk.
    tight: Arc<AtomicBool>,
}

impl Room {
    pub(crate) fn new(held_bytes: u64) -> Self {
        Self {
            sending: Arc::new(Semaphore::new(limits::SNAPSHOTS_SENT_MAX)),
            receiving: Arc::new(Semaphore::new(limits::SNAPSHOTS_RECEIVED_MAX)),
            held_bytes,
            tight: Arc::default(),
        }
    }

    /// Waits until another one may be sent.
    pub(super) async fn sending(&self) -> Result<OwnedSemaphorePermit, SendError> {
        let permit = Arc::clone(&self.sending).acquire_owned().await;
        // It is never closed.
        permit.map_err(|closed| SendError::Stalled(closed.to_string()))
    }

    /// Whether another one may be received now.
    pub(super) fn receive(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.receiving).try_acquire_owned().ok()
    }

    pub(crate) fn set_tight(&self, tight: bool) {
        self.tight.store(tight, Ordering::Relaxed);
    }

    /// Bytes of the disk that the sending of a snapshot of so many may hold back. As many as it has itself, because a large one takes
    /// longer and would otherwise never arrive while enough is written. Much less while the disk is almost full: then space is worth more
    /// than a replica that is behind, though one must be brought up some time.
    pub(super) fn held_max(&self, snapshot_bytes: u64) -> u64 {
        if self.tight.load(Ordering::Relaxed) {
            return (self.held_bytes / TIGHT_SHARE).max(snapshot_bytes / TIGHT_SHARE_OF_SNAPSHOT);
        }
        self.held_bytes.max(snapshot_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_may_hold_back_what_it_has_unless_the_disk_is_almost_full() {
        let room = Room::new(800);
        assert_eq!((room.held_max(10), room.held_max(5000)), (800, 5000));
        room.clone().set_tight(true);
        assert_eq!((room.held_max(10), room.held_max(400)), (100, 100));
        assert_eq!(
            room.held_max(5000),
            1250,
            "a large one takes longer, and has to arrive"
        );
    }
}
