//! Group 0's state machine with its checkpoints.

use std::sync::Arc;

use atoll_env::BoxFuture;
use atoll_raft::{Committed, Machine, Position, SnapshotStore, Staged};
use atoll_storage::{Checkpoint, GroupStore, IndexWriter, Restored, StagedSnapshot};
use atoll_types::{Outcome, Version};

use super::{ControlMachine, checkpoint};
use crate::checkpoint as kept;
use crate::snapshots::GroupSnapshots;

/// Applies group 0's entries and keeps what they came to. It has no rows of users, only one of the system.
pub(crate) struct KeptControl {
    machine: ControlMachine,
    rows: IndexWriter,
    store: GroupStore,
    /// Where the log stood when what it was made from was written.
    restored: Position,
    /// A checkpoint is due.
    due: bool,
}

impl KeptControl {
    /// Puts the machine where its checkpoint left off. The error is for people; then the checkpoint is not to be used.
    pub(crate) fn open(
        machine: ControlMachine,
        (store, restored): (GroupStore, Option<Restored>),
    ) -> Result<Self, String> {
        let mut kept = Self {
            machine,
            rows: store.index().writer(),
            store,
            restored: Position::default(),
            due: false,
        };
        if let Some(restored) = restored {
            kept.begin_with(&restored)?;
        }
        Ok(kept)
    }

    fn begin_with(&mut self, restored: &Restored) -> Result<(), String> {
        self.machine
            .restore(rows_of(&restored.checkpoint))
            .map_err(|malformed| malformed.to_string())?;
        // It has no rows of users, so there is none.
        self.rows.keep_history(None);
        self.restored = kept::position_of(restored);
        self.due = false;
        Ok(())
    }
}

impl Machine for KeptControl {
    fn apply(&mut self, entry: Committed<'_>, outcomes: Option<&mut Vec<Outcome>>) -> Result<(), String> {
        self.rows.begin(0);
        if entry.normal {
            let outcome = self.machine.apply_bytes(entry.payload)?;
            if let Some(outcomes) = outcomes {
                outcomes.push(outcome);
            }
        }
        self.rows.publish(Version(entry.id.index), entry.id.index);
        entry.log.release(entry.id.index);
        self.due = self.store.note_applied(&self.rows, entry.payload.len());
        Ok(())
    }

    fn restored(&self) -> Position {
        self.restored.clone()
    }

    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        let cluster = self.machine.cluster();
        let check = move |checkpoint: &Checkpoint| {
            let state = checkpoint::decode_rows(rows_of(checkpoint), cluster);
            state.map(drop).map_err(|malformed| malformed.to_string())
        };
        Arc::new(GroupSnapshots::new(self.store.clone(), check))
    }

    fn install(&mut self, staged: Staged) -> BoxFuture<'_, Result<Position, String>> {
        Box::pin(async move {
            let staged = staged.take::<StagedSnapshot>()?;
            let installed = self.store.install(&mut self.rows, staged).await;
            self.begin_with(&installed.map_err(|error| error.to_string())?)?;
            Ok(self.restored.clone())
        })
    }

    fn can_checkpoint(&self) -> bool {
        let applied = self.store.index().view().applied_index();
        self.store.may_checkpoint(applied)
    }

    fn wants_checkpoint(&self) -> bool {
        self.due
    }

    fn checkpoint(&mut self, position: Position) {
        self.due = false;
        let version = position.applied.map_or(Version::ZERO, |id| Version(id.index));
        let rows = self.machine.freeze();
        let checkpoint = kept::checkpoint_of(position, version, rows);
        self.store.checkpoint(&mut self.rows, checkpoint);
    }
}

/// The state's row in a checkpoint.
fn rows_of(checkpoint: &Checkpoint) -> impl Iterator<Item = (&[u8], &[u8])> {
    kept::rows_of(checkpoint).map(|(key, value)| (&key[..], &value[..]))
}
