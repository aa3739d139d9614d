//! A process with a journal and a store on a disk in memory.

use std::path::Path;
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::MemVfs;
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_storage::{
    Compression, GroupLog, GroupStore, Identity, Journal, JournalOptions, LogEntry, Restored, Store,
    StoreOptions,
};
use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, NodeId, ReplicaId};
use bytes::Bytes;

pub(super) const CLUSTER: ClusterId = ClusterId(0xA701);
pub(super) const GROUP: GroupKey = GroupKey::new(GroupId(9), GroupGen(1));
const REPLICA: ReplicaId = ReplicaId(2);

/// How large files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Room for the longest values.
    Large,
    /// Small files, so that a few kilobytes fill several and values move from one to another.
    Small,
}

impl Sizes {
    fn journal(self) -> JournalOptions {
        let (segment_bytes, tail_bytes) = match self {
            Self::Large => (8 << 20, 64 * 1024),
            Self::Small => (32 * 1024, 4 * 1024),
        };
        JournalOptions {
            segment_bytes,
            preallocate: false,
            tail_bytes,
            cache_bytes: 16 * 1024,
        }
    }

    /// Checkpoints are made when they are asked for.
    fn store(self) -> StoreOptions {
        let (journal_budget, value_file_bytes) = match self {
            Self::Large => (u64::MAX, 256 << 20),
            Self::Small => (64 * 1024, 16 * 1024),
        };
        StoreOptions {
            checkpoint_memory: usize::MAX,
            checkpoint_log: u64::MAX,
            row_memory: usize::MAX,
            block_cache: 16 * 1024,
            row_cache: 64 * 1024,
            snapshot_chunk: 4 * 1024,
            journal_budget,
            value_file_bytes,
            maintenance_rate: 0,
            compression: Compression::default(),
            keep_free: 0,
        }
    }
}

/// Everything below a backend.
pub(super) struct Node {
    pub(super) env: Env,
    scope: Scope,
    pub(super) journal: Journal,
    pub(super) log: GroupLog,
    pub(super) group: GroupStore,
}

impl Node {
    /// Starts on what the disk has.
    pub(super) async fn start(disk: &MemVfs, sizes: Sizes) -> (Self, Option<Restored>) {
        let scope = Scope::new(Rng::seeded(1));
        let env = Env {
            clock: Clock::simulated(1.0, 1_700_000_000_000),
            rng: Rng::seeded(disk.operations() + 7),
            spawn: Spawn::simulated(scope.clone()),
            vfs: Arc::new(disk.clone()),
            net: Arc::new(NoNet),
            halt: Halt::simulated(|reason| panic!("{reason}")),
        };
        let identity = Identity {
            cluster: CLUSTER,
            node: NodeId(1),
        };
        let (data, journal_dir) = (Path::new("/data"), Path::new("/data/journal"));
        let journal = Journal::open(&env, journal_dir, identity, sizes.journal()).await;
        let journal = journal.unwrap();
        let log = journal.create_group(GROUP, REPLICA).await.unwrap();
        let store = Store::start(&env, data, journal.clone(), identity, sizes.store());
        let (group, restored) = store.open_group(GROUP, REPLICA).unwrap();
        let node = Self {
            env,
            scope,
            journal,
            log,
            group,
        };
        (node, restored)
    }

    /// Ends the process where it is.
    pub(super) fn kill(self) {
        self.scope.end();
    }

    /// Appends an entry to the log, durably.
    pub(super) async fn append(&self, index: u64, payload: Bytes) -> LogId {
        let id = id(index);
        let entry = LogEntry {
            id,
            kind: 1,
            payload_crc: crc32fast::hash(&payload),
            payload,
        };
        let (durable, when_durable) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result: std::io::Result<()>| durable.send(result).unwrap());
        self.log.append(vec![entry], done).await.unwrap();
        when_durable.await.unwrap().unwrap();
        id
    }
}

/// The name of an entry.
pub(super) fn id(index: u64) -> LogId {
    LogId {
        term: 1,
        leader: REPLICA,
        index,
    }
}
