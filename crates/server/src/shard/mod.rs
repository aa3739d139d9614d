//! One replica of one data group: the only place where `kv`, `raft` and `storage` meet.
//!
//! A write: [`mod@write`] refuses what can be refused for nothing, the group's proposer gathers what
//! waits (packed in [`packing`], if that gains), [`pack`] makes one log entry of it, and once that is committed [`machine`] applies it on
//! every replica and `pack` hands the outcomes back, a stream at a time. A read: [`read`] waits with
//! its whole batch for one read point, takes one snapshot and answers from it by [`fetch`].
//!
//! Invariants:
//! - Rows become visible one whole entry at a time, together with the ownership of the same log
//!   index ([`ownership`]); a read judges ownership in the state it reads.
//! - Every operation gets exactly one reply ([`reply`]), also if the queue it stands in is dropped.
//!   A failure is `Unknown` if and only if the write reached the proposer and its end was not seen.
//! - A shard exists only after what was committed before the restart is applied again.
//! - Nothing here blocks the runtime: what may wait for a disk goes to [`pool`].

mod counters;
mod fetch;
mod guarded;
mod history;
mod info;
mod machine;
mod ownership;
mod pack;
mod packing;
mod pool;
mod read;
mod reply;
mod rows_view;
mod state;
#[cfg(test)]
mod tests;
mod tick;
mod warm;
mod write;

pub(crate) use counters::HistogramCounts;
pub(crate) use pool::ReadPool;
pub(crate) use read::{Consistency, Mark, ReadBatch, ReadItem, ReadOp, ScanOp, ScanWhat, SlotSet};
#[cfg(test)]
pub(crate) use reply::answer_all;
pub(crate) use reply::{
    Delivery, Failure, Proof, RETRY_AFTER_MS, RETRY_FULL_DISK_MS, Replies, Reply, ReplySlot, Row,
};
pub use state::ReplicaState;
pub(crate) use write::{DEADLINE_DEFAULT, WriteItem};

use std::sync::Arc;

use atoll_env::watch;
use atoll_env::{Env, Task};
use atoll_kv::{Command, EntryHeader, HistoryLimits, SessionLimits, encode_entry};
use atoll_raft::{Group, ProposeError, Proposer, RaftError, RaftHost, ReadGate};
use atoll_state::NativeBackend;
use atoll_storage::{GroupStore, Journal, Packer, Store, StoreError};
use atoll_types::{ClusterId, Epoch, GroupKey, Outcome, ReplicaId, Version};
use parking_lot::Mutex;

use crate::room::{DiskRoom, MemoryRoom};
use crate::state_backend::Backends;
use counters::Counters;
use machine::ShardMachine;
use pack::EntryPacker;
use read::{Refresher, Waits};
use state::ShardState;
use tick::LastEntry;

/// What all shards of a node stand on.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) host: RaftHost,
    pub(crate) journal: Journal,
    pub(crate) store: Store,
    pub(crate) backends: Backends,
    pub(crate) pool: ReadPool,
    /// Packs values of writes.
    pub(crate) packer: Arc<Packer>,
    pub(crate) cluster: ClusterId,
    pub(crate) sessions: SessionLimits,
    pub(crate) history: Option<HistoryLimits>,
    /// Bytes of the disk that a read may keep from being freed.
    pub(crate) pin_bytes: u64,
    pub(crate) room: Arc<DiskRoom>,
    pub(crate) memory_room: Arc<MemoryRoom>,
}

/// One data group's replica on this node.
pub(crate) struct Shard {
    env: Env,
    cluster: ClusterId,
    group: Group,
    proposer: Proposer<WriteItem>,
    reads: ReadGate,
    leader: watch::Receiver<Option<ReplicaId>>,
    journal: Journal,
    store: GroupStore,
    pool: ReadPool,
    pin_bytes: u64,
    packer: Arc<Packer>,
    state: Arc<ShardState>,
    counters: Arc<Counters>,
    refresher: Refresher,
    waits: Waits,
    room: Arc<DiskRoom>,
    memory_room: Arc<MemoryRoom>,
    /// What groups led here are to keep.
    history: Option<HistoryLimits>,
    tasks: Mutex<Vec<Task<()>>>,
}

