//! A shard whose group has one voter.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::config::NodeConfig;
use crate::room::{DiskRoom, relief};
use crate::shard::read::{Consistency, ReadBatch, ReadItem, ReadOp, ScanOp};
use crate::shard::reply::{Delivery, Failure, Replies, Reply, ReplySlot};
use crate::shard::{ReadPool, Shard, Shared, WriteItem};
use crate::state_backend::{Backends, StateBackend};
use atoll_env::BoxFuture;
use atoll_env::net::Link;
use atoll_env::vfs::Fault;
use atoll_raft::{Peers, RaftHost, RaftOptions};
use atoll_storage::{Compression, InlineValue, JournalLoad, Packer, ValueRef};
use atoll_types::limits::PROPOSER_COMMANDS_MAX;
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
        whole
            .shard
            .group()
            .initialize(&BTreeSet::from([REPLICA]))
            .await
            .unwrap();
        let mut leader = whole.shard.group().watch_leader();
        while *leader.borrow_and_update() != Some(REPLICA) {
            leader.changed().await.unwrap();
        }
        // A fresh leader first commits an entry of its own.
        whole.shard.group().reads().wait().await.unwrap();
        whole.shard.genesis(&[ALL_SLOTS], EPOCH).await.unwrap();
        whole
    }

    pub(super) fn write(&self, id: u64, command: Command) -> WriteItem {
        let deadline = self.env.clock.now() + Duration::from_secs(30);
        WriteItem::new(command, deadline, ReplySlot::new(self.inbox.clone(), id))
    }

    pub(super) async fn submit(&self, command: Command) -> Reply {
        self.shard.submit_writes(vec![self.write(1, command)]);
        self.inbox.one().await
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

#[tokio::test(start_paused = true)]
async fn a_group_whose_first_replica_says_nothing_is_made_by_the_next() {
    let whole = Whole::start().await;
    let voters = BTreeSet::from([ReplicaId(REPLICA.0 - 1), REPLICA]);
    let status = || whole.shard.group().status();
    let make = crate::store::birth::make(&whole.env, whole.shard.group(), &voters);
    let before = async {
        whole.env.clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(status().voters, [], "it waits for its turn");
    };
    tokio::join!(make, before);
    let voters: Vec<_> = voters.into_iter().collect();
    while status().voters != voters {
        whole.env.clock.sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn writes_are_answered_in_batches_and_read_back() {
    let whole = Whole::leading().await;
    let items = (0..500)
        .map(|id| whole.write(id, put(&format!("key{id}"), vec![id as u8; 100])))
        .collect();
    whole.shard.submit_writes(items);
    let replies = whole.inbox.wait(500).await;
    assert!(
        replies
            .values()
            .all(|reply| matches!(reply, Reply::Written { .. }))
    );
    let entries = whole.shard.info();
    assert!(whole.inbox.batches.lock().len() as u64 <= entries.entries);
    assert_eq!(
        (entries.commands, entries.keys, entries.owned_slots),
        (500, 500, 16_384)
    );
    assert!(entries.commands_per_entry.p50() > 16, "{entries:?}");

    let reads = (0..500)
        .map(|id| whole.read(id, Consistency::Linearizable, get(&format!("key{id}"))))
        .collect();
    whole.inbox.batches.lock().clear();
    whole
        .shard
        .submit_reads(ReadBatch::new(reads, whole.inbox.clone()));
    for (id, reply) in whole.inbox.wait(500).await {
        let Reply::Value {
            found: Some((_, value)),
            proof,
        } = reply
        else {
            panic!("{reply:?}")
        };
        assert_eq!(value, vec![id as u8; 100]);
        assert_eq!(
            (proof.age_ms, proof.slot_epoch, proof.replica),
            (0, EPOCH, REPLICA)
        );
        assert!(proof.applied_index >= 2);
    }
    assert_eq!(*whole.inbox.batches.lock(), [500]);
    let info = whole.shard.info();
    assert_eq!((info.reads, info.read_batches), (500, 1));
}

#[tokio::test]
async fn long_values_are_handed_on_before_more_of_them_are_read() {
    let whole = Whole::leading().await;
    let key = |id: u64| format!("key{id}");
    for id in 0..12 {
        whole.submit(put(&key(id), vec![id as u8; 700_000])).await;
    }
    let reads = (0..12)
        .map(|id| whole.read(id, Consistency::Linearizable, get(&key(id))))
        .collect();
    whole.inbox.batches.lock().clear();
    whole
        .shard
        .submit_reads(ReadBatch::new(reads, whole.inbox.clone()));
    whole.inbox.wait(12).await;
    assert_eq!(*whole.inbox.batches.lock(), [2; 6]);
}

#[tokio::test]
async fn large_pages_go_to_the_pool_and_come_back() {
    let whole = Whole::leading().await;
    let items = (0..600)
        .map(|id| whole.write(id, put(&format!("key{id:04}"), "v")))
        .collect();
    whole.shard.submit_writes(items);
    whole.inbox.wait(600).await;
    let scan = ReadOp::Scan(Box::new(ScanOp {
        start: Bytes::new(),
        end: Bytes::new(),
        limit: 4096,
        reverse: false,

        ..ScanOp::default()
    }));
    let reads = vec![
        whole.read(1, Consistency::Linearizable, scan),
        whole.read(2, Consistency::Eventual, get("no")),
    ];
    whole
        .shard
        .submit_reads(ReadBatch::new(reads, whole.inbox.clone()));
    let replies = whole.inbox.wait(2).await;
    let Reply::Page { rows, more, .. } = &replies[&1] else {
        panic!("{replies:?}")
    };
    assert_eq!((rows.len(), more), (600, &false));
    let Reply::Value { found: None, proof } = &replies[&2] else {
        panic!("{replies:?}")
    };
    assert!(
        proof.age_ms < 60_000,
        "becoming the leader took a round: {proof:?}"
    );
    assert_eq!(whole.shard.info().cold_reads, 1);
}

#[tokio::test]
async fn admission_refuses_what_cannot_be_done_and_says_why() {
    let whole = Whole::leading().await;
    let far = Version::from_millis(whole.env.clock.wall_ms() + 120_000);
    let reply = whole
        .submit(Command {
            after: far,
            ..put("k", "v")
        })
        .await;
    assert!(
        matches!(&reply, Reply::Failed(Failure::Unavailable(why)) if why.contains("clock")),
        "{reply:?}"
    );

    let near = Version::from_millis(whole.env.clock.wall_ms() + 30_000);
    let reply = whole
        .submit(Command {
            after: near,
            ..put("k", "v")
        })
        .await;
    assert!(
        matches!(reply, Reply::Written { version, .. } if version > near),
        "{reply:?}"
    );

    let twice = Command {
        ops: [put("k", "a").ops, put("k", "b").ops].concat(),
        ..put("k", "v")
    };
    assert!(matches!(
        whole.submit(twice).await,
        Reply::Failed(Failure::Invalid(_))
    ));

    let mut late = whole.write(1, put("k", "v"));
    late.deadline = whole.env.clock.now();
    whole.shard.submit_writes(vec![late]);
    assert_eq!(whole.inbox.one().await, Reply::Failed(Failure::Deadline));
}

#[tokio::test]
async fn a_full_queue_takes_nothing_and_says_when_to_come_back() {
    let whole = Whole::leading().await;
    let count = PROPOSER_COMMANDS_MAX as u64 + 1;
    let command = put("k", "v");
    let items = (0..count).map(|id| whole.write(id, command.clone())).collect();
    whole.shard.submit_writes(items);
    let replies = whole.inbox.wait(count as usize).await;
    let shed = |reply: &Reply| matches!(reply, Reply::Failed(Failure::Overloaded { retry_after_ms, .. }) if *retry_after_ms > 0);
    assert!(replies.values().all(shed));
    assert_eq!(whole.shard.info().commands, 0);
}

#[tokio::test]
async fn without_a_leader_or_slots_nothing_is_taken() {
    let whole = Whole::start().await;
    assert!(!whole.shard.is_ready());
    let reply = whole.submit(put("k", "v")).await;
    assert_eq!(
        reply,
        Reply::Failed(Failure::NotLeader {
            group: group(),
            leader: None
        })
    );
    let reads = vec![whole.read(1, Consistency::Linearizable, get("k"))];
    whole
        .shard
        .submit_reads(ReadBatch::new(reads, whole.inbox.clone()));
    let reply = whole.inbox.one().await;
    assert!(
        matches!(
            reply,
            Reply::Failed(Failure::NotLeader { .. } | Failure::Unavailable(_))
        ),
        "{reply:?}"
    );
    let reads = vec![whole.read(1, Consistency::Eventual, get("k"))];
    whole
        .shard
        .submit_reads(ReadBatch::new(reads, whole.inbox.clone()));
    assert!(matches!(
        whole.inbox.one().await,
        Reply::Failed(Failure::Unavailable(_))
    ));
}

#[tokio::test]
async fn slots_of_others_are_refused_before_anything_is_queued() {
    let whole = Whole::start().await;
    whole
        .shard
        .group()
        .initialize(&BTreeSet::from([REPLICA]))
        .await
        .unwrap();
    whole.shard.group().reads().wait().await.ok();
    let mut leader = whole.shard.group().watch_leader();
    while *leader.borrow_and_update() != Some(REPLICA) {
        leader.changed().await.unwrap();
    }
    let slot = slot_of(b"foo");
    whole.shard.genesis(&[(slot.0, slot.0)], EPOCH).await.unwrap();
    whole.shard.genesis(&[(slot.0, slot.0)], EPOCH).await.unwrap();
    assert!(whole.shard.genesis(&[ALL_SLOTS], EPOCH).await.is_err());
    assert_eq!(whole.shard.state.ownerships.newest().epoch(slot), Some(EPOCH));
    assert!(matches!(
        whole.submit(put("foo", "v")).await,
        Reply::Written { .. }
    ));
    let reply = whole.submit(put("bar", "v")).await;
    assert!(
        matches!(reply, Reply::Failed(Failure::NotOwner { slot, .. }) if slot == slot_of(b"bar")),
        "{reply:?}"
    );
    assert_eq!(whole.shard.info().commands, 1);
}

#[tokio::test]
async fn a_session_opens_with_a_version_of_the_group() {
    let whole = Whole::leading().await;
    let reply = whole
        .submit(Command::open_session(atoll_types::ClientId(5), Version(1)))
        .await;
    assert!(matches!(reply, Reply::SessionOpened { .. }), "{reply:?}");
    assert_eq!(whole.shard.info().sessions, 1);
}

#[tokio::test]
async fn a_dropped_batch_answers_its_reads() {
    let inbox: Arc<Inbox> = Arc::default();
    let item = ReadItem {
        id: 3,
        cost: 0,
        deadline: atoll_env::Instant::default(),
        consistency: Consistency::Linearizable,
        at: None,
        slot_epoch: Epoch(0),
        op: get("k"),
    };
    drop(ReadBatch::new(vec![item], inbox.clone()));
    assert!(matches!(
        inbox.one().await,
        Reply::Failed(Failure::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_full_quota_refuses_writes_before_the_log_and_nothing_else() {
    const QUOTA: u64 = 1024 * 1024;
    let room = Arc::new(DiskRoom::new(Some(QUOTA), 0));
    let whole = Whole::lead(Whole::start_with(test_env(0), room).await).await;
    let mut stored = 0;
    let refused = loop {
        match whole.submit(put(&format!("key{stored}"), vec![7; 50_000])).await {
            Reply::Written { .. } => stored += 1,
            other => break other,
        }
        assert!(stored < 100, "the quota is never used up");
    };
    let Reply::Failed(Failure::DiskQuota {
        used_bytes,
        quota_bytes,
    }) = &refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(*quota_bytes, QUOTA);
    assert!((QUOTA - QUOTA / 10..QUOTA).contains(used_bytes), "{refused:?}");
    assert!(
        stored >= 15,
        "{stored} of 50 kB fit into 1 MiB without its reserve"
    );
    // With removals space comes back, so they are taken for longer.
    let command = Command::write(
        slot_of(b"key0"),
        vec![Op::Delete {
            key: Bytes::from_static(b"key0"),
        }],
    );
    let removed = whole.submit(command).await;
    assert!(matches!(removed, Reply::Written { .. }), "{removed:?}");
    let log_end = whole.shard.group().status().last_index;
    let refused = whole.submit(put("other", vec![7; 5_000])).await;
    assert!(
        matches!(refused, Reply::Failed(Failure::DiskQuota { .. })),
        "{refused:?}"
    );
    assert_eq!(
        whole.shard.group().status().last_index,
        log_end,
        "nothing came into the log"
    );
    let read = whole.read(1, Consistency::Linearizable, get("key1"));
    whole
        .shard
        .submit_reads(ReadBatch::new(vec![read], whole.inbox.clone()));
    let read = whole.inbox.one().await;
    assert!(matches!(read, Reply::Value { found: Some(_), .. }), "{read:?}");
}

/// Writes that come faster than merges can move values: refused with a reason, and taken again without anybody's doing.
#[tokio::test]
async fn while_merges_lag_behind_writes_are_refused_and_nothing_else() {
    let room = Arc::new(DiskRoom::default());
    let whole = Whole::lead(Whole::start_with(test_env(0), room.clone()).await).await;
    let written = whole.submit(put("key0", vec![7; 50_000])).await;
    assert!(matches!(written, Reply::Written { .. }), "{written:?}");
    let lag = |freeable| {
        room.journal().look(JournalLoad {
            bytes: 0,
            budget: 10_000,
            freeable,
        });
    };
    lag(10_000);
    let log_end = whole.shard.group().status().last_index;
    let refused = whole.submit(put("key1", vec![7; 10])).await;
    let Reply::Failed(failure @ Failure::Overloaded { .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(failure.to_string().contains("merges"), "{failure}");
    assert_eq!(whole.shard.group().status().last_index, log_end);
    let read = whole.read(1, Consistency::Linearizable, get("key0"));
    whole
        .shard
        .submit_reads(ReadBatch::new(vec![read], whole.inbox.clone()));
    let read = whole.inbox.one().await;
    assert!(matches!(read, Reply::Value { found: Some(_), .. }), "{read:?}");
    let command = Command::write(
        slot_of(b"key0"),
        vec![Op::Delete {
            key: Bytes::from_static(b"key0"),
        }],
    );
    let removed = whole.submit(command).await;
    assert!(matches!(removed, Reply::Written { .. }), "{removed:?}");
    lag(0);
    let written = whole.submit(put("key1", vec![7; 10])).await;
    assert!(matches!(written, Reply::Written { .. }), "{written:?}");
}

/// An entry of a hundred short rows.
fn many(round: usize) -> Command {
    let key = |row| Bytes::from(format!("{{t}}{round:05}/{row:03}"));
    let puts = (0..100).map(|row| Op::Put {
        key: key(row),
        value: Bytes::from_static(b"short"),
    });
    Command::write(slot_of(&key(0)), puts.collect())
}

#[tokio::test(start_paused = true)]
async fn while_rows_in_memory_wait_for_the_disk_writes_are_refused_and_taken_again_later() {
    let disk = disk(0);
    let mut env = env_on(disk.clone());
    env.clock = Clock::simulated(1.0, 1_700_000_000_000);
    let options = StoreOptions {
        row_memory: 64 * 1024,
        ..StoreOptions::default()
    };
    let whole = Whole::lead(Whole::start_of(env, Arc::default(), options).await).await;
    disk.fail_next(Fault::Write, "groups/");
    let mut rounds = 0;
    let refused = loop {
        match whole.submit(many(rounds)).await {
            Reply::Written { .. } => rounds += 1,
            other => break other,
        }
        assert!(rounds < 100, "memory grows without end");
    };
    let Reply::Failed(failure @ Failure::Overloaded { .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(failure.to_string().contains("rows in memory"), "{failure}");
    let rows = whole.shard.store.row_memory();
    assert!((2 * rows.limit..3 * rows.limit).contains(&rows.bytes), "{rows:?}");
    let log_end = whole.shard.group().status().last_index;
    let read = whole.read(1, Consistency::Linearizable, get("{t}00000/000"));
    whole
        .shard
        .submit_reads(ReadBatch::new(vec![read], whole.inbox.clone()));
    let read = whole.inbox.one().await;
    assert!(matches!(read, Reply::Value { found: Some(_), .. }), "{read:?}");
    assert_eq!(
        whole.shard.group().status().last_index,
        log_end,
        "nothing came into the log"
    );
    // The checkpoint is tried again after a second.
    let deadline = whole.env.clock.now() + Duration::from_secs(10);
    while !matches!(whole.submit(many(rounds)).await, Reply::Written { .. }) {
        assert!(whole.env.clock.now() < deadline, "writes are refused for ever");
        whole.env.clock.sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_group_with_the_most_rows_checkpoints_when_another_one_needs_the_memory() {
    let mut env = test_env(0);
    env.clock = Clock::simulated(1.0, 1_700_000_000_000);
    let options = StoreOptions {
        row_memory: 512 * 1024,
        ..StoreOptions::default()
    };
    let whole = Whole::lead(Whole::start_of(env, Arc::default(), options).await).await;
    for round in 0..20 {
        let written = whole.submit(many(round)).await;
        assert!(matches!(written, Reply::Written { .. }), "{written:?}");
    }
    let Shared { env, host, store, .. } = &whole.shared;
    let relief = env
        .spawn
        .spawn(relief::run(env.clock.clone(), store.clone(), host.clone()));
    let (other, _) = store
        .open_group(GroupKey::new(GroupId(2), GroupGen(1)), REPLICA)
        .unwrap();
    let mut writer = other.index().writer();
    assert_eq!(whole.shard.store.flushed_index(), 0);
    for row in 1.. {
        writer.begin(1);
        let value = InlineValue::new(b"short", 0).unwrap();
        let key = format!("{row:08}");
        writer.put(key.as_bytes(), Version(row), ValueRef::Inline(value));
        writer.publish(Version(row), row);
        assert!(!other.note_applied(&writer, 0), "it is the smaller one");
        if store.row_memory().bytes > 257 * 1024 {
            break;
        }
    }
    let deadline = env.clock.now() + Duration::from_secs(10);
    while whole.shard.store.flushed_index() == 0 {
        assert!(env.clock.now() < deadline, "the idle group was not called");
        env.clock.sleep(Duration::from_millis(10)).await;
    }
    assert!(store.row_memory().bytes < 128 * 1024, "{:?}", store.row_memory());
    relief.stop();
}
