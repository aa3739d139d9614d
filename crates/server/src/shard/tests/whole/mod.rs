//! A shard whose group has one voter: what tests start, write to and ask; and what it serves, refuses, and has room for.

mod admission;
mod room;
mod serving;

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::config::NodeConfig;
use crate::room::DiskRoom;
use crate::shard::read::{Consistency, ReadBatch, ReadItem, ReadOp};
use crate::shard::reply::{Delivery, Failure, Replies, Reply, ReplySlot};
use crate::shard::{ReadPool, Shard, Shared, WriteItem};
use crate::state_backend::{Backends, StateBackend};
use atoll_env::BoxFuture;
use atoll_env::net::Link;
use atoll_raft::{Peers, RaftHost, RaftOptions};
use atoll_storage::{Compression, Packer};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::Notify;

/// No other process exists.
struct Alone;

impl Peers for Alone {
    fn node_of(&self, _: GroupKey, _: ReplicaId) -> Option<NodeId> {
        None
    }

    fn dial(&self, _: NodeId) -> BoxFuture<'static, std::io::Result<Link>> {
        Box::pin(async { Err(std::io::ErrorKind::NotConnected.into()) })
    }
}

/// Collects replies.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) replies: Mutex<BTreeMap<u64, Reply>>,
    batches: Mutex<Vec<usize>>,
    wake: Notify,
}

impl Replies for Inbox {
    fn deliver(&self, batch: &mut Vec<Delivery>) {
        self.batches.lock().push(batch.len());
        for delivery in batch.drain(..) {
            let twice = self.replies.lock().insert(delivery.id, delivery.reply);
            assert!(twice.is_none(), "operation {} was answered twice", delivery.id);
        }
        self.wake.notify_one();
    }
}

impl Inbox {
    pub(super) async fn wait(&self, count: usize) -> BTreeMap<u64, Reply> {
        while self.replies.lock().len() < count {
            self.wake.notified().await;
        }
        std::mem::take(&mut self.replies.lock())
    }

    pub(super) async fn one(&self) -> Reply {
        self.wait(1).await.into_values().next().unwrap()
    }
}

pub(super) struct Whole {
    pub(super) env: Env,
    shared: Shared,
    pub(super) shard: Arc<Shard>,
    pub(super) inbox: Arc<Inbox>,
    /// Where the backend may keep files.
    _dir: TempDir,
}

/// With the feature `backend-sled` all tests of whole shards are about sled.
fn backends() -> (Backends, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::new(dir.path(), "127.0.0.1:0");
    if StateBackend::Sled.is_built_in() {
        config.state_backend = StateBackend::Sled;
    }
    (Backends::open(&config).unwrap(), dir)
}

impl Whole {
    async fn start() -> Self {
        Self::start_in(test_env(0)).await
    }

    async fn start_in(env: Env) -> Self {
        Self::start_with(env, Arc::default()).await
    }

    async fn start_with(env: Env, room: Arc<DiskRoom>) -> Self {
        // The sizes of tests are those of values as they are.
        let options = StoreOptions {
            compression: Compression::Off,
            ..StoreOptions::default()
        };
        Self::start_of(env, room, options).await
    }

    pub(super) async fn start_of(env: Env, room: Arc<DiskRoom>, options: StoreOptions) -> Self {
        Self::start_keeping(env, room, options, None).await
    }

    /// Leading, with all slots and with history.
    pub(super) async fn leading_keeping(env: Env, history: HistoryLimits) -> Self {
        let options = StoreOptions::default();
        Self::lead(Self::start_keeping(env, Arc::default(), options, Some(history)).await).await
    }

    async fn start_keeping(
        env: Env,
        room: Arc<DiskRoom>,
        options: StoreOptions,
        history: Option<HistoryLimits>,
    ) -> Self {
        let journal = open_journal(&env).await;
        let host = RaftHost::new(
            env.clone(),
            journal.clone(),
            Arc::new(Alone),
            RaftOptions::default(),
        );
        let pool = ReadPool::new(env.spawn.clone());
        let (backends, dir) = backends();
        let shared = Shared {
            env: env.clone(),
            host,
            store: start_store_with(&env, &journal, options),
            journal,
            backends,
            pool,
            packer: Packer::new(options.compression.of_entries()).into(),
            cluster: CLUSTER,
            sessions: SessionLimits::default(),
            history,
            // Nothing: no other test keeps anything.
            pin_bytes: 0,
            room,
            memory_room: Arc::default(),
        };
        let shard = Shard::start(&shared, group(), REPLICA).await.unwrap();
        Self {
            env,
            shared,
            shard,
            inbox: Arc::default(),
            _dir: dir,
        }
    }

    /// Leading, with all slots.
    pub(super) async fn leading() -> Self {
        Self::leading_in(test_env(0)).await
    }

    pub(super) async fn leading_in(env: Env) -> Self {
        Self::lead(Self::start_in(env).await).await
    }

    pub(super) async fn lead(whole: Self) -> Self {
        whole.elect().await;
        whole.shard.genesis(&[ALL_SLOTS], EPOCH).await.unwrap();
        whole
    }

    /// Makes the group, and waits until its one voter leads it.
    async fn elect(&self) {
        let group = self.shard.group();
        group.initialize(&BTreeSet::from([REPLICA])).await.unwrap();
        let mut leader = group.watch_leader();
        while *leader.borrow_and_update() != Some(REPLICA) {
            leader.changed().await.unwrap();
        }
        // A fresh leader first commits an entry of its own.
        group.reads().wait().await.unwrap();
    }

    pub(super) fn write(&self, id: u64, command: Command) -> WriteItem {
        let deadline = self.env.clock.now() + Duration::from_secs(30);
        WriteItem::new(command, deadline, ReplySlot::new(self.inbox.clone(), id))
    }

    pub(super) async fn submit(&self, command: Command) -> Reply {
        self.shard.submit_writes(vec![self.write(1, command)]);
        self.inbox.one().await
    }

    /// A write that must be done.
    pub(super) async fn written(&self, command: Command) -> Version {
        match self.submit(command).await {
            Reply::Written { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn submit_reads(&self, items: Vec<ReadItem>) {
        let batch = ReadBatch::new(items, self.inbox.clone());
        self.shard.submit_reads(batch);
    }

    /// The answer to a read that is alone in its batch.
    pub(super) async fn answer(&self, item: ReadItem) -> Reply {
        self.submit_reads(vec![item]);
        self.inbox.one().await
    }

    /// Reads a key that must be there.
    async fn finds(&self, key: &str) {
        let read = self.read(1, Consistency::Linearizable, get(key));
        let reply = self.answer(read).await;
        assert!(matches!(reply, Reply::Value { found: Some(_), .. }), "{reply:?}");
    }

    pub(super) fn read(&self, id: u64, consistency: Consistency, op: ReadOp) -> ReadItem {
        let deadline = self.env.clock.now() + Duration::from_secs(30);
        ReadItem {
            id,
            cost: 0,
            deadline,
            consistency,
            at: None,
            slot_epoch: Epoch(0),
            op,
        }
    }
}

pub(super) fn get(key: &str) -> ReadOp {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let slot = slot_of(&key);
    ReadOp::Get { key, slot }
}
