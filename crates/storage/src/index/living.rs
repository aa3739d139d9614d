//! What can still be read of a group.
//!
//! A segment of the journal or a value file may go only when no row that anybody can read points into it, and none
//! can come to. Rows stand in memories and in what is below them; readers, writers and whoever sends a snapshot hold
//! these parts for as long as they look. So all parts ever put in force are listed here, weakly, and those that
//! still live are asked where they point.
//!
//! That this misses nothing, though rows are copied while it is asked:
//! - A part is listed before it can be reached through the index, and all living parts are taken under the lock of
//!   the list: none comes into being meanwhile.
//! - A pointer into an *old* place comes from an old row. Whoever copies one (a writer that appends to a value, a
//!   flush, a merge) holds on to the part that it read until the copy stands in another part: a writer to the
//!   layers of the entry's beginning until the entry is published (`writer`), a flush to the frozen memory, a merge to
//!   its inputs, until their successor is in force.
//! - So at the moment when the last part was taken, each such pointer stood in a part that lived, or was in the hands
//!   of one who holds such a part; and that part was taken, because it was listed before and alive all along.
//! - Only then the parts are asked. Memories only add to what they say; what is below never changes. What is copied
//!   later comes from these parts, so it points to no place that they do not name.
//!
//! New pointers come only from entries being applied, and their segments are held by the log until a checkpoint has
//! them: whoever frees segments asks the logs *first*, then here.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::below::{Below, WeakBelow};
use super::layers::Layers;
use super::memory::Memory;
use super::reach::Reach;
use crate::run::Run;

/// All parts of one group's layers that may live.
#[derive(Default)]
pub(crate) struct Living(Mutex<Parts>);

#[derive(Default)]
struct Parts {
    memories: Vec<Weak<Memory>>,
    belows: Vec<WeakBelow>,
}

impl Living {
    /// Lists the parts of layers that are about to be put in force, and forgets those that are gone.
    pub(crate) fn list(&self, layers: &Layers) {
        let mut parts = self.0.lock();
        parts.memories.retain(|memory| memory.strong_count() > 0);
        parts.belows.retain(WeakBelow::lives);
        for memory in std::iter::once(&layers.active).chain(&layers.frozen) {
            let listed = parts
                .memories
                .iter()
                .any(|known| known.as_ptr() == Arc::as_ptr(memory));
            if !listed {
                parts.memories.push(Arc::downgrade(memory));
            }
        }
        if !parts.belows.iter().any(|known| known.is(&layers.below)) {
            parts.belows.push(layers.below.downgrade());
        }
    }

    /// Where all rows point that can be read, now or later, but for entries not applied yet.
    pub(crate) fn reach(&self) -> Reach {
        let (memories, belows) = self.taken();
        let mut reach = reach_of(&memories);
        for below in &belows {
            below.add_reach(&mut reach);
        }
        reach
    }

    /// The same without the rows of these runs.
    pub(crate) fn reach_besides(&self, runs: &[Arc<Run>]) -> Reach {
        let (memories, belows) = self.taken();
        let mut reach = reach_of(&memories);
        let is_other = |run: &&Arc<Run>| !runs.iter().any(|one| Arc::ptr_eq(one, run));
        for run in belows.iter().flat_map(Below::runs).filter(is_other) {
            reach.add_run(run);
        }
        reach
    }

    fn taken(&self) -> (Vec<Arc<Memory>>, Vec<Below>) {
        let parts = self.0.lock();
        let memories = parts.memories.iter().filter_map(Weak::upgrade).collect();
        let belows = parts.belows.iter().filter_map(WeakBelow::upgrade).collect();
        (memories, belows)
    }
}

fn reach_of(memories: &[Arc<Memory>]) -> Reach {
    let mut reach = Reach::default();
    for memory in memories {
        reach.join(memory.tree.read().reach());
    }
    reach
}
