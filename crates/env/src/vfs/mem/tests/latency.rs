//! Reads that would wait, and writes and syncs that take time.

use std::time::Duration;

use super::*;

#[test]
fn cold_reads_happen_as_often_as_asked() {
    let vfs = MemVfs::new(MemVfsOptions {
        cold_reads_permille: 300,
        ..MemVfsOptions::default()
    });
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    let file = durable(&vfs, "a", b"abc");
    let cold = (0..1000)
        .filter(|_| file.try_read_at(&mut [0; 3], 0).unwrap().is_none())
        .count();
    assert!((200..400).contains(&cold), "{cold}");
    assert_eq!(file.read_at(&mut [0; 3], 0).unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn writes_and_syncs_take_time_and_a_sync_covers_what_was_before_it() {
    let clock = Clock::simulated(1.0, 0);
    let millis = Duration::from_millis;
    let latency = MemLatency {
        clock: clock.clone(),
        write: millis(1)..millis(2),
        sync: millis(10)..millis(20),
    };
    let options = MemVfsOptions {
        latency: Some(latency),
        ..MemVfsOptions::default()
    };
    let vfs = MemVfs::new(options);
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    let file = vfs.open(&path("a"), OpenMode::CreateNew).unwrap();
    vfs.sync_dir(Path::new(DIR)).unwrap();
    let start = clock.now();
    file.write_at(b"before", 0).await.unwrap();
    let written = clock.now().since(start);
    assert!((millis(1)..=millis(3)).contains(&written), "{written:?}");
    let syncing = Arc::clone(&file);
    let sync = Spawn::tokio().spawn(async move { syncing.sync().await });
    clock.sleep(millis(5)).await;
    file.write_at(b"meanwhile", 6).await.unwrap();
    assert_eq!(vfs.durable_bytes(&path("a")).unwrap(), b"", "not yet");
    sync.await.unwrap().unwrap();
    assert_eq!(vfs.durable_bytes(&path("a")).unwrap(), b"before");
    let ghost = Arc::clone(&file);
    let late = Spawn::tokio().spawn(async move { ghost.sync().await });
    clock.sleep(millis(1)).await;
    let vfs = vfs.crash(Crash::LoseAll);
    assert!(
        late.await.unwrap().is_err(),
        "a sync in progress does not outlive its process"
    );
    assert_eq!(vfs.durable_bytes(&path("a")).unwrap(), b"before");
}
