//! The layer in memory.

use std::sync::Arc;

use atoll_types::Version;
use parking_lot::{Mutex, RwLock};

use super::charge::{Charge, RowBytes};
use super::published::Published;
use super::tree::Tree;
use crate::row_cache::{GroupRows, RowCache};

/// What the memories of all groups of a node share.
#[derive(Clone, Default)]
pub(crate) struct NodeRows {
    /// How many bytes they take.
    pub(crate) bytes: Arc<RowBytes>,
    /// Rows read from files below them; `None`: none are kept.
    pub(crate) cache: Option<Arc<RowCache>>,
}

/// Rows in memory and the point up to which readers see them. The writer writes to one of them; a frozen one
/// is never written again.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) tree: RwLock<Tree>,
    pub(crate) published: Mutex<Published>,
    /// Rows that readers found below, in this state of the group or in those that it grew out of by entries.
    pub(crate) cached: GroupRows,
    pub(crate) charge: Charge,
}

impl Memory {
    /// The first one of a group without any rows.
    pub(crate) fn first(node: &NodeRows) -> Self {
        Self {
            cached: GroupRows::new(node.cache.as_ref()),
            charge: Charge::on(&node.bytes),
            ..Self::default()
        }
    }

    /// An empty one that goes on where `frozen` ended, above it.
    pub(crate) fn above(frozen: &Self) -> Self {
        Self {
            tree: RwLock::new(Tree::above_others()),
            published: Mutex::new(frozen.published.lock().continued()),
            cached: frozen.cached.clone(),
            charge: frozen.charge.another(),
        }
    }

    /// An empty one above runs alone, which have everything up to this point.
    pub(crate) fn restored(version: Version, applied_index: u64, node: &NodeRows) -> Self {
        Self {
            tree: RwLock::new(Tree::above_others()),
            published: Mutex::new(Published::at(version, applied_index)),
            ..Self::first(node)
        }
    }
}
