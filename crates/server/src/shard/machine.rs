//! The joint of the pure state machine, the index and the journal: what apply means on this node.
//!
//! Per committed entry, in this order: `kv` decides and writes index rows that point at the bytes the
//! journal already holds; ownership, if the entry changed it, is filed under the entry's index; the
//! rows become visible, all at once; the journal's tail may let go of the entry. Nothing here waits.

use std::sync::Arc;

use atoll_kv::{SessionLimits, StateView, ValueSlice};
use atoll_raft::Committed;
use atoll_storage::{GroupLog, IndexWriter, InlineValue, ValueRef};
use atoll_types::limits::INLINE_VALUE_BYTES_MAX;
use atoll_types::{ClusterId, LogId, Mutant, Outcome, Version, mutant};

use super::ownership::Ownership;
use super::state::ShardState;

/// Applies one group's entries. There is one per replica; it lives on the group's apply task.
pub(crate) struct ShardMachine {
    kv: atoll_kv::Machine,
    rows: IndexWriter,
    state: Arc<ShardState>,
    had_genesis: bool,
}

impl ShardMachine {
    /// A machine before its first entry, publishing into `state`.
    pub(crate) fn new(cluster: ClusterId, sessions: SessionLimits, state: Arc<ShardState>) -> Self {
        Self {
            kv: atoll_kv::Machine::with_limits(cluster, state.key, sessions),
            rows: state.index.writer(),
            state,
            had_genesis: false,
        }
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
            lost: false,
        };
        self.kv
            .apply(entry.payload, &mut view, outcomes)
            .map_err(|error| format!("entry {} cannot be applied: {error}", entry.id))?;
        if view.lost {
            return Err(format!(
                "entry {} is committed but not in this replica's journal",
                entry.id
            ));
        }
        // Genesis is the only thing that changes ownership so far.
        if self.kv.has_genesis() != self.had_genesis {
            self.had_genesis = true;
            let kv = &self.kv;
            let owned = Ownership::collect(entry.id.index, |slot| kv.owns(slot));
            owned.tell(self.state.key, self.state.replica);
            self.state.ownerships.file(owned);
        }
        Ok(())
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
        Ok(())
    }
}

/// The index as `kv` sees it while one entry is applied.
struct IndexView<'a> {
    rows: &'a mut IndexWriter,
    log: &'a GroupLog,
    id: LogId,
    /// The journal did not know the entry: a row would point nowhere, so the replica must stop.
    lost: bool,
}

impl StateView for IndexView<'_> {
    fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        self.rows.version_of(key)
    }

    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        self.rows.newest_in(start, end)
    }

    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>) {
        let place = if value.bytes.len() <= INLINE_VALUE_BYTES_MAX {
            InlineValue::new(value.bytes, value.vcrc).map(ValueRef::Inline)
        } else {
            let len = value.bytes.len() as u32;
            self.log
                .pointer(self.id, value.offset_in_payload, len, value.vcrc)
                .map(ValueRef::Journal)
        };
        match place {
            Some(place) => self.rows.put(key, version, place),
            None => self.lost = true,
        }
    }

    fn delete(&mut self, key: &[u8], version: Version) {
        self.rows.delete(key, version);
    }
}
