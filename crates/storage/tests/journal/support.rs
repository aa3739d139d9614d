//! A node with nothing but a disk.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atoll_env::net::NoNet;
use atoll_env::vfs::MemVfs;
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn, Vfs};
use atoll_storage::sealed::{KeyRing, SealedVfs};
use atoll_storage::{GroupLog, Identity, Journal, JournalOptions, LogEntry, OpenError};
use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, NodeId, ReplicaId};
use bytes::Bytes;
use tokio::sync::oneshot;

pub const DIR: &str = "/data/journal";
pub const IDENTITY: Identity = Identity {
    cluster: ClusterId(0xC1),
    node: NodeId(3),
};

/// Small segments, so that every test rolls over.
pub const SMALL: JournalOptions = JournalOptions {
    segment_bytes: 32 * 1024,
    preallocate: false,
    tail_bytes: 1 << 20,
    cache_bytes: 16 * 1024,
};

thread_local! {
    /// 0 if files are not sealed, else the next seed: no two processes draw the same keys.
    static SEALED: Cell<u64> = const { Cell::new(0) };
}

/// Runs a test, all of it on this thread, with files that are sealed.
pub fn sealed(test: impl FnOnce()) {
    SEALED.set(1);
    test();
    SEALED.set(0);
}

/// A disk as a process sees it.
pub fn files(vfs: &MemVfs) -> Arc<dyn Vfs> {
    let seed = SEALED.get();
    if seed == 0 {
        return Arc::new(vfs.clone());
    }
    let keys = Arc::new(KeyRing::parse(&[*b"0123456789abcdef"; 2].concat()).unwrap());
    SEALED.set(seed + 1);
    let rng = Rng::seeded(seed);
    Arc::new(SealedVfs::new(
        Arc::new(vfs.clone()),
        Path::new("/data"),
        keys,
        rng,
    ))
}

/// One simulated process and its disk.
pub struct Process {
    pub env: Env,
    pub vfs: MemVfs,
    scope: Scope,
    halted: Arc<AtomicBool>,
}

impl Process {
    pub fn on(vfs: MemVfs) -> Self {
        let scope = Scope::new(Rng::seeded(1));
        let halted = Arc::new(AtomicBool::new(false));
        let flag = halted.clone();
        let env = Env {
            clock: Clock::simulated(1.0, 1_700_000_000_000),
            rng: Rng::seeded(vfs.operations() + 7),
            spawn: Spawn::simulated(scope.clone()),
            vfs: files(&vfs),
            net: Arc::new(NoNet),
            halt: Halt::simulated(move |_| flag.store(true, Ordering::Relaxed)),
        };
        Self {
            env,
            vfs,
            scope,
            halted,
        }
    }

    pub async fn open(&self, options: JournalOptions) -> Result<Journal, OpenError> {
        Journal::open(&self.env, Path::new(DIR), IDENTITY, options).await
    }

    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Ends all tasks, as SIGKILL does.
    pub fn kill(&self) {
        self.scope.end();
    }
}

/// Runs a test on one thread with a clock that jumps when nothing else can happen.
pub fn simulate<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

pub fn group(id: u64) -> GroupKey {
    GroupKey::new(GroupId(id), GroupGen(0))
}

pub fn id(term: u64, index: u64) -> LogId {
    LogId {
        term,
        leader: ReplicaId(term % 3 + 1),
        index,
    }
}

pub fn entry(id: LogId, payload: impl Into<Bytes>) -> LogEntry {
    let payload = payload.into();
    LogEntry {
        id,
        kind: 1,
        payload_crc: crc32(&payload),
        payload,
    }
}

pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Bytes that no other entry has.
pub fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

/// Appends and returns a receiver that fires once the entries are durable.
pub async fn append(log: &GroupLog, entries: Vec<LogEntry>) -> oneshot::Receiver<io::Result<()>> {
    let (done, durable) = oneshot::channel();
    log.append(entries, Box::new(move |result| drop(done.send(result))))
        .await
        .unwrap();
    durable
}

pub async fn append_durably(log: &GroupLog, entries: Vec<LogEntry>) {
    append(log, entries).await.await.unwrap().unwrap();
}

pub async fn read_all(log: &GroupLog) -> Vec<LogEntry> {
    log.read(0, u64::MAX, usize::MAX).await.unwrap()
}
