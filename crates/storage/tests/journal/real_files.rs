//! Real threads, real files.

use std::sync::Arc;

use atoll_env::vfs::OsVfs;
use atoll_storage::{Journal, JournalOptions, JournalPointer, value_crc};
use atoll_types::ReplicaId;

use crate::real::real_env;
use crate::support::*;

const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 256 * 1024,
    preallocate: true,
    tail_bytes: 64 * 1024,
    cache_bytes: 64 * 1024,
};

/// 8 groups, 100 entries each, appended at once; each entry is one value.
async fn write(journal: &Journal) -> Vec<(Vec<u8>, JournalPointer)> {
    let env = real_env(Arc::new(OsVfs));
    let mut tasks = Vec::new();
    for number in 0..8 {
        let log = journal
            .create_group(group(number), ReplicaId(number))
            .await
            .unwrap();
        tasks.push(env.spawn.spawn(async move {
            let mut pointers = Vec::new();
            for index in 0..100 {
                let value = payload(number * 1000 + index, 900);
                let key = format!("{number}/{index}").into_bytes();
                let done = append(&log, vec![entry(id(1, index), value.clone())]).await;
                let pointer = log
                    .pointer(id(1, index), 0, 900, value_crc(&key, &value))
                    .unwrap();
                pointers.push((key, pointer));
                done.await.unwrap().unwrap();
                log.release(index);
            }
            pointers
        }));
    }
    let mut pointers = Vec::new();
    for task in tasks {
        pointers.extend(task.await.unwrap());
    }
    pointers
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let env = real_env(Arc::new(OsVfs));
        let journal = Journal::open(&env, &path, IDENTITY, OPTIONS).await.unwrap();
        let pointers = write(&journal).await;
        let stats = journal.stats();
        assert_eq!(stats.entries_synced, 800);
        assert!(stats.segments >= 4 && stats.syncs < 850, "{stats:?}");
        journal.close().await;
        drop(journal);

        let journal = Journal::open(&env, &path, IDENTITY, OPTIONS).await.unwrap();
        for (key, pointer) in &pointers {
            assert_eq!(journal.read_value_blocking(pointer, key).unwrap().len(), 900);
        }
        for number in 0..8 {
            let log = journal.group(group(number)).unwrap();
            let entries = read_all(&log).await;
            assert_eq!(entries.len(), 100);
            for (index, found) in (0..).zip(entries) {
                assert_eq!(found, entry(id(1, index), payload(number * 1000 + index, 900)));
            }
        }
        journal.close().await;
    });
}
