//! Segments go at the front, and their files come back.

mod faults;
mod lost;
mod recycled;
mod unread;

use std::path::Path;
use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs};
use atoll_storage::{GroupLog, Journal, JournalOptions, ReadError, value_crc};
use atoll_types::{LogId, ReplicaId, Vote};

use crate::logs::{Logs, contents};
use crate::support::*;

const AHEAD: JournalOptions = JournalOptions {
    preallocate: true,
    ..SMALL
};

/// Nothing is in memory but where things stand.
const COLD: JournalOptions = JournalOptions {
    tail_bytes: 0,
    cache_bytes: 0,
    ..SMALL
};

/// Appends so many entries of 9,000 bytes, three of which fill a segment.
async fn write(log: &GroupLog, count: u64) {
    let next = log.state().last.map_or(0, |last| last.index + 1);
    for index in next..next + count {
        let payload = payload(log.key().id.0 * 1000 + index, 9_000);
        append_durably(log, vec![entry(id(1, index), payload)]).await;
    }
}

/// A journal with such entries of one group.
async fn start(options: JournalOptions, count: u64) -> (Process, Journal, GroupLog) {
    let process = Process::on(MemVfs::default());
    let journal = process.open(options).await.unwrap();
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    write(&log, count).await;
    (process, journal, log)
}

/// Ends the process with a power cut and starts the next one.
async fn restart(process: &Process, options: JournalOptions) -> (Process, Journal) {
    process.kill();
    let process = Process::on(process.vfs.crash(Crash::LoseAll));
    let journal = process.open(options).await.unwrap();
    (process, journal)
}

/// Purges what stands in all but the newest segments, and lets go what can go.
async fn free(journal: &Journal, log: &GroupLog, keep: u32) -> u32 {
    if let Some(upto) = log.purge_limit(keep) {
        log.purge(upto).await.unwrap();
    }
    journal.free_before(u32::MAX).await.unwrap()
}

/// Names in the folder that end so.
fn names(vfs: &MemVfs, extension: &str) -> Vec<String> {
    let mut names = vfs.list(Path::new(DIR)).unwrap();
    names.retain(|name| name.ends_with(extension));
    names
}

fn name(segment: u32) -> String {
    format!("{segment:016x}.jnl")
}

#[test]
fn only_what_no_log_keeps_goes_and_never_the_newest() {
    simulate(async {
        let (process, journal, log) = start(SMALL, 10).await;
        let other = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
        let newest = journal.segments().newest;
        assert!(newest >= 4, "{newest}");
        assert_eq!(
            journal.free_before(u32::MAX).await.unwrap(),
            1,
            "nothing is purged"
        );
        write(&other, 1).await;
        log.purge(log.state().last.unwrap()).await.unwrap();
        let kept = other.oldest_segment().unwrap();
        assert_eq!(journal.free_before(2).await.unwrap(), 2, "no more than asked for");
        assert_eq!(journal.free_before(1).await.unwrap(), 2, "nothing comes back");
        assert_eq!(journal.free_before(u32::MAX).await.unwrap(), kept);
        other.purge(id(7, 100)).await.unwrap();
        assert_eq!(log.oldest_segment(), None);
        let newest = journal.segments().newest;
        for _ in 0..2 {
            assert_eq!(journal.free_before(u32::MAX).await.unwrap(), newest);
        }
        assert_eq!(names(&process.vfs, ".jnl")[0], name(newest));
        assert_eq!(journal.stats().segments_freed, u64::from(newest) - 1);
        assert_eq!(journal.stats().segments_recycled, 0, "these files grow");
        assert_eq!(names(&process.vfs, ".spare"), [""; 0]);
    });
}

#[test]
fn a_journal_that_begins_in_the_middle_is_what_it_was_at_every_start() {
    simulate(async {
        for options in [SMALL, AHEAD] {
            let (process, journal, log) = start(options, 10).await;
            let idle = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
            let vote = Vote {
                term: 9,
                candidate: ReplicaId(2),
                committed: true,
            };
            idle.save_vote(vote).await.unwrap();
            write(&log, 3).await;
            log.save_committed(id(1, 12));
            assert!(free(&journal, &log, 2).await > 2);
            restart_often(process, journal, options).await;
        }
    });
}

