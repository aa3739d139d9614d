//! The index of one group: every key, in order, with its newest version and where its value stands.
//!
//! It is made of layers ([`Layers`]): what was applied lately, in memory ([`Memory`]); now and then that is
//! frozen and a fresh memory begins above it; what was frozen is written to a run, an immutable file
//! ([`crate::run`]), which then takes its place. A lookup asks the layers from the newest down, and the first that
//! knows anything of the key, its deletion included, is right. Values up to 64 bytes stand in the index,
//! longer ones stay in the journal or in a value file and are pointed at; one that was appended to is a list of such
//! pieces ([`Joined`]). [`View::read_value`] reads any of them. One writer applies entries; any number of
//! readers hold a [`View`].
//!
//! A view sees all of an entry or none of it, although the writer lets go of the lock after every
//! [`SLICE_ROWS`] rows so that no reader waits long: what an entry replaces is kept as an older
//! version until the entry is published and no view from before is left. A deleted key leaves a
//! tombstone for exactly as long, or, if there is a layer below that may still have the key, until that
//! layer is gone. So with nobody reading, a memory holds one row per key that was written and nothing else.
//!
//! While history is kept ([`IndexWriter::keep_history`]) every version that is replaced stays readable ([`View::at_version`]) until the
//! *horizon* has passed what replaced it: in memory until it is written to a run, and in runs until they are merged. Whoever drops one says
//! so beside the layers that lack it ([`Below`]), so that nobody reads at a version that is not whole any more. Without history the
//! horizon is wherever the group is.
//!
//! A view holds on to the layers of its moment, whatever is frozen or written since; a layer is dropped, and
//! the files behind it may go, when no view has it any more.
//!
//! Rows may point to old places: a value that was appended to keeps its old pieces where they stood. `living` finds
//! out which segments of the journal and which value files are still needed.
//!
//! Locks: the layers, then the list of living parts; apart from these the tree, then the published point, and no two but the last. A disk is waited for with
//! none of them held.

mod ahead;
mod below;
mod charge;
mod joined;
mod keys;
mod layers;
mod living;
mod memory;
mod merged;
mod passing;
mod published;
mod reach;
mod read;
mod tree;
mod value;
mod versions;
mod view;
mod writer;

pub use ahead::ReadAhead;
pub(crate) use joined::Piece;
pub use joined::{Joined, Suffix};
pub(crate) use published::Horizon;
pub use value::{FilePointer, InlineValue, Mismatch, ValueRef};
pub(crate) use versions::Versions;
pub use view::{Found, NotKept, Row, View, Walked};
pub use writer::IndexWriter;

use std::sync::Arc;

use atoll_types::Version;
use parking_lot::RwLock;

use crate::run::Run;
pub use below::Missed;
pub(crate) use below::{Ask, Below, RawRow, ValueFiles};
pub(crate) use layers::Layers;
use living::Living;
pub(crate) use memory::{Memory, NodeRows};
pub(crate) use reach::{LOST, Reach};
pub(crate) use read::Reader;

/// Rows written under one hold of the lock, at most.
pub(crate) const SLICE_ROWS: usize = 64;
/// Rows read under one hold of the lock, at most.
pub(crate) const PAGE_ROWS: usize = 256;

/// One group's index. A cheap handle.
#[derive(Clone, Default)]
pub struct GroupIndex(Arc<Shared>);

struct Shared {
    layers: RwLock<Arc<Layers>>,
    living: Living,
}

impl Shared {
    fn of(layers: Layers) -> Self {
        let living = Living::default();
        living.list(&layers);
        Self {
            layers: RwLock::new(Arc::new(layers)),
            living,
        }
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::of(Layers::default())
    }
}

impl GroupIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty index of a group on a node.
    pub(crate) fn first(node: &NodeRows) -> Self {
        Self(Arc::new(Shared::of(Layers {
            active: Arc::new(Memory::first(node)),
            ..Layers::default()
        })))
    }

    /// An index whose rows all stand in runs, up to this point. These runs and the value files that they point
    /// into are `below`.
    pub(crate) fn restored(version: Version, applied_index: u64, below: Below, node: &NodeRows) -> Self {
        Self(Arc::new(Shared::of(Layers {
            active: Arc::new(Memory::restored(version, applied_index, node)),
            frozen: None,
            below,
        })))
    }

    /// A reader's fixed point of view.
    pub fn view(&self) -> View {
        // Frozen between the two steps, the layers still have everything that was published before. But if they were replaced
        // and an entry was published since, a row of it may point into a file that these layers do not have.
        loop {
            let layers = self.layers();
            let of = Arc::as_ptr(&layers);
            let view = View::new(layers);
            // The view holds them, so no others can stand at their address.
            if of == Arc::as_ptr(&self.0.layers.read()) {
                return view;
            }
        }
    }

    /// The apply side. There must be one at a time.
    pub fn writer(&self) -> IndexWriter {
        IndexWriter::new(self.clone())
    }

    /// Keys, about: those of an entry being applied are counted, and those that stand in several layers
    /// are counted more than once.
    pub fn len(&self) -> usize {
        self.layers().len()
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.layers().memory_bytes()
    }

    /// True if rows may stand in files, so that looking one up may wait for a disk.
    pub fn has_files(&self) -> bool {
        !self.layers().below.is_empty()
    }

    /// What of older versions may be dropped now. What may be dropped once may be dropped ever after.
    pub(crate) fn horizon(&self) -> Horizon {
        self.layers().active.published.lock().horizon()
    }

    pub(crate) fn layers(&self) -> Arc<Layers> {
        self.0.layers.read().clone()
    }

    /// Where all rows point that anybody can read, now or later: `living` says why nothing is missed.
    pub(crate) fn reach(&self) -> Reach {
        self.0.living.reach()
    }

    /// The same without the rows of these runs.
    pub(crate) fn reach_besides(&self, runs: &[Arc<Run>]) -> Reach {
        self.0.living.reach_besides(runs)
    }

    /// Puts other layers into the place of those of now, as one step.
    pub(crate) fn replace(&self, change: impl FnOnce(&Layers) -> Layers) {
        let mut layers = self.0.layers.write();
        let changed = Arc::new(change(&layers));
        self.0.living.list(&changed);
        let old = std::mem::replace(&mut *layers, changed);
        drop(layers);
        // The last holder frees a whole tree: not under the lock that every reader takes.
        drop(old);
    }
}

#[cfg(test)]
mod tests;
