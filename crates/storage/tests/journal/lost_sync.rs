//! A sync that fails loses what it should have written, though it still reads back and no later sync
//! complains (Rebello et al., ATC 2020). The process stops; the next one must not take for durable
//! what it only finds in the cache.

use atoll_env::vfs::{Crash, Fault, MemVfs};
use atoll_types::ReplicaId;

use crate::support::*;

/// Whether the process stopped at the failed sync, and how many entries the next one found and
/// promised.
async fn fail_a_sync(vfs: MemVfs) -> (MemVfs, u64) {
    let process = Process::on(vfs);
    let journal = process.open(SMALL).await.unwrap();
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    append_durably(&log, vec![entry(id(1, 0), "kept")]).await;
    process.vfs.fail_next(Fault::Sync, ".jnl");
    // The first segment keeps the name it was opened under.
    process.vfs.fail_next(Fault::Sync, ".new");
    let _never = append(&log, vec![entry(id(1, 1), "lost")]).await;
    process
        .env
        .clock
        .sleep(std::time::Duration::from_millis(100))
        .await;
    assert!(process.is_halted());
    process.kill();
    let process = Process::on(process.vfs.crash(Crash::Process));
    let journal = process.open(SMALL).await.unwrap();
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    let found = log.state().last.map_or(0, |last| last.index + 1);
    append_durably(&log, vec![entry(id(2, found), "promised")]).await;
    process.kill();
    (process.vfs.crash(Crash::LoseAll), found + 1)
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_not_taken_for_durable() {
    simulate(async {
        let (vfs, promised) = fail_a_sync(MemVfs::default()).await;
        let process = Process::on(vfs);
        let journal = process.open(SMALL).await.unwrap();
        assert_eq!(journal.damage(), None);
        let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        assert_eq!(log.state().last.map(|last| last.index + 1), Some(promised));
    });
}
