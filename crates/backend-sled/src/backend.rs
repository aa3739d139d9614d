//! The apply side.

use std::sync::Arc;

use atoll_env::{BoxFuture, Spawn};
use atoll_kv::Machine;
use atoll_state::{Backend, Entry, NativeBackend, Reader, Stop};
use atoll_storage::{Checkpoint, Restored, StagedSnapshot};
use atoll_types::{Outcome, Version};
use parking_lot::RwLock;

use crate::generation::Generation;
use crate::rows::SledRows;
use crate::table::Changes;
use crate::view::{Current, SledReader};
use crate::{SledError, SledHome};

/// One group's live rows in sled. What is durable is the native backend's.
pub struct SledBackend {
    native: NativeBackend,
    home: SledHome,
    current: Current,
    /// What the entry being applied changes.
    changes: Changes,
    spawn: Spawn,
}

impl SledBackend {
    /// Fills sled with the rows that the native backend was opened with. Waits for disks.
    pub fn new(native: NativeBackend, home: &SledHome, spawn: Spawn) -> Result<Self, SledError> {
        let generation = Generation::of(home, &*native.reader().view())?;
        Ok(Self {
            native,
            home: home.clone(),
            current: Arc::new(RwLock::new(Arc::new(generation))),
            changes: Changes::new(),
            spawn,
        })
    }
}

impl Backend for SledBackend {
    fn begin(&mut self) {
        self.native.begin();
        self.changes.clear();
    }

    fn apply(
        &mut self,
        entry: &Entry<'_>,
        machine: &mut Machine,
        outcomes: Option<&mut Vec<Outcome>>,
    ) -> Result<(), Stop> {
        let generation = self.current.read().clone();
        let mut rows = SledRows::new(self.native.rows(entry), &generation.table, &mut self.changes);
        machine
            .apply(entry.payload, &mut rows, outcomes)
            .map_err(|error| Stop(error.to_string()))?;
        rows.finish()
    }

    fn keep_history(&mut self, horizon: Option<Version>) {
        self.native.keep_history(horizon);
    }

    fn publish(&mut self, version: Version, applied_index: u64) -> Result<(), Stop> {
        let generation = self.current.read().clone();
        // The native rows first: they answer what is asked of earlier versions, and what can be read here can be asked for there.
        self.native.publish(version, applied_index)?;
        generation.publish(&self.changes, version, applied_index)?;
        Ok(())
    }

    fn note_applied(&mut self, payload_bytes: usize) -> bool {
        self.native.note_applied(payload_bytes)
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        self.native.checkpoint(checkpoint);
    }

    fn ingest(&mut self, staged: StagedSnapshot) -> BoxFuture<'_, Result<Restored, Stop>> {
        Box::pin(async move {
            let restored = self.native.ingest(staged).await?;
            let (home, view) = (self.home.clone(), self.native.reader().view());
            let filled = self.spawn.blocking(move || Generation::of(&home, &*view)).await?;
            *self.current.write() = Arc::new(filled);
            Ok(restored)
        })
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(SledReader(self.current.clone()))
    }
}
