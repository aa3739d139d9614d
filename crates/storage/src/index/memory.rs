//! The layer in memory.

use atoll_types::Version;
use parking_lot::{Mutex, RwLock};

use super::published::Published;
use super::tree::Tree;

/// Rows in memory and the point up to which readers see them. The writer writes to one of them; a frozen one
/// is never written again.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) tree: RwLock<Tree>,
    pub(crate) published: Mutex<Published>,
}

impl Memory {
    /// An empty one that goes on where `frozen` ended, above it.
    pub(crate) fn above(frozen: &Self) -> Self {
        Self {
            tree: RwLock::new(Tree::above_others()),
            published: Mutex::new(frozen.published.lock().continued()),
        }
    }

    /// An empty one above runs alone, which have everything up to this point.
    pub(crate) fn restored(version: Version, applied_index: u64) -> Self {
        Self {
            tree: RwLock::new(Tree::above_others()),
            published: Mutex::new(Published::at(version, applied_index)),
        }
    }
}
