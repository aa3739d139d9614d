//! What the maintenance thread does now, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

use atoll_types::GroupKey;
use parking_lot::Mutex;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkKind {
    /// A checkpoint is written.
    Flush,
    /// Runs are merged because there are many.
    Merge,
    /// Values are moved out of old segments of the journal.
    Evacuate,
    /// Values are moved out of value files with much in them that is dead, or that are small and many.
    Collect,
}

impl WorkKind {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flush => "checkpoint",
            Self::Merge => "merge",
            Self::Evacuate => "evacuation",
            Self::Collect => "collection",
        }
    }
}

/// Work that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done.
    pub kind: WorkKind,
    /// For which group.
    pub group: GroupKey,
    /// Bytes done, about.
    pub done: u64,
    /// Of so many, about.
    pub total: u64,
}

/// Bytes of runs and value files that each kind of work has written since the start, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Checkpoints.
    pub checkpoints: u64,
    /// Merges of runs because there were many, with values that left their places along the way.
    pub merges: u64,
    /// Values out of old segments of the journal, with the runs that point to them.
    pub evacuations: u64,
    /// Values out of value files with much in them that was dead, or that were small and many, with the runs that point to them.
    pub collections: u64,
}

/// Where it is written down: a flush, and beside it one work of another kind; and how much each kind wrote so far.
#[derive(Default)]
pub(super) struct Board {
    running: [Mutex<Option<Progress>>; 2],
    written: [AtomicU64; 4],
}

impl Board {
    /// Tells of work until the guard drops.
    pub(super) fn begin(&self, kind: WorkKind, group: GroupKey, total: u64) -> Running<'_> {
        let [flush, other] = &self.running;
        let place = if kind == WorkKind::Flush { flush } else { other };
        *place.lock() = Some(Progress {
            kind,
            group,
            done: 0,
            total,
        });
        let [flush, merge, evacuate, collect] = &self.written;
        let written = match kind {
            WorkKind::Flush => flush,
            WorkKind::Merge => merge,
            WorkKind::Evacuate => evacuate,
            WorkKind::Collect => collect,
        };
        Running { place, written }
    }

    pub(super) fn read(&self) -> Vec<Progress> {
        self.running.iter().filter_map(|place| *place.lock()).collect()
    }

    pub(super) fn written(&self) -> Written {
        let [checkpoints, merges, evacuations, collections] =
            self.written.each_ref().map(|bytes| bytes.load(Ordering::Relaxed));
        Written {
            checkpoints,
            merges,
            evacuations,
            collections,
        }
    }
}

/// Work under way.
pub(super) struct Running<'a> {
    place: &'a Mutex<Option<Progress>>,
    written: &'a AtomicU64,
}

impl Running<'_> {
    /// So many bytes more are written.
    pub(super) fn add(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
        if let Some(progress) = &mut *self.place.lock() {
            progress.done = progress.done.saturating_add(bytes).min(progress.total);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.place.lock() = None;
    }
}
