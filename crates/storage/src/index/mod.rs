//! The index of one group: every key, in order, with its newest version and where its value stands.
//!
//! It lives in memory and is rebuilt by applying the log again; values up to 64 bytes stand in it,
//! longer ones stay in the journal and are pointed at; one that was appended to is a list of such
//! pieces ([`Joined`]). One writer applies entries; any number of
//! readers hold a [`View`].
//!
//! A view sees all of an entry or none of it, although the writer lets go of the lock after every
//! [`SLICE_ROWS`] rows so that no reader waits long: what an entry replaces is kept as an older
//! version until the entry is published and no view from before is left. A deleted key leaves a
//! tombstone for exactly as long. So with nobody reading, the index holds one row per live key and
//! nothing else.
//!
//! Locks: the tree, then the published point. A view takes only the second to come into being and
//! only the first to read.

mod arena;
mod joined;
mod published;
mod tree;
mod value;
mod view;
mod writer;

pub use joined::{Joined, Suffix};
pub use value::{InlineValue, Mismatch, ValueRef};
pub use view::{View, Walked};
pub use writer::IndexWriter;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use published::Published;
use tree::Tree;

/// Rows written under one hold of the lock, at most.
pub(crate) const SLICE_ROWS: usize = 64;
/// Rows read under one hold of the lock, at most.
pub(crate) const PAGE_ROWS: usize = 256;

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) tree: RwLock<Tree>,
    pub(crate) published: Mutex<Published>,
}

/// One group's index. A cheap handle.
#[derive(Clone, Default)]
pub struct GroupIndex(Arc<Shared>);

impl GroupIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader's fixed point of view.
    pub fn view(&self) -> View {
        View::new(self.0.clone())
    }

    /// The apply side. There must be one at a time.
    pub fn writer(&self) -> IndexWriter {
        IndexWriter::new(self.0.clone())
    }

    /// Live keys, those of an entry being applied included.
    pub fn len(&self) -> usize {
        self.0.tree.read().live()
    }

    /// True if there is no live key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.0.tree.read().memory_bytes()
    }
}

#[cfg(test)]
mod tests;
