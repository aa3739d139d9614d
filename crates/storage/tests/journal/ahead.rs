//! Segments that could not be made ahead: the disk may be another when they are needed.

use std::path::Path;
use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, Fault, MemVfs};
use atoll_storage::{GroupLog, Journal, JournalOptions};
use atoll_types::ReplicaId;

use crate::logs::contents;
use crate::support::*;

const AHEAD: JournalOptions = JournalOptions {
    preallocate: true,
    ..SMALL
};

/// A journal on whose disk the segment behind the next one is not made yet.
async fn start() -> (Process, Journal, GroupLog) {
    let process = Process::on(MemVfs::default());
    let journal = process.open(AHEAD).await.unwrap();
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    write(&log, 1).await;
    pause(&process).await;
    (process, journal, log)
}

/// Time to make a segment ahead.
async fn pause(process: &Process) {
    process.env.clock.sleep(Duration::from_millis(50)).await;
}

/// Appends entries of which three fill a segment.
async fn write(log: &GroupLog, count: u64) {
    let next = log.state().last.map_or(0, |last| last.index + 1);
    for index in next..next + count {
        append_durably(log, vec![entry(id(1, index), payload(index, 9_000))]).await;
    }
}

/// Goes over to the next segment, behind which another is made then.
async fn enter_next(journal: &Journal, log: &GroupLog) {
    let newest = journal.segments().newest;
    while journal.segments().newest == newest {
        write(log, 1).await;
    }
}

/// Names in the folder that end so.
fn names(vfs: &MemVfs, extension: &str) -> Vec<String> {
    let mut names = vfs.list(Path::new(DIR)).unwrap();
    names.retain(|name| name.ends_with(extension));
    names
}

fn leftovers(vfs: &MemVfs) -> Vec<String> {
    names(vfs, ".new")
}

/// All is there after a power cut, too, and the journal goes on.
async fn check(process: Process, journal: Journal, log: GroupLog) {
    assert!(!process.is_halted());
    write(&log, 9).await;
    let held = contents(&journal).await;
    process.kill();
    let process = Process::on(process.vfs.crash(Crash::LoseAll));
    let journal = process.open(AHEAD).await.unwrap();
    assert_eq!((journal.damage(), journal.quarantined()), (None, vec![]));
    assert_eq!(contents(&journal).await, held);
    write(&journal.group(group(1)).unwrap(), 9).await;
    pause(&process).await;
    assert_eq!(leftovers(&process.vfs), [""; 0]);
}

#[test]
fn a_disk_that_was_full_for_a_while_ends_nothing() {
    simulate(async {
        for free in [0, 4096, 20_000] {
            let (process, journal, log) = start().await;
            process.vfs.set_free_bytes(free);
            // One segment is ready; the one behind it finds no room.
            enter_next(&journal, &log).await;
            pause(&process).await;
            assert!(process.vfs.faults().full > 0);
            assert_eq!(leftovers(&process.vfs), [""; 0], "{free} bytes free");
            process.vfs.set_free_bytes(1 << 30);
            enter_next(&journal, &log).await;
            check(process, journal, log).await;
        }
    });
}

/// One operation fails, of each kind, at the file as it is made ahead.
#[test]
fn a_file_that_failed_ahead_is_made_anew() {
    simulate(async {
        for fault in [Fault::Write, Fault::Sync] {
            let (process, journal, log) = start().await;
            let behind = journal.segments().newest + 2;
            process.vfs.fail_next(fault, &format!("{behind:016x}.new"));
            enter_next(&journal, &log).await;
            pause(&process).await;
            assert_eq!(leftovers(&process.vfs), [""; 0], "{fault:?}");
            assert_eq!(names(&process.vfs, ".jnl").len(), 2);
            enter_next(&journal, &log).await;
            check(process, journal, log).await;
        }
    });
}

#[test]
fn a_disk_that_stays_full_ends_the_process_when_the_segment_is_needed() {
    simulate(async {
        let (process, journal, log) = start().await;
        process.vfs.set_free_bytes(0);
        enter_next(&journal, &log).await;
        pause(&process).await;
        write(&log, 1).await;
        assert!(!process.is_halted(), "there is room in this segment");
        let held = contents(&journal).await;
        let next = log.state().last.unwrap().index + 1;
        let mut durable = append(&log, vec![entry(id(1, next), payload(1, 30_000))]).await;
        process.env.clock.sleep(Duration::from_secs(5)).await;
        assert!(process.is_halted() && durable.try_recv().is_err());
        process.kill();
        process.vfs.set_free_bytes(1 << 30);
        let process = Process::on(process.vfs.crash(Crash::LoseAll));
        let journal = process.open(AHEAD).await.unwrap();
        assert_eq!(contents(&journal).await, held);
        check(process, journal.clone(), journal.group(group(1)).unwrap()).await;
    });
}
