//! A snapshot that has come, and is not installed.

use std::sync::Arc;

use super::position::SnapshotPosition;
use super::sweep::Sweep;
use crate::index::Below;
use crate::run::Run;
use crate::store::{Checkpoint, PublishedValues};

/// A whole snapshot in durable files that no manifest names. Dropped, it leaves nothing behind;
/// [`GroupStore::install`](crate::GroupStore::install) makes it the group's state.
pub struct StagedSnapshot {
    pub(crate) position: SnapshotPosition,
    /// What the group begins with once it is installed.
    pub(crate) checkpoint: Checkpoint,
    pub(crate) below: Below,
    pub(crate) run: Arc<Run>,
    pub(crate) values: Vec<PublishedValues>,
    /// The last field: files go first.
    pub(crate) sweep: Sweep,
}

impl StagedSnapshot {
    /// What the group's state machine would begin with, for whoever can tell whether it could. Once it is installed it is too
    /// late to find out.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What it is of.
    pub fn position(&self) -> &SnapshotPosition {
        &self.position
    }
}
