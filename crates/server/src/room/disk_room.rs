//! What leaders ask before they take a write.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::journal_room::JournalRoom;
use crate::shard::Failure;

/// Of the quota, what is left for what must be written all the same: a tenth, at most 64 MiB.
const RESERVE_SHARE: u64 = 10;
const RESERVE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Of what the disk must have free, the eighths from which on entries of other leaders are taken: removals end and the ballast is given
/// up before, and half as much again as merges leave stays for them to make room.
const ENTRIES_EIGHTHS: u64 = 3;

/// Of what the disk must have free, the part after which the journal has it looked at again at once: merges and checkpoints write as well.
const LOOK_SHARE: u64 = 32;

/// A node's limits, and how it stands with them. Without any nothing is ever refused.
#[derive(Debug)]
pub(crate) struct DiskRoom {
    /// What the node's files may take.
    quota_bytes: Option<u64>,
    /// What the disk must have free.
    keep_free_bytes: u64,
    /// What it had free at the last look.
    free_bytes: AtomicU64,
    /// What the journal had when it was looked.
    journal_bytes: AtomicU64,
    /// The disk should be looked at.
    stale: Notify,
    /// It had less than it must, and not yet clearly more again.
    low: AtomicBool,
    /// Bytes of files besides the journal, as of the last look.
    file_bytes: AtomicU64,
    /// The quota's end was told.
    over_quota: AtomicBool,
    /// Whether merges lag behind.
    journal: JournalRoom,
}

impl DiskRoom {
    pub(crate) fn new(quota_bytes: Option<u64>, keep_free_bytes: u64) -> Self {
        Self {
            quota_bytes,
            keep_free_bytes,
            free_bytes: AtomicU64::new(u64::MAX),
            journal_bytes: AtomicU64::new(0),
            stale: Notify::new(),
            low: AtomicBool::new(false),
            file_bytes: AtomicU64::new(0),
            over_quota: AtomicBool::new(false),
            journal: JournalRoom::default(),
        }
    }

    /// What the node's files may take.
    pub(crate) fn quota_bytes(&self) -> Option<u64> {
        self.quota_bytes
    }

    /// What the disk must have free.
    pub(crate) fn keep_free_bytes(&self) -> u64 {
        self.keep_free_bytes
    }

