//! What the maintenance thread does now, for whoever watches.

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
    /// Values are moved out of value files that are half dead, or small and many.
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

/// Where it is written down: a flush, and beside it one work of another kind.
#[derive(Default)]
pub(super) struct Board([Mutex<Option<Progress>>; 2]);

impl Board {
    /// Tells of work until the guard drops.
    pub(super) fn begin(&self, kind: WorkKind, group: GroupKey, total: u64) -> Running<'_> {
        let [flush, other] = &self.0;
        let place = if kind == WorkKind::Flush { flush } else { other };
        *place.lock() = Some(Progress {
            kind,
            group,
            done: 0,
            total,
        });
        Running(place)
    }

    pub(super) fn read(&self) -> Vec<Progress> {
        self.0.iter().filter_map(|place| *place.lock()).collect()
    }
}

/// Work under way.
pub(super) struct Running<'a>(&'a Mutex<Option<Progress>>);

impl Running<'_> {
    pub(super) fn add(&self, bytes: u64) {
        if let Some(progress) = &mut *self.0.lock() {
            progress.done = progress.done.saturating_add(bytes).min(progress.total);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