async fn restart_often(mut process: Process, mut journal: Journal, options: JournalOptions) {
    for round in 0..6 {
        let log = journal.group(group(1)).unwrap();
        write(&log, 2).await;
        if round % 2 == 1 {
            free(&journal, &log, 2).await;
        }
        let (held, segments) = (contents(&journal).await, journal.segments());
        (process, journal) = restart(&process, options).await;
        assert_eq!((journal.damage(), journal.quarantined()), (None, vec![]));
        assert_eq!(contents(&journal).await, held);
        assert_eq!(held[&group(2)].vote.map(|vote| vote.term), Some(9));
        assert_eq!(journal.segments().oldest, segments.oldest);
    }
    assert!(journal.segments().oldest > 3);
}

#[test]
fn space_comes_back_and_is_counted() {
    simulate(async {
        for options in [SMALL, AHEAD] {
            let (process, journal, log) = start(options, 30).await;
            let before = journal.used_bytes();
            let newest = journal.segments().newest;
            assert_eq!(free(&journal, &log, 1).await, newest);
            let segments = journal.segments();
            assert_eq!((segments.oldest, segments.newest), (newest, newest));
            assert_eq!(segments.bytes, journal.used_bytes());
            assert!(
                segments.bytes <= 32 * 1024 && before > 7 * 32 * 1024,
                "{before} {segments:?}"
            );
            // Two spares, and one more that may have been taken for the next segment.
            assert!(names(&process.vfs, ".spare").len() <= 3);
            for _ in 0..10 {
                write(&log, 3).await;
                free(&journal, &log, 1).await;
                assert!(journal.used_bytes() <= 3 * 32 * 1024);
                assert!(process.vfs.list(Path::new(DIR)).unwrap().len() <= 8);
            }
            let used = journal.used_bytes();
            let (_, journal) = restart(&process, options).await;
            assert!(journal.used_bytes() <= used + 4096);
        }
    });
}

#[test]
fn a_pointer_into_a_freed_segment_is_an_error_and_so_is_one_before_and_behind() {
    simulate(async {
        let (process, journal, log) = start(COLD, 10).await;
        let pointer = |log: &GroupLog, index| {
            let crc = value_crc(b"k", &payload(1000 + index, 9_000));
            log.pointer(id(1, index), 0, 9_000, crc).unwrap()
        };
        let (old, new) = (pointer(&log, 0), pointer(&log, 9));
        assert!(free(&journal, &log, 1).await > 1);
        assert!(matches!(
            journal.read_value(&old, b"k"),
            Err(ReadError::Freed { segment: 1 })
        ));
        assert!(matches!(
            journal.read_value_blocking(&old, b"k"),
            Err(ReadError::Freed { segment: 1 })
        ));
        assert_eq!(journal.read_value_blocking(&new, b"k").unwrap().len(), 9_000);
        let (_process, journal) = restart(&process, COLD).await;
        assert!(matches!(
            journal.read_value_blocking(&old, b"k"),
            Err(ReadError::Freed { segment: 1 })
        ));
        assert_eq!(journal.read_value_blocking(&new, b"k").unwrap().len(), 9_000);
    });
}

#[test]
fn a_read_that_a_purge_overtakes_gives_no_gap_and_no_error() {
    simulate(async {
        let (_process, journal, log) = start(COLD, 30).await;
        log.release(u64::MAX);
        for upto in [3, 10, 29] {
            let read = log.read(0, 30, usize::MAX);
            let purge = async {
                log.purge(id(1, upto)).await.unwrap();
                journal.free_before(u32::MAX).await.unwrap();
            };
            let (read, ()) = tokio::join!(read, purge);
            let read: Vec<LogId> = read.unwrap().iter().map(|entry| entry.id).collect();
            assert!(
                read.windows(2).all(|pair| pair[0].index + 1 == pair[1].index),
                "{read:?}"
            );
            assert!(!read.is_empty());
        }
        assert_eq!(log.read(0, 30, usize::MAX).await.unwrap(), []);
    });
}

