//! Writes that there is no room for: on the disk, in the journal, in memory. Reads and removals go on.

use atoll_env::vfs::Fault;
use atoll_storage::{InlineValue, JournalLoad, ValueRef};

use super::*;
use crate::room::relief;

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
    whole.written(delete("key0")).await;
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
    whole.finds("key1").await;
}

/// Writes that come faster than merges can move values: refused with a reason, and taken again without anybody's doing.
#[tokio::test]
async fn while_merges_lag_behind_writes_are_refused_and_nothing_else() {
    let room = Arc::new(DiskRoom::default());
    let whole = Whole::lead(Whole::start_with(test_env(0), room.clone()).await).await;
    whole.written(put("key0", vec![7; 50_000])).await;
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
    whole.finds("key0").await;
    whole.written(delete("key0")).await;
    lag(0);
    whole.written(put("key1", vec![7; 10])).await;
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
    whole.finds("{t}00000/000").await;
    assert_eq!(
        whole.shard.group().status().last_index,
        log_end,
        "nothing came into the log"
    );
    // The checkpoint is tried again after a second, and one of the rows behind it begun, as in a node.
    let Shared { env, host, store, .. } = &whole.shared;
    let _relief = env
        .spawn
        .spawn(relief::run(env.clock.clone(), store.clone(), host.clone()));
    let deadline = whole.env.clock.now() + Duration::from_secs(10);
    loop {
        let reply = whole.submit(many(rounds)).await;
        if matches!(reply, Reply::Written { .. }) {
            return;
        }
        assert!(whole.env.clock.now() < deadline, "refused for ever: {reply:?}");
        whole.shared.store.relieve();
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
        whole.written(many(round)).await;
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
