//! The joint of the pure state machine, the index and the journal: what apply means on this node.
//!
//! Per committed entry, in this order: `kv` decides and writes index rows that point at the bytes the
//! journal already holds (an appended value is a row of several such pieces); ownership, if the entry changed it, is filed under the entry's index; the
//! rows become visible, all at once; the journal's tail may let go of the entry. Nothing here waits.

use std::sync::Arc;

use atoll_env::{BoxFuture, Spawn, trouble};
use atoll_kv::{FreezeId, SessionLimits, StateView, Stored, ValueSlice};
use atoll_raft::{Committed, Position, SnapshotStore, Staged};
use atoll_storage::{
    Checkpoint, GroupLog, GroupStore, IndexWriter, InlineValue, JournalPointer, Restored, StagedSnapshot,
    Suffix, ValueRef,
};
use atoll_types::limits::{APPEND_MEMORY_BYTES_MAX, INLINE_VALUE_BYTES_MAX};
use atoll_types::{ClusterId, GroupKey, Key, LogId, Mutant, Outcome, Version, mutant};

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
    rows: IndexWriter,
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
        (store, restored): (GroupStore, Option<Restored>),
        spawn: Spawn,
    ) -> Result<Self, String> {
        let mut machine = Self {
            cluster,
            sessions,
            kv: atoll_kv::Machine::with_limits(cluster, state.key, sessions),
            rows: state.index.writer(),
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
        self.note_genesis(checkpoint.applied.index);
        self.state.applied(checkpoint.applied, &self.kv);
        Ok(())
    }

    fn apply_normal(
        &mut self,
        entry: &Committed<'_>,
        outcomes: Option<&mut Vec<Outcome>>,
    ) -> Result<(), String> {
        let mut view = IndexView {
            rows: &mut self.rows,
            log: entry.log,
            id: entry.id,
            trouble: None,
        };
        self.kv
            .apply(entry.payload, &mut view, outcomes)
            .map_err(|error| format!("entry {} cannot be applied: {error}", entry.id))?;
        let unread = view.rows.take_trouble().map(|missed| missed.to_string());
        if let Some(trouble) = view.trouble.or(unread) {
            return Err(format!("entry {} cannot be applied: {trouble}", entry.id));
        }
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
        self.rows.begin(0);
        let skipped = mutant::is(Mutant::EntrySkipped)
            && entry.id.index % 50 == 49
            && self.state.replica.0.is_multiple_of(3);
        if entry.normal && !skipped {
            self.apply_normal(&entry, outcomes)?;
        }
        self.rows.publish(self.kv.last_version(), entry.id.index);
        self.state.applied(entry.id, &self.kv);
        entry.log.release(entry.id.index);
        self.due = self.store.note_applied(&self.rows, entry.payload.len());
        Ok(())
    }

    fn prepare(&mut self, entry: &Committed<'_>) -> Option<BoxFuture<'static, ()>> {
        if !entry.normal || !self.state.index.has_files() {
            return None;
        }
        let cold = ColdRows::of(entry.payload, self.state.index.view())?;
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
            let installed = self.store.install(&mut self.rows, staged).await;
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
        self.store.checkpoint(&mut self.rows, checkpoint);
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

/// The index as `kv` sees it while one entry is applied.
struct IndexView<'a> {
    rows: &'a mut IndexWriter,
    log: &'a GroupLog,
    id: LogId,
    /// Why rows written since cannot be believed, so that the replica must stop.
    trouble: Option<String>,
}

impl IndexView<'_> {
    /// Where a value of this entry stands. Without a place a row would point nowhere.
    fn place(&mut self, value: ValueSlice<'_>) -> Option<JournalPointer> {
        let len = value.bytes.len() as u32;
        let place = self
            .log
            .pointer(self.id, value.offset_in_payload, len, value.vcrc);
        if place.is_none() {
            self.stop("it is committed but not in this replica's journal");
        }
        place
    }

    fn stop(&mut self, why: impl Into<String>) {
        self.trouble.get_or_insert(why.into());
    }
}

impl StateView for IndexView<'_> {
    fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        self.rows.version_of(key)
    }

    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        self.rows.newest_in(start, end)
    }

    fn stored(&mut self, key: &[u8]) -> Option<Stored> {
        let value = self.rows.value_of(key)?;
        Some(match value.inline_checked(key) {
            Some(Ok(bytes)) => Stored::short(&bytes, value.vcrc()),
            // Others would compute with what was written, this one with something else.
            Some(Err(mismatch)) => {
                self.stop(format!("the value of key \"{}\": {mismatch}", key.escape_ascii()));
                Stored::long(value.len(), value.vcrc())
            }
            None => Stored::long(value.len(), value.vcrc()),
        })
    }

    fn keys_in(&mut self, start: &[u8], end: &[u8], limit: usize) -> Vec<Key> {
        self.rows.keys_in(start, end, limit)
    }

    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>) {
        let place = if value.bytes.len() <= INLINE_VALUE_BYTES_MAX {
            InlineValue::new(value.bytes, value.vcrc).map(ValueRef::Inline)
        } else {
            self.place(value).map(ValueRef::Journal)
        };
        if let Some(place) = place {
            self.rows.put(key, version, place);
        }
    }

    fn put_number(&mut self, key: &[u8], version: Version, text: &[u8], vcrc: u32) {
        match InlineValue::new(text, vcrc) {
            Some(value) => self.rows.put(key, version, ValueRef::Inline(value)),
            None => self.stop("a number is longer than any is"),
        }
    }

    fn append(&mut self, key: &[u8], version: Version, suffix: ValueSlice<'_>, vcrc: u32) {
        let place = if suffix.bytes.len() <= APPEND_MEMORY_BYTES_MAX {
            Some(Suffix::Memory(suffix.bytes))
        } else {
            self.place(suffix).map(Suffix::Journal)
        };
        match (self.rows.value_of(key), place) {
            (Some(old), Some(place)) => self.rows.put(key, version, old.with_suffix(place, vcrc)),
            (None, _) => self.stop("a value to append to is not there any more"),
            (Some(_), None) => {}
        }
    }

    fn delete(&mut self, key: &[u8], version: Version) {
        self.rows.delete(key, version);
    }
}
