//! The power goes during a start that finds damage, at every operation: the next start finds it too.

use std::path::Path;
use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs};

use super::write;
use crate::disk::{frames, segments};
use crate::support::*;

/// Both groups are in quarantine, whatever is done, and however often.
async fn check(vfs: MemVfs, spot: &str) -> MemVfs {
    let process = Process::on(vfs);
    let journal = process.open(SMALL).await.unwrap();
    assert!(journal.damage().is_some(), "{spot}");
    assert_eq!(journal.quarantined(), [group(1), group(2)], "{spot}");
    journal.mark().await.unwrap();
    process.kill();
    process.vfs
}

/// Opens the journal and writes its first frame, as far as the disk lets it.
async fn begin(process: &Process) {
    if let Ok(journal) = process.open(SMALL).await {
        let _ = journal.mark().await;
    }
}

/// Starts on a damaged disk and loses power at each operation, in each way, also when writing on.
async fn crash_everywhere(damaged: &MemVfs, spot: &str) -> u64 {
    let before = damaged.operations();
    let all = check(damaged.fork(0).crash(Crash::Process), spot)
        .await
        .operations()
        - before;
    for operation in 1..=all {
        for (crash, seed) in [
            (Crash::Process, 0),
            (Crash::LoseAll, 0),
            (Crash::Random, operation),
            (Crash::Random, operation + 1000),
        ] {
            let process = Process::on(damaged.fork(seed).crash(Crash::Process));
            process.vfs.freeze_at(before + operation);
            let start = begin(&process);
            let limit = Duration::from_secs(60);
            let _frozen = process.env.clock.timeout(limit, start).await;
            assert!(process.vfs.is_frozen());
            process.kill();
            let vfs = check(process.vfs.crash(crash), spot).await;
            check(vfs.crash(Crash::LoseAll), spot).await;
        }
    }
    all
}

#[test]
fn at_every_operation_of_a_start_that_finds_damage() {
    simulate(async {
        let (vfs, _, _) = write(20, 5_000).await;
        let (frames, files) = (frames(&vfs), segments(&vfs));
        let middle = &frames[frames.len() / 2];
        let late = &frames[frames.len() - 2];
        let mut operations = 0;
        for (spot, file, byte) in [
            ("a header", &files[1], 50),
            ("a body", &middle.file, middle.start + 100),
            ("the last frame but one", &late.file, late.start + 10),
        ] {
            let damaged = vfs.fork(0);
            damaged.flip_bit(file, byte, 3);
            operations += crash_everywhere(&damaged, spot).await;
        }
        let damaged = vfs.fork(0);
        damaged.remove(&files[1]).unwrap();
        damaged.sync_dir(Path::new(DIR)).unwrap();
        operations += crash_everywhere(&damaged, "a missing segment").await;
        assert!(operations > 30, "{operations}");
    });
}

#[test]
fn damage_before_a_frame_cut_short_is_found_at_every_start() {
    simulate(async {
        let (vfs, _, _) = write(8, 200).await;
        let frames = frames(&vfs);
        let [.., late, last] = &frames[..] else {
            panic!("{frames:?}")
        };
        assert_eq!(late.file, last.file);
        // The last frame shows that the one before it was durable, however little of it was written.
        for len in [last.start + 64, last.end - 1] {
            let damaged = vfs.fork(0);
            damaged.flip_bit(&late.file, late.start + 100, 3);
            damaged.truncate(&last.file, len);
            assert!(crash_everywhere(&damaged, "before a frame cut short").await > 5);
        }
    });
}

#[test]
fn damage_that_only_the_next_header_shows_is_found_at_every_start() {
    simulate(async {
        let (vfs, _, _) = write(8, 200).await;
        // A start that is killed before its first frame.
        let process = Process::on(vfs);
        process.open(SMALL).await.unwrap();
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        let last = frames(&vfs).pop().unwrap();
        vfs.flip_bit(&last.file, last.start + 100, 3);
        assert!(crash_everywhere(&vfs, "the last frame").await > 5);
    });
}
