//! One sync for many.

use std::time::Duration;

use atoll_env::Clock;
use atoll_env::vfs::{MemLatency, MemVfs, MemVfsOptions};
use atoll_storage::GroupLog;
use atoll_types::ReplicaId;

use crate::support::*;

fn slow_disk() -> MemVfs {
    let latency = MemLatency {
        clock: Clock::simulated(1.0, 0),
        write: Duration::from_millis(1)..Duration::from_millis(2),
        sync: Duration::from_millis(4)..Duration::from_millis(8),
    };
    MemVfs::new(MemVfsOptions {
        latency: Some(latency),
        ..MemVfsOptions::default()
    })
}

async fn append_fifty(log: GroupLog) {
    for index in 0..50 {
        append_durably(&log, vec![entry(id(1, index), payload(index, 100))]).await;
    }
}

#[test]
fn groups_that_append_at_once_share_syncs() {
    simulate(async {
        let process = Process::on(slow_disk());
        let journal = process.open(SMALL).await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..16 {
            let log = journal
                .create_group(group(number), ReplicaId(number))
                .await
                .unwrap();
            tasks.push(process.env.spawn.spawn(append_fifty(log)));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let stats = journal.stats();
        assert_eq!(stats.entries_synced, 800);
        // Two cohorts take turns, of which one may be small.
        assert!(stats.entries_per_sync_p50 > 1, "{stats:?}");
        assert!(stats.syncs < 200, "{stats:?}");
        assert!(
            stats.sync_us_p50 >= 4_000 && stats.sync_us_p99 < 15_000,
            "{stats:?}"
        );
    });
}

#[test]
fn commit_marks_and_idleness_cost_next_to_nothing() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let journal = process.open(SMALL).await.unwrap();
        let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        append_durably(&log, vec![entry(id(1, 0), payload(0, 10))]).await;
        let before = journal.stats().syncs;
        for _ in 0..100 {
            log.save_committed(id(1, 0));
        }
        process.env.clock.sleep(Duration::from_millis(900)).await;
        process.env.clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(journal.stats().syncs, before + 1, "one marker, then silence");
    });
}

#[test]
fn markers_come_at_most_once_a_second_however_often_the_node_falls_idle() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let journal = process.open(SMALL).await.unwrap();
        let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        let before = journal.stats().batches;
        for index in 0..100 {
            append_durably(&log, vec![entry(id(1, index), payload(index, 10))]).await;
            process.env.clock.sleep(Duration::from_millis(100)).await;
        }
        let markers = journal.stats().batches - before - 100;
        assert!((9..=11).contains(&markers), "{markers}");
    });
}
