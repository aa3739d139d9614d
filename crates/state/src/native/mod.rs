//! The storage engine's index as a backend: the default, and the durable half of every other.
//!
//! Rows point at the bytes that the journal already holds, or at runs and value files; nothing is copied. All that is
//! done here is to put the index, the group's checkpoints and the state machine together. What holds, and why, is said at the top
//! of `storage/index` and `storage/store`.

mod rows;
mod view;

pub use rows::NativeRows;

use std::sync::Arc;

use atoll_env::BoxFuture;
use atoll_kv::Machine;
use atoll_storage::{Checkpoint, GroupStore, IndexWriter, Journal, Restored, StagedSnapshot};
use atoll_types::{Outcome, Version};

use crate::{Backend, Entry, Reader, Stop};
use view::NativeReader;

/// One group's rows in the storage engine's own index.
pub struct NativeBackend {
    rows: IndexWriter,
    store: GroupStore,
    journal: Journal,
}

impl NativeBackend {
    /// The rows of an open group, whose values stand in this journal. There must be one at a time.
    pub fn new(store: GroupStore, journal: Journal) -> Self {
        Self {
            rows: store.index().writer(),
            store,
            journal,
        }
    }

    /// The rows as the state machine sees them while this entry is applied. [`NativeRows::finish`] says whether they can be
    /// believed.
    pub fn rows<'a>(&'a mut self, entry: &Entry<'a>) -> NativeRows<'a> {
        NativeRows::new(&mut self.rows, entry)
    }
}

impl Backend for NativeBackend {
    fn begin(&mut self) {
        self.rows.begin(0);
    }

    fn apply(
        &mut self,
        entry: &Entry<'_>,
        machine: &mut Machine,
        outcomes: Option<&mut Vec<Outcome>>,
    ) -> Result<(), Stop> {
        let mut rows = self.rows(entry);
        machine
            .apply(entry.payload, &mut rows, outcomes)
            .map_err(|error| Stop(error.to_string()))?;
        rows.finish()
    }

    fn keep_history(&mut self, horizon: Option<Version>) {
        self.rows.keep_history(horizon);
    }

    fn publish(&mut self, version: Version, applied_index: u64) -> Result<(), Stop> {
        self.rows.publish(version, applied_index);
        Ok(())
    }

    fn note_applied(&mut self, payload_bytes: usize) -> bool {
        self.store.note_applied(&self.rows, payload_bytes)
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        self.store.checkpoint(&mut self.rows, checkpoint);
    }

    fn ingest(&mut self, staged: StagedSnapshot) -> BoxFuture<'_, Result<Restored, Stop>> {
        Box::pin(async move {
            let installed = self.store.install(&mut self.rows, staged).await;
            installed.map_err(|error| Stop(error.to_string()))
        })
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(NativeReader::new(
            self.store.index().clone(),
            self.journal.clone(),
        ))
    }
}