impl Shard {
    /// Starts the replica, creating it in the journal if it is new. Returns when everything committed
    /// before the restart is applied again, so a shard that exists can serve.
    pub(crate) async fn start(
        shared: &Shared,
        key: GroupKey,
        replica: ReplicaId,
    ) -> Result<Arc<Self>, RaftError> {
        let Shared {
            env,
            host,
            journal,
            store,
            backends,
            pool,
            packer,
            cluster,
            sessions,
            history,
            pin_bytes,
            room,
            memory_room,
        } = shared.clone();
        let (values, spawn) = (journal.clone(), env.spawn.clone());
        let open = move || {
            let (store, restored) = store.open_group(key, replica).map_err(unopened)?;
            let rows = backends.make(NativeBackend::new(store.clone(), values), &spawn)?;
            Ok::<_, RaftError>((store, rows, restored))
        };
        let (store, rows, restored) = env.spawn.blocking(open).await?;
        let state = ShardState::new(key, replica, store.index().clone()).read_from(rows.reader);
        let state = Arc::new(state);
        let machine = ShardMachine::open(
            cluster,
            sessions,
            state.clone(),
            (store.clone(), rows.backend, restored),
            env.spawn.clone(),
        )
        .map_err(damaged)?;
        let group = host.start_group(key, replica, Box::new(machine)).await?;
        let counters = Arc::new(Counters::default());
        let last_entry = Arc::new(LastEntry::new(env.clock.now()));
        let proposer = group.proposer(EntryPacker {
            clock: env.clock.clone(),
            state: state.clone(),
            counters: counters.clone(),
            last_entry: last_entry.clone(),
        });
        Ok(Arc::new_cyclic(|shard| Self {
            tasks: Mutex::new(vec![
                env.spawn.spawn(tick::run(env.clone(), shard.clone(), last_entry)),
                env.spawn
                    .spawn(history::run(env.clone(), shard.clone(), group.watch_leader())),
            ]),
            history,
            cluster,
            proposer,
            reads: group.reads(),
            leader: group.watch_leader(),
            group,
            journal,
            store,
            pool,
            pin_bytes,
            packer,
            state,
            counters,
            refresher: Refresher::default(),
            waits: Waits::default(),
            room,
            memory_room,
            env,
        }))
    }

    /// How far this replica is, for comparing it with the others.
    pub(crate) fn replica_state(&self) -> ReplicaState {
        self.state.replica_state()
    }

    /// The Raft group.
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// True if requests can be served now: the group has slots and a leader.
    pub(crate) fn is_ready(&self) -> bool {
        self.state.ownerships.newest().owned() > 0 && self.leader.borrow().is_some()
    }

    /// Gives the group its first slots. Idempotent: the same genesis again does nothing.
    pub(crate) async fn genesis(&self, slots: &[(u16, u16)], epoch: Epoch) -> Result<(), ProposeError> {
        let command = Command::genesis(self.cluster, self.state.key, slots.to_vec(), epoch);
        let stamp = Version::from_millis(self.env.clock.wall_ms()).max(self.state.version());
        let payload = encode_entry(EntryHeader { stamp, elapsed_ms: 0 }, [&command]);
        match self.group.propose(payload).await?.first() {
            Some(Outcome::Done { .. }) => Ok(()),
            other => Err(ProposeError::Unknown(format!(
                "genesis of group {} was answered by {other:?}: it holds another one",
                self.state.key
            ))),
        }
    }

    /// Ends the shard's own tasks. The group is stopped by its host.
    pub(crate) async fn shutdown(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.stop();
            task.await;
        }
    }
}

/// Why a checkpoint could not be opened.
pub(crate) fn unopened(error: StoreError) -> RaftError {
    if error.may_pass() {
        RaftError::Storage(error.to_string())
    } else {
        damaged(error)
    }
}

/// What is wrong with a checkpoint, as a reason not to start a replica.
pub(crate) fn damaged(error: impl std::fmt::Display) -> RaftError {
    RaftError::Damaged(error.to_string())
}