    /// What it had free at the last look; none before the first.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        Some(self.free_bytes.load(Ordering::Relaxed)).filter(|free| *free != u64::MAX)
    }

    /// True while writes are refused because the disk has too little free.
    pub(crate) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// What the disk has free with a journal of so many bytes, about: what came to the journal since the last look is taken off, as a
    /// fast disk is filled between two.
    fn free_with(&self, journal_bytes: u64) -> u64 {
        let came = journal_bytes.saturating_sub(self.journal_bytes.load(Ordering::Relaxed));
        if came > self.keep_free_bytes / LOOK_SHARE {
            self.stale.notify_one();
        }
        self.free_bytes()
            .map_or(u64::MAX, |free| free.saturating_sub(came))
    }

    /// Returns when the journal took so much since the last look that another one is due.
    pub(crate) async fn stale(&self) {
        self.stale.notified().await;
    }

    /// Notes what the disk has free now, with a journal that had so many bytes just before. Writes come back only a quarter above
    /// the limit, or they would go on and off.
    pub(crate) fn look(&self, free_bytes: u64, journal_bytes: u64) {
        // In this order, or a write in between would see too much room.
        self.free_bytes.fetch_min(free_bytes, Ordering::Relaxed);
        self.journal_bytes.store(journal_bytes, Ordering::Relaxed);
        self.free_bytes.store(free_bytes, Ordering::Relaxed);
        let limit = self.keep_free_bytes;
        let low = free_bytes
            < if self.is_low() {
                limit.saturating_add(limit / 4)
            } else {
                limit
            };
        if low == self.low.swap(low, Ordering::Relaxed) {
            return;
        }
        if low {
            tracing::error!(
                free_bytes,
                needed_bytes = limit,
                "the disk is almost full: groups led here take no writes but removals until it has more free"
            );
        } else {
            tracing::info!(free_bytes, "the disk has room again: groups led here take writes");
        }
    }

    /// Whether merges lag behind.
    pub(crate) fn journal(&self) -> &JournalRoom {
        &self.journal
    }

    /// Notes what files besides the journal take.
    pub(crate) fn note_file_bytes(&self, bytes: u64) {
        self.file_bytes.store(bytes, Ordering::Relaxed);
    }

    /// What all files take, with a journal of so many bytes.
    pub(crate) fn used_bytes(&self, journal_bytes: u64) -> u64 {
        journal_bytes.saturating_add(self.file_bytes.load(Ordering::Relaxed))
    }

    /// True if there is hardly room left, with a journal of so many bytes: writes are refused, or nearly so.
    pub(crate) fn is_tight(&self, journal_bytes: u64) -> bool {
        self.left_of_quota(journal_bytes) == 0 || self.is_low()
    }

    /// What the node's files may still take before there is hardly room below the quota, with a journal of so many bytes.
    pub(crate) fn left_of_quota(&self, journal_bytes: u64) -> u64 {
        let used_bytes = self.used_bytes(journal_bytes);
        self.quota_bytes
            .map_or(u64::MAX, |quota| (quota - quota / 8).saturating_sub(used_bytes))
    }

    /// Why a node whose journal has so many bytes takes no write; `None` if it does. `removes`: the write does nothing but
    /// remove.
    pub(crate) fn refuses(&self, journal_bytes: u64, removes: bool) -> Option<Failure> {
        self.is_full(journal_bytes, removes).or_else(|| {
            let lags = self.journal.refuses(journal_bytes);
            lags.filter(|_| !removes)
        })
    }

    /// The same for want of room.
    pub(crate) fn is_full(&self, journal_bytes: u64, removes: bool) -> Option<Failure> {
        self.beyond_quota(self.used_bytes(journal_bytes), removes)
            .or_else(|| self.beyond_disk(journal_bytes, removes))
    }

    /// Why a node whose journal has so many bytes takes no entries of other leaders; `None` if it does. A journal that cannot be written
    /// ends the process; a follower that refuses is only behind.
    pub(crate) fn refuses_entries(&self, journal_bytes: u64) -> Option<String> {
        let least = self.keep_free_bytes / 8 * ENTRIES_EIGHTHS;
        let free = self.free_with(journal_bytes);
        (free < least).then(|| format!("its disk is full: {free} bytes are free, and entries need {least}"))
    }

    fn beyond_quota(&self, used_bytes: u64, removes: bool) -> Option<Failure> {
        let quota_bytes = self.quota_bytes?;
        let reserve_bytes = (quota_bytes / RESERVE_SHARE).min(RESERVE_BYTES_MAX);
        // Half of the reserve is for removals.
        let kept = if removes { reserve_bytes / 2 } else { reserve_bytes };
        let over = used_bytes >= quota_bytes.saturating_sub(kept);
        if !removes && over != self.over_quota.swap(over, Ordering::Relaxed) {
            tell_quota(over, used_bytes, quota_bytes);
        }
        over.then_some(Failure::DiskQuota {
            used_bytes,
            quota_bytes,
        })
    }

    fn beyond_disk(&self, journal_bytes: u64, removes: bool) -> Option<Failure> {
        let free_bytes = self.free_with(journal_bytes);
        if !self.is_low() && free_bytes >= self.keep_free_bytes {
            return None;
        }
        if removes && free_bytes >= self.keep_free_bytes / 2 {
            return None;
        }
        Some(Failure::DiskFull {
            free_bytes,
            needed_bytes: self.keep_free_bytes,
        })
    }
}

fn tell_quota(over: bool, used_bytes: u64, quota_bytes: u64) {
    if over {
        tracing::error!(
            used_bytes,
            quota_bytes,
            "the disk quota is used up: groups led here take no writes but removals until space came back, or the node is \
             started with more"
        );
    } else {
        tracing::info!(
            used_bytes,
            quota_bytes,
            "there is room below the disk quota again"
        );
    }
}