#[test]
fn purges_at_the_same_time_go_forward() {
    simulate(async {
        let (process, journal, log) = start(SMALL, 10).await;
        let (first, second) = tokio::join!(log.purge(id(1, 7)), log.purge(id(1, 3)));
        first.unwrap();
        second.unwrap();
        assert_eq!(log.state().purged, Some(id(1, 7)));
        let log_entries = read_all(&log).await.len();
        journal.mark().await.unwrap();
        let (_process, journal) = restart(&process, SMALL).await;
        let log = journal.group(group(1)).unwrap();
        assert_eq!(
            (log.state().purged, read_all(&log).await.len()),
            (Some(id(1, 7)), log_entries)
        );
    });
}

#[test]
fn the_limit_of_a_purge_is_the_last_entry_in_old_segments() {
    simulate(async {
        let (process, journal, log) = start(SMALL, 20).await;
        let newest = journal.segments().newest;
        for keep in 0..newest + 2 {
            let limit = log.purge_limit(keep);
            let newest_old = Path::new(DIR).join(name(newest - keep.min(newest)));
            let old = crate::disk::frames(&process.vfs)
                .into_iter()
                .filter(|frame| frame.kinds.contains(&1) && frame.file <= newest_old)
                .count() as u64;
            assert_eq!(
                limit.map_or(0, |limit| limit.index + 1),
                old,
                "keep {keep} of {newest}"
            );
        }
        assert_eq!(log.oldest_segment(), Some(1));
        let empty = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
        assert_eq!((empty.purge_limit(0), empty.oldest_segment()), (None, None));
    });
}

#[test]
fn freeing_and_closing_do_not_wait_for_each_other() {
    simulate(async {
        for pause in 0..30 {
            free_while_closing(pause).await;
        }
    });
}

async fn free_while_closing(pause: u64) {
    let (process, journal, log) = start(AHEAD, 30).await;
    log.purge(log.state().last.unwrap()).await.unwrap();
    let free = journal.free_before(u32::MAX);
    let close = async {
        yields(pause).await;
        journal.close().await;
        process.vfs.operations()
    };
    let (freed, operations) = tokio::join!(free, close);
    assert_eq!(
        process.vfs.operations(),
        operations,
        "nothing is touched after the end"
    );
    if let Err(error) = freed {
        assert_eq!(error.kind(), std::io::ErrorKind::NotConnected, "{error}");
    }
    assert!(journal.free_before(u32::MAX).await.is_err() || journal.segments().oldest > 1);
    let (_process, journal) = restart(&process, AHEAD).await;
    assert_eq!((journal.damage(), journal.quarantined()), (None, vec![]));
    assert_eq!(read_all(&journal.group(group(1)).unwrap()).await, []);
}

#[test]
fn giving_up_on_freeing_harms_nothing() {
    simulate(async {
        for patience in 0..12 {
            give_up(patience).await;
        }
    });
}

async fn give_up(patience: u64) {
    let (process, journal, log) = start(AHEAD, 30).await;
    log.purge(log.state().last.unwrap()).await.unwrap();
    let free = async {
        tokio::select! {
            biased;
            freed = journal.free_before(u32::MAX) => drop(freed),
            () = yields(patience) => {}
        }
    };
    free.await;
    write(&log, 6).await;
    let held = contents(&journal).await;
    let oldest = journal.free_before(u32::MAX).await.unwrap();
    assert_eq!(Some(oldest), log.oldest_segment());
    let (_process, journal) = restart(&process, AHEAD).await;
    assert_eq!(journal.damage(), None);
    assert_eq!(contents(&journal).await, held);
}

async fn yields(count: u64) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
