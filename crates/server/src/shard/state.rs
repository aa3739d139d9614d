//! What a shard's machine publishes and everybody else reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use atoll_env::trouble;
use atoll_kv::HistoryLimits;
use atoll_state::Reader;
use atoll_storage::GroupIndex;
use atoll_types::{Epoch, GroupKey, LogId, Mutant, ReplicaId, SlotId, Version, mutant};
use parking_lot::Mutex;

use super::ownership::{Ownership, Ownerships};
use super::reply::{Failure, Proof};
use super::rows_view::RowsView;

/// Shared by the apply side (one writer) and any number of readers.
pub(crate) struct ShardState {
    pub(crate) key: GroupKey,
    pub(crate) replica: ReplicaId,
    pub(crate) index: GroupIndex,
    /// What is read instead of the index.
    other: Option<Arc<dyn Reader>>,
    pub(crate) ownerships: Ownerships,
    applied_index: AtomicU64,
    version: AtomicU64,
    sessions: AtomicUsize,
    has_deadlines: AtomicBool,
    history: Mutex<Option<HistoryLimits>>,
    /// The newest applied entry's index, and the machine's hash right after it.
    hash: Mutex<(u64, u64)>,
}

/// What a replica has made of its group's log. Two replicas of one group at the same index have the
/// same hash, or one of them is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// The group.
    pub group: GroupKey,
    /// The newest applied log entry.
    pub applied_index: u64,
    /// A running hash of all outcomes, versions and changes up to that entry.
    pub hash: u64,
}

/// A fact for the simulator.
pub(super) fn facts(key: GroupKey, replica: ReplicaId, index: u64, fact: u64) -> [u64; 5] {
    [key.id.0, key.generation.0.into(), replica.0, index, fact]
}

/// One consistent state: rows and ownership of the same log index.
pub(crate) struct Snapshot {
    pub(crate) view: RowsView,
    pub(crate) ownership: Arc<Ownership>,
}

impl ShardState {
    /// The state before the first entry, over the rows of this index.
    pub(crate) fn new(key: GroupKey, replica: ReplicaId, index: GroupIndex) -> Self {
        Self {
            key,
            replica,
            index,
            other: None,
            ownerships: Ownerships::new(),
            applied_index: AtomicU64::new(0),
            version: AtomicU64::new(0),
            sessions: AtomicUsize::new(0),
            has_deadlines: AtomicBool::new(false),
            history: Mutex::default(),
            hash: Mutex::default(),
        }
    }

    /// The same, read from another backend, if there is one.
    pub(crate) fn read_from(self, other: Option<Arc<dyn Reader>>) -> Self {
        Self { other, ..self }
    }

    /// The published rows.
    pub(crate) fn view(&self) -> RowsView {
        match &self.other {
            Some(other) => RowsView::Other(other.view()),
            None => RowsView::Index(self.index.view()),
        }
    }

    /// True if looking a row up may wait for a disk.
    pub(crate) fn has_files(&self) -> bool {
        self.other.is_some() || self.index.has_files()
    }

    /// Pins the published rows together with the ownership that held when they were published.
    pub(crate) fn snapshot(&self) -> Snapshot {
        loop {
            let view = self.view();
            if let Some(ownership) = self.ownerships.at(view.applied_index()) {
                return Snapshot { view, ownership };
            }
        }
    }

    /// Called by the machine after an entry's rows are visible.
    pub(crate) fn applied(&self, id: LogId, machine: &atoll_kv::Machine) {
        let index = id.index;
        self.version.store(machine.last_version().0, Ordering::Relaxed);
        self.sessions.store(machine.session_count(), Ordering::Relaxed);
        self.has_deadlines
            .store(machine.has_deadlines(), Ordering::Relaxed);
        *self.history.lock() = machine.history_limits();
        *self.hash.lock() = (index, machine.state_hash());
        trouble::note(
            "shard state",
            &facts(self.key, self.replica, index, machine.state_hash()),
        );
        self.applied_index.store(index, Ordering::Release);
    }

    /// The newest entry whose rows are visible.
    pub(crate) fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Acquire)
    }

    /// The highest version given out so far.
    pub(crate) fn version(&self) -> Version {
        Version(self.version.load(Ordering::Relaxed))
    }

    /// Index and hash of one and the same moment.
    pub(crate) fn replica_state(&self) -> ReplicaState {
        let (applied_index, hash) = *self.hash.lock();
        ReplicaState {
            group: self.key,
            applied_index,
            hash,
        }
    }

    /// How much history the group keeps.
    pub(crate) fn history(&self) -> Option<HistoryLimits> {
        *self.history.lock()
    }

    /// Sessions open.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// True if something is waiting for group time to pass.
    pub(crate) fn has_deadlines(&self) -> bool {
        self.has_deadlines.load(Ordering::Relaxed)
    }

    /// The proof for a reply from this replica.
    pub(crate) fn proof(&self, applied_index: u64, version: Version, slot_epoch: Epoch) -> Proof {
        Proof {
            group: self.key,
            replica: self.replica,
            applied_index,
            slot_epoch,
            age_ms: 0,
            version,
        }
    }

    /// The epoch in which `ownership` owns the slot; it must be at least the one wanted.
    pub(crate) fn check_owner(
        &self,
        ownership: &Ownership,
        slot: SlotId,
        wanted: Epoch,
    ) -> Result<Epoch, Failure> {
        match ownership.epoch(slot) {
            Some(epoch) if epoch >= wanted => Ok(epoch),
            _ if mutant::is(Mutant::OwnerUnchecked) => Ok(wanted),
            known => {
                self.check_genesis(ownership)?;
                Err(Failure::NotOwner {
                    group: self.key,
                    slot,
                    epoch: known.unwrap_or_default(),
                })
            }
        }
    }

    /// A group without any slots has just been made, or has lost all of them.
    pub(crate) fn check_genesis(&self, ownership: &Ownership) -> Result<(), Failure> {
        if ownership.owned() > 0 {
            return Ok(());
        }
        Err(Failure::Unavailable(format!(
            "group {} has not been given its slots yet",
            self.key.id
        )))
    }
}