impl Default for DiskRoom {
    fn default() -> Self {
        Self::new(None, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_of_a_tenth_is_kept_and_of_no_more_than_64_mib() {
        let room = |bytes| DiskRoom::new(Some(bytes), 0);
        assert_eq!(room(1000).refuses(899, false), None);
        let full = |used_bytes| {
            Some(Failure::DiskQuota {
                used_bytes,
                quota_bytes: 1000,
            })
        };
        assert_eq!(room(1000).refuses(900, false), full(900));
        assert_eq!(room(1000).refuses(949, true), None, "removals give space back");
        assert_eq!(room(1000).refuses(950, true), full(950));
        let large = 10 << 40;
        assert_eq!(room(large).refuses(large - RESERVE_BYTES_MAX - 1, false), None);
        assert!(room(large).refuses(large - RESERVE_BYTES_MAX, false).is_some());
        assert_eq!(DiskRoom::default().refuses(u64::MAX, false), None);
    }

    #[test]
    fn from_seven_eighths_of_the_quota_on_there_is_hardly_room_left() {
        let room = DiskRoom::new(Some(1000), 0);
        room.note_file_bytes(500);
        assert_eq!((room.left_of_quota(300), room.is_tight(300)), (75, false));
        assert_eq!((room.left_of_quota(374), room.is_tight(374)), (1, false));
        assert_eq!((room.left_of_quota(375), room.is_tight(375)), (0, true));
        let without = DiskRoom::default();
        assert_eq!(
            (without.left_of_quota(u64::MAX), without.is_tight(u64::MAX)),
            (u64::MAX, false)
        );
    }

    #[test]
    fn a_disk_that_runs_full_takes_removals_longest_and_writes_again_only_well_above_the_limit() {
        let room = DiskRoom::new(None, 1000);
        assert_eq!(
            (room.refuses(0, false), room.free_bytes()),
            (None, None),
            "nothing is known yet"
        );
        room.look(1000, 0);
        assert_eq!(room.refuses(0, false), None);
        room.look(999, 0);
        let full = |free_bytes| {
            Some(Failure::DiskFull {
                free_bytes,
                needed_bytes: 1000,
            })
        };
        assert_eq!((room.refuses(0, false), room.refuses(0, true)), (full(999), None));
        room.look(499, 0);
        assert_eq!(
            room.refuses(0, true),
            full(499),
            "they take room in the log first"
        );
        room.look(1249, 0);
        assert_eq!(
            (room.refuses(0, false), room.refuses(0, true)),
            (full(1249), None)
        );
        room.look(1250, 0);
        assert_eq!((room.refuses(0, false), room.is_low()), (None, false));
        room.look(1000, 0);
        assert_eq!(room.refuses(0, false), None);
    }
    #[test]
    fn what_came_to_the_journal_since_the_last_look_is_taken_off() {
        let room = DiskRoom::new(None, 1000);
        assert_eq!(room.refuses(u64::MAX, false), None, "nothing is known yet");
        room.look(1500, 7000);
        assert_eq!(
            (room.refuses(7500, false), room.refuses(6000, false)),
            (None, None)
        );
        let full = |free_bytes| {
            Some(Failure::DiskFull {
                free_bytes,
                needed_bytes: 1000,
            })
        };
        assert_eq!(
            (room.refuses(7501, false), room.refuses(7501, true)),
            (full(999), None)
        );
        assert_eq!(room.refuses(8001, true), full(499));
        assert_eq!(room.refuses(u64::MAX, false), full(0));
        assert!(!room.is_low(), "only a look says so");
        room.look(1500, 8001);
        assert_eq!(room.refuses(8001, false), None);
    }

    #[test]
    fn entries_of_other_leaders_are_taken_when_nothing_else_is() {
        let room = DiskRoom::new(None, 1000);
        assert_eq!(room.refuses_entries(u64::MAX), None);
        room.look(475, 100);
        assert!(room.refuses(100, true).is_some());
        assert_eq!(room.refuses_entries(200), None);
        assert!(room.refuses_entries(201).unwrap().contains("374 bytes"));
        room.look(2000, 201);
        assert_eq!(room.refuses_entries(201), None);
        let unbounded = DiskRoom::default();
        unbounded.look(0, 0);
        assert_eq!(unbounded.refuses_entries(100), None, "nothing has to stay free");
    }
}
