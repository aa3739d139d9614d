//! What apply means on this node: the pure state machine over the rows of its backend.
//!
//! Per committed entry, in this order: `kv` decides and changes rows, which nobody sees yet; ownership, if the entry changed it, is filed
//! under the entry's index; the rows become visible, all at once; the journal's tail may let go of the entry. Nothing here waits.

use std::sync::Arc;

use atoll_env::{BoxFuture, Spawn, trouble};
use atoll_kv::{FreezeId, SessionLimits};
use atoll_raft::{Committed, Position, SnapshotStore, Staged};
use atoll_state::{Backend, Entry};
use atoll_storage::{Checkpoint, GroupStore, Restored, StagedSnapshot};
use atoll_types::{ClusterId, GroupKey, Mutant, Outcome, mutant};

use super::ownership::Ownership;
use super::state::ShardState;
use super::warm::ColdRows;
use crate::checkpoint;
use crate::snapshots::GroupSnapshots;

/// Applies one group's entries. There is one per replica; it lives on the group's apply task.
pub(crate) struct ShardMachine {
    cluster: ClusterId,
    sessions: SessionLimits,
    kv: atoll_kv::Machine,
    rows: Box<dyn Backend>,
    state: Arc<ShardState>,
    store: GroupStore,
    had_genesis: bool,
    /// Where the log stood when what it was made from was written.
    restored: Position,
    /// A checkpoint is due.
    due: bool,
    spawn: Spawn,
    /// The last checkpoint begun. Before the next one begins it is durable.
    frozen: Option<FreezeId>,
}

impl ShardMachine {
    /// A machine where its checkpoint left off, or before its first entry, publishing into `state`. The error is for
    /// people; then the checkpoint is not to be used.
    pub(crate) fn open(
        cluster: ClusterId,
        sessions: SessionLimits,
        state: Arc<ShardState>,
        (store, rows, restored): (GroupStore, Box<dyn Backend>, Option<Restored>),
        spawn: Spawn,
    ) -> Result<Self, String> {
        let mut machine = Self {
            cluster,
            sessions,
            kv: atoll_kv::Machine::with_limits(cluster, state.key, sessions),
            rows,
            state,
            store,
            had_genesis: false,
            restored: Position::default(),
            due: false,
            spawn,
            frozen: None,
        };
        if let Some(restored) = restored {
            trouble::sometimes("a replica began with a checkpoint");
            machine.begin_with(&restored)?;
        }
        Ok(machine)
    }

    /// Takes over everything but the rows, which are in the index already.
    fn begin_with(&mut self, restored: &Restored) -> Result<(), String> {
        let checkpoint = &restored.checkpoint;
        self.kv = restored_kv(self.cluster, self.state.key, self.sessions, checkpoint)?;
        self.restored = checkpoint::position_of(restored);
        self.due = false;
        self.frozen = None;
        self.rows.keep_history(self.kv.history_horizon());
        self.note_genesis(checkpoint.applied.index);
        self.state.applied(checkpoint.applied, &self.kv);
        Ok(())
    }

    fn apply_normal(
        &mut self,
        entry: &Committed<'_>,
        outcomes: Option<&mut Vec<Outcome>>,
    ) -> Result<(), String> {
        let (id, log) = (entry.id, entry.log);
        let committed = Entry {
            id,
            payload: entry.payload,
            log,
        };
        self.rows
            .apply(&committed, &mut self.kv, outcomes)
            .map_err(|stop| format!("entry {id} cannot be applied: {stop}"))?;
        self.note_genesis(entry.id.index);
        Ok(())
    }

    /// Genesis is the only thing that changes ownership so far.
    fn note_genesis(&mut self, index: u64) {
        if self.kv.has_genesis() != self.had_genesis {
            self.had_genesis = true;
            self.file_ownership(&self.kv, index);
        }
    }

    fn file_ownership(&self, kv: &atoll_kv::Machine, index: u64) {
        let owned = Ownership::collect(index, |slot| kv.owns(slot));
        owned.tell(self.state.key, self.state.replica);
        self.state.ownerships.file(owned);
    }
}

impl atoll_raft::Machine for ShardMachine {
    fn apply(&mut self, entry: Committed<'_>, outcomes: Option<&mut Vec<Outcome>>) -> Result<(), String> {
        self.rows.begin();
        let skipped = mutant::is(Mutant::EntrySkipped)
            && entry.id.index % 50 == 49
            && self.state.replica.0.is_multiple_of(3);
        if entry.normal && !skipped {
            self.apply_normal(&entry, outcomes)?;
        }
        self.rows.keep_history(self.kv.history_horizon());
        self.rows
            .publish(self.kv.last_version(), entry.id.index)
            .map_err(|stop| format!("entry {} cannot be shown: {stop}", entry.id))?;
        self.state.applied(entry.id, &self.kv);
        entry.log.release(entry.id.index);
        self.due = self.rows.note_applied(entry.payload.len());
        Ok(())
    }

    fn prepare(&mut self, entry: &Committed<'_>) -> Option<BoxFuture<'static, ()>> {
        if !entry.normal || !self.state.has_files() {
            return None;
        }
        let cold = ColdRows::of(entry.payload, self.state.view())?;
        trouble::sometimes("rows that an entry looks at were read ahead");
        let spawn = self.spawn.clone();
        Some(Box::pin(async move { spawn.blocking(|| cold.read()).await }))
    }

    fn restored(&self) -> Position {
        self.restored.clone()
    }

    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        let (cluster, key, sessions) = (self.cluster, self.state.key, self.sessions);
        let check = move |checkpoint: &Checkpoint| restored_kv(cluster, key, sessions, checkpoint).map(drop);
        Arc::new(GroupSnapshots::new(self.store.clone(), check))
    }

    fn install(&mut self, staged: Staged) -> BoxFuture<'_, Result<Position, String>> {
        Box::pin(async move {
            let staged = staged.take::<StagedSnapshot>()?;
            // Filed before its rows can be seen, as with every entry.
            let checkpoint = staged.checkpoint();
            let kv = restored_kv(self.cluster, self.state.key, self.sessions, checkpoint)?;
            self.file_ownership(&kv, checkpoint.applied.index);
            self.had_genesis = kv.has_genesis();
            let installed = self.rows.ingest(staged).await;
            self.begin_with(&installed.map_err(|error| error.to_string())?)?;
            Ok(self.restored.clone())
        })
    }

    fn can_checkpoint(&self) -> bool {
        self.store.may_checkpoint(self.state.applied_index())
    }

    fn wants_checkpoint(&self) -> bool {
        self.due
    }

    fn checkpoint(&mut self, position: Position) {
        self.due = false;
        if let Some(before) = self.frozen.take() {
            self.kv.frozen_durable(before);
        }
        let frozen = self.kv.freeze();
        self.frozen = Some(frozen.id);
        let version = self.kv.last_version();
        let checkpoint = checkpoint::checkpoint_of(position, version, frozen.rows);
        self.rows.checkpoint(checkpoint);
    }
}

/// The state machine of a checkpoint.
fn restored_kv(
    cluster: ClusterId,
    group: GroupKey,
    sessions: SessionLimits,
    checkpoint: &Checkpoint,
) -> Result<atoll_kv::Machine, String> {
    let rows = checkpoint::rows_of(checkpoint);
    atoll_kv::Machine::restore(cluster, group, sessions, rows).map_err(|error| error.to_string())
}
