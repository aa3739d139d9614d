//! Group 0's state machine with its checkpoints.

use atoll_raft::{Committed, Machine, Position};
use atoll_storage::{GroupStore, IndexWriter, Restored};
use atoll_types::{Outcome, Version};

use super::ControlMachine;
use crate::checkpoint;

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
        mut machine: ControlMachine,
        (store, restored): (GroupStore, Option<Restored>),
    ) -> Result<Self, String> {
        let mut position = Position::default();
        if let Some(Restored { checkpoint }) = restored {
            let rows = checkpoint::rows_of(&checkpoint).map(|(key, value)| (&key[..], &value[..]));
            machine.restore(rows).map_err(|malformed| malformed.to_string())?;
            position = checkpoint::position_of(&checkpoint);
        }
        Ok(Self {
            machine,
            rows: store.index().writer(),
            store,
            restored: position,
            due: false,
        })
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
        self.due = self.store.note_applied(&self.rows, entry.payload.len());
        Ok(())
    }

    fn restored(&self) -> Position {
        self.restored.clone()
    }

    fn wants_checkpoint(&self) -> bool {
        self.due
    }

    fn checkpoint(&mut self, position: Position) {
        self.due = false;
        let version = position.applied.map_or(Version::ZERO, |id| Version(id.index));
        let rows = self.machine.freeze();
        let checkpoint = checkpoint::checkpoint_of(position, version, rows);
        self.store.checkpoint(&mut self.rows, checkpoint);
    }
}
