//! How far merges lag behind: how much of the journal they could free, and nothing else can.
//!
//! A journal beyond its budget is no sign by itself that merges are too slow. Its oldest segments may be held by a log that a
//! follower still needs, by rows in memory that no checkpoint has, by a view, a snapshot on its way, a disk that does not read:
//! no merge frees anything then, however fast it goes. So what holds each group is told apart: a segment that only rows of runs
//! in force point into, and that can be read, is one that a merge can empty. Everything before the first segment that something else
//! holds, but what would go without any merge, is the *backlog*. It is counted in bytes of segments, which are known exactly; what is
//! written into new files for it is not taken off.
//!
//! - With a journal of twice its budget and a backlog, merges go as fast as they can, old segments first (`rate`, `planner`).
//! - With four times the budget, whoever takes writes should refuse them ([`JournalLoad`]), until merges have caught up. Without a
//!   backlog that would be in vain: writes would be refused for as long as somebody else holds the journal.
//!
//! It is found out once a second and before every merge. A journal that grows meanwhile is compared as it is.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::index::LOST;
use crate::journal::Journal;
use crate::store::group::GroupStore;
use crate::store::maintenance::{Shared, Store};

/// The journal may have so many times its budget before merges go as fast as they can.
const FAR_TOO_MUCH: u64 = 2;

/// How it stands with the journal of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalLoad {
    /// Bytes that it has.
    pub bytes: u64,
    /// [`StoreOptions::journal_budget`](crate::StoreOptions::journal_budget).
    pub budget: u64,
    /// Of these bytes, what merges could free and nothing else can, as of a second ago at most.
    pub freeable: u64,
}

/// The backlog as it was found last.
pub(in crate::store) struct Backlog {
    /// Bytes that the journal should have at most.
    budget: u64,
    freeable: AtomicU64,
}

impl Backlog {
    pub(in crate::store) fn new(budget: u64) -> Self {
        Self {
            budget,
            freeable: AtomicU64::new(0),
        }
    }

    /// True if writes outrun merges: the journal has far more than it should, and merges could change that.
    pub(in crate::store) fn is_behind(&self, journal: &Journal) -> bool {
        let load = self.load(journal);
        load.freeable > 0 && load.bytes > load.budget.saturating_mul(FAR_TOO_MUCH)
    }

    fn load(&self, journal: &Journal) -> JournalLoad {
        JournalLoad {
            bytes: journal.used_bytes(),
            budget: self.budget,
            freeable: self.freeable.load(Ordering::Relaxed),
        }
    }
}

impl Store {
    /// How it stands with the journal.
    pub fn journal_load(&self) -> JournalLoad {
        self.0.backlog.load(&self.0.journal)
    }
}

impl Shared {
    /// Finds out how much merges could free.
    pub(in crate::store) fn look_at_backlog(&self) {
        self.backlog.freeable.store(self.freeable(), Ordering::Relaxed);
    }

    fn freeable(&self) -> u64 {
        let journal = &self.journal;
        if !self.may_free() {
            return 0;
        }
        // The logs first, as whoever frees segments does.
        let logs = journal.needed_by_logs();
        let (mut held, mut firmly) = (logs, logs);
        for (group, named) in self.known() {
            let (by_rows, not_by_runs) = match group {
                Some(group) => (group.oldest_segment(), group.oldest_held_firmly()),
                None => (named.get(), named.get()),
            };
            held = held.min(by_rows.unwrap_or(u32::MAX));
            firmly = firmly.min(not_by_runs.unwrap_or(u32::MAX));
        }
        journal.bytes_of(held..firmly)
    }
}

impl GroupStore {
    /// How it stands with the journal of the node.
    pub fn journal_load(&self) -> JournalLoad {
        self.0.node.backlog.load(&self.0.node.journal)
    }

    /// The lowest segment of the journal that a merge of what is in force cannot empty now: rows in memory point into it, or rows
    /// that a reader still sees and nobody else, or it cannot be read.
    fn oldest_held_firmly(&self) -> Option<u32> {
        // Its last merge failed, or has no room, or none is begun: until one succeeds, nothing comes of any.
        let space = &self.0.space;
        if space.retry.lock().is_some() || space.tidy_retry.lock().is_some() {
            return self.oldest_segment();
        }
        let below = self.0.index.layers().below.clone();
        let others = self.0.index.reach_besides(below.runs()).segment;
        let refused = self.0.space.refused.lock();
        let (rotten, now) = (self.0.rotten.lock(), self.now());
        let runs = below.runs().iter().flat_map(|run| {
            let is_rotten = rotten.has(&run.identity().number, now);
            let segments = run.summary().journal_bytes.iter().map(|(id, _)| *id);
            segments.map(move |id| (id, is_rotten))
        });
        let stuck =
            runs.filter(|(id, is_rotten)| *id != LOST && (*is_rotten || refused.segments.has(id, now)));
        stuck.map(|(id, _)| id).chain(others).min()
    }
}
