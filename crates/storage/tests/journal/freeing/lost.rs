//! Segments that are missing without having been freed, and damage that outlives the segment it stood in.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs};

use super::*;
use crate::disk::{Frame, frames};

async fn without(vfs: &MemVfs, segment: &str) -> (Process, Journal) {
    let damaged = vfs.fork(0);
    damaged.remove(&Path::new(DIR).join(segment)).unwrap();
    damaged.sync_dir(Path::new(DIR)).unwrap();
    let process = Process::on(damaged.crash(Crash::LoseAll));
    let journal = process.open(SMALL).await.unwrap();
    (process, journal)
}

#[test]
fn a_segment_that_was_not_freed_is_missed_also_at_the_front_of_what_is_left() {
    simulate(async {
        for keep in 2..5 {
            let (process, journal, log) = start(SMALL, 20).await;
            assert!(free(&journal, &log, keep).await > 1);
            process.kill();
            let vfs = process.vfs.crash(Crash::LoseAll);
            for file in with_frames_but_the_newest(&vfs) {
                check_without(&vfs, &file).await;
            }
        }
    });
}

fn with_frames_but_the_newest(vfs: &MemVfs) -> BTreeSet<String> {
    let name = |frame: Frame| frame.file.file_name().unwrap().to_string_lossy().into_owned();
    let mut files: BTreeSet<_> = frames(vfs).into_iter().map(name).collect();
    files.pop_last();
    assert!(!files.is_empty());
    files
}

async fn check_without(vfs: &MemVfs, file: &str) {
    let (_process, journal) = without(vfs, file).await;
    let reason = journal.damage().unwrap();
    assert!(reason.contains(".jnl at offset"), "{reason}");
    assert_eq!(journal.quarantined(), [group(1)], "{file}");
    assert!(journal.create_group(group(7), ReplicaId(7)).await.is_err());
}

/// Its values may be needed, though its entries are not.
#[test]
fn a_segment_whose_entries_are_purged_is_missed_until_it_is_freed() {
    simulate(async {
        let (process, journal, log) = start(SMALL, 20).await;
        log.purge(log.state().last.unwrap()).await.unwrap();
        journal.mark().await.unwrap();
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        let (_process, journal) = without(&vfs, &name(1)).await;
        let reason = journal.damage().unwrap();
        assert!(
            reason.contains("0000000000000002.jnl at offset 0: the segments before it are missing"),
            "{reason}"
        );
        assert_eq!(journal.quarantined(), [group(1)]);
    });
}

/// Two groups; the first one's creation is damaged, the second one is sound.
async fn damaged() -> MemVfs {
    let (process, journal, log) = start(SMALL, 1).await;
    let other = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
    write(&other, 8).await;
    write(&log, 8).await;
    process.kill();
    let vfs = process.vfs.crash(Crash::LoseAll);
    let first = &frames(&vfs)[0];
    vfs.flip_bit(&first.file, first.start + 70, 3);
    vfs.crash(Crash::Process)
}

async fn check(vfs: MemVfs) -> (Process, Journal) {
    let process = Process::on(vfs);
    let journal = process.open(SMALL).await.unwrap();
    assert_eq!(journal.quarantined(), [group(1)]);
    assert!(journal.quarantine_reason(group(1)).is_some());
    assert!(journal.damage().is_some());
    assert!(journal.group(group(1)).is_none());
    // Nobody can tell whether these lived here before.
    for key in [group(1), group(9)] {
        assert!(journal.create_group(key, ReplicaId(1)).await.is_err());
    }
    (process, journal)
}

#[test]
fn quarantine_and_damage_outlive_the_segment_and_keep_nothing() {
    simulate(async {
        let (mut process, mut journal) = check(damaged().await).await;
        let log = journal.group(group(2)).unwrap();
        assert_eq!(log.read(0, 9, usize::MAX).await.unwrap().len(), 8);
        // Its entries stand in every segment.
        let newest = journal.segments().newest;
        log.purge(log.state().last.unwrap()).await.unwrap();
        assert_eq!(journal.free_before(u32::MAX).await.unwrap(), newest);
        for _ in 0..5 {
            process.kill();
            (process, journal) = check(process.vfs.crash(Crash::LoseAll)).await;
            let log = journal.group(group(2)).unwrap();
            write(&log, 4).await;
            assert!(free(&journal, &log, 1).await > newest);
            assert!(read_all(&log).await.len() <= 3);
        }
    });
}

#[test]
fn quarantine_holds_wherever_the_power_goes_while_the_damage_is_freed() {
    simulate(async {
        let damaged = damaged().await;
        let mut operation = 0;
        loop {
            operation += 1;
            let process = Process::on(damaged.fork(operation).crash(Crash::Process));
            process.vfs.freeze_at(process.vfs.operations() + operation);
            let work = async {
                let journal = process.open(SMALL).await.ok()?;
                let log = journal.group(group(2))?;
                log.purge(log.state().last?).await.ok()?;
                journal.free_before(u32::MAX).await.ok()
            };
            let freed = process.env.clock.timeout(Duration::from_secs(60), work).await;
            process.kill();
            for crash in [Crash::LoseAll, Crash::Random, Crash::Process] {
                let (process, journal) = check(process.vfs.fork(operation).crash(crash)).await;
                let log = journal.group(group(2)).unwrap();
                let state = (log.state().purged.is_some(), read_all(&log).await.len());
                assert!([(false, 8), (true, 0)].contains(&state), "{state:?}");
                free(&journal, &log, 1).await;
                process.kill();
                check(process.vfs.crash(Crash::LoseAll)).await;
            }
            if freed.is_ok_and(|freed| freed.is_some()) {
                break;
            }
        }
        assert!(operation > 15, "{operation}");
    });
}
