//! Whether the journal waits for merges.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atoll_storage::JournalLoad;

use crate::shard::{Failure, RETRY_FULL_DISK_MS};

/// Writes are refused when the journal has so many times what it should.
const TOO_MUCH: u64 = 4;

/// How a node stands with merges that move values out of its journal.
#[derive(Debug)]
pub(crate) struct JournalRoom {
    /// Bytes that the journal should have at most.
    budget: AtomicU64,
    /// Bytes of it that merges could free and nothing else can.
    freeable: AtomicU64,
    refuses: AtomicBool,
}

impl JournalRoom {
    /// Notes how it stands with the journal.
    pub(crate) fn look(&self, load: JournalLoad) {
        self.budget.store(load.budget, Ordering::Relaxed);
        self.freeable.store(load.freeable, Ordering::Relaxed);
    }

    /// Why a node whose journal has so many bytes takes no write but removals, which give space back; `None` if it does. Never
    /// while merges could free less than a budget: whatever holds the journal then, waiting for merges would be in vain. Writes come
    /// back an eighth below the limit, or once merges have hardly anything left to free, or they would go on and off.
    pub(crate) fn refuses(&self, bytes: u64) -> Option<Failure> {
        let budget = self.budget.load(Ordering::Relaxed);
        let freeable = self.freeable.load(Ordering::Relaxed);
        let refused = self.refuses.load(Ordering::Relaxed);
        let limit = budget.saturating_mul(TOO_MUCH);
        let (limit, least) = if refused {
            (limit - limit / 8, budget / 2)
        } else {
            (limit, budget)
        };
        let refuses = bytes > limit && freeable > 0 && freeable >= least;
        if refuses != self.refuses.swap(refuses, Ordering::Relaxed) {
            tell(refuses, bytes, freeable, budget);
        }
        refuses.then_some(Failure::Overloaded {
            what: "the journal of this node has far more than it should, and merges, which make it shorter, have to catch up; \
                   removals are taken",
            retry_after_ms: RETRY_FULL_DISK_MS,
        })
    }
}

impl Default for JournalRoom {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            budget: AtomicU64::new(u64::MAX),
            freeable: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
        }
    }
}

fn tell(refuses: bool, bytes: u64, freeable: u64, budget: u64) {
    if refuses {
        tracing::error!(
            bytes,
            freeable,
            budget,
            "writes come faster than merges can make the journal shorter: groups led here take no writes but removals until \
             they have caught up"
        );
    } else {
        tracing::info!(bytes, "merges have caught up: groups led here take writes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(freeable: u64) -> JournalRoom {
        let room = JournalRoom::default();
        look(&room, freeable);
        room
    }

    fn look(room: &JournalRoom, freeable: u64) {
        room.look(JournalLoad {
            bytes: 0,
            budget: 100,
            freeable,
        });
    }

    #[test]
    fn writes_end_at_four_times_the_budget_and_begin_again_below() {
        let room = room(300);
        let refuses = |bytes| room.refuses(bytes).is_some();
        assert!(!refuses(400));
        assert!(refuses(401));
        assert!(refuses(351));
        assert!(!refuses(350));
        assert!(!refuses(400));
        assert!(
            JournalRoom::default().refuses(u64::MAX).is_none(),
            "nothing is known"
        );
    }

    #[test]
    fn never_where_merges_could_free_hardly_anything() {
        for freeable in [0, 99] {
            assert_eq!(room(freeable).refuses(u64::MAX), None, "{freeable}");
        }
        let room = room(100);
        assert!(room.refuses(1000).is_some());
        look(&room, 50);
        assert!(room.refuses(1000).is_some(), "not on and off");
        look(&room, 49);
        assert_eq!(room.refuses(1000), None, "others hold the rest");
        look(&room, 99);
        assert_eq!(room.refuses(1000), None);
    }
}
