//! A shard's parts on a real journal over a disk in memory, and a whole shard on a group of one.

mod apply;
mod compute;
mod fetching;
mod history;
mod levels;
mod other;
mod packed;
mod pages;
mod pins;
mod warm;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::{MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_kv::{Command, EntryHeader, HistoryLimits, Op, SessionLimits, encode_entry};
use atoll_placement::slot_of;
use atoll_raft::{Committed, Machine};
use atoll_state::NativeBackend;
use atoll_storage::{GroupLog, GroupStore, Identity, Journal, JournalOptions, LogEntry, Store, StoreOptions};
use atoll_types::{
    ClusterId, Epoch, GroupGen, GroupId, GroupKey, LogId, NodeId, Outcome, ReplicaId, Version,
};
use bytes::Bytes;

use super::machine::ShardMachine;
use super::state::ShardState;

const CLUSTER: ClusterId = ClusterId(77);
const REPLICA: ReplicaId = ReplicaId(4);
const EPOCH: Epoch = Epoch(3);
const ALL_SLOTS: (u16, u16) = (0, 16_383);

fn group() -> GroupKey {
    GroupKey::new(GroupId(1), GroupGen(1))
}

fn test_env(cold_reads_permille: u64) -> Env {
    env_on(disk(cold_reads_permille))
}

fn disk(cold_reads_permille: u64) -> MemVfs {
    MemVfs::new(MemVfsOptions {
        cold_reads_permille,
        ..MemVfsOptions::default()
    })
}

fn env_on(disk: MemVfs) -> Env {
    let rng = Rng::seeded(1);
    Env {
        clock: Clock::boot(),
        spawn: Spawn::simulated(Scope::new(rng.clone())),
        vfs: Arc::new(disk),
        net: Arc::new(NoNet),
        halt: Halt::simulated(|reason| panic!("{reason}")),
        rng,
    }
}

async fn open_journal(env: &Env) -> Journal {
    let identity = Identity {
        cluster: CLUSTER,
        node: NodeId(1),
    };
    // No more than the newest entries stay in memory, so that reads go to the disk.
    let options = JournalOptions {
        tail_bytes: 0,
        ..JournalOptions::dev()
    };
    Journal::open(env, "/data/journal".as_ref(), identity, options)
        .await
        .unwrap()
}

fn start_store(env: &Env, journal: &Journal) -> Store {
    start_store_with(env, journal, StoreOptions::default())
}

fn start_store_with(env: &Env, journal: &Journal, options: StoreOptions) -> Store {
    let identity = Identity {
        cluster: CLUSTER,
        node: NodeId(1),
    };
    Store::start(env, "/data".as_ref(), journal.clone(), identity, options)
}

/// A machine with its log; entries are committed by saying so.
struct Bench {
    journal: Journal,
    log: GroupLog,
    store: GroupStore,
    state: Arc<ShardState>,
    machine: ShardMachine,
    index: u64,
}

impl Bench {
    async fn new(cold_reads_permille: u64) -> Self {
        Self::on(disk(cold_reads_permille)).await
    }

    /// Before its first entry, whatever its log holds.
    async fn on(disk: MemVfs) -> Self {
        let env = env_on(disk);
        let journal = open_journal(&env).await;
        let log = journal.create_group(group(), REPLICA).await.unwrap();
        let store = start_store(&env, &journal);
        let (store, restored) = store.open_group(group(), REPLICA).unwrap();
        let state = Arc::new(ShardState::new(group(), REPLICA, store.index().clone()));
        let rows = Box::new(NativeBackend::new(store.clone(), journal.clone()));
        let machine = ShardMachine::open(
            CLUSTER,
            SessionLimits::default(),
            state.clone(),
            (store.clone(), rows, restored),
            env.spawn.clone(),
        )
        .unwrap();
        Self {
            journal,
            log,
            store,
            state,
            machine,
            index: 0,
        }
    }

    /// With all slots.
    async fn born(cold_reads_permille: u64) -> Self {
        let mut bench = Self::new(cold_reads_permille).await;
        bench.commit(&[genesis()]).await;
        bench
    }

    async fn append(&mut self, payload: Bytes) -> LogId {
        self.index += 1;
        let id = LogId {
            term: 1,
            leader: REPLICA,
            index: self.index,
        };
        let payload_crc = crc32fast::hash(&payload);
        let (durable, when_durable) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result: std::io::Result<()>| durable.send(result).unwrap());
        self.log
            .append(
                vec![LogEntry {
                    id,
                    kind: 1,
                    payload,
                    payload_crc,
                }],
                done,
            )
            .await
            .unwrap();
        when_durable.await.unwrap().unwrap();
        id
    }

    fn apply(&mut self, id: LogId, payload: &Bytes) -> Result<Vec<Outcome>, String> {
        let mut outcomes = Vec::new();
        let entry = Committed {
            id,
            payload,
            normal: true,
            log: &self.log,
        };
        self.machine.apply(entry, Some(&mut outcomes)).map(|()| outcomes)
    }

    async fn commit(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let payload = entry(commands);
        let id = self.append(payload.clone()).await;
        self.apply(id, &payload).unwrap()
    }
}

fn entry(commands: &[Command]) -> Bytes {
    encode_entry(
        EntryHeader {
            stamp: Version::from_millis(1),
            elapsed_ms: 0,
        },
        commands,
    )
}

fn genesis() -> Command {
    Command::genesis(CLUSTER, group(), vec![ALL_SLOTS], EPOCH)
}

fn put(key: &str, value: impl Into<Bytes>) -> Command {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Command::write(
        slot_of(&key),
        vec![Op::Put {
            key,
            value: value.into(),
        }],
    )
}

fn delete(key: &str) -> Command {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Command::write(slot_of(&key), vec![Op::Delete { key }])
}

fn done(outcomes: &[Outcome]) -> Version {
    match outcomes {
        [Outcome::Done { version }] => *version,
        other => panic!("{other:?}"),
    }
}

/// What the group should hold.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;
