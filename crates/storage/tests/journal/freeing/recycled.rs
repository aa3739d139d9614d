//! What a file held before is never found in its next life.

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs, OpenMode};
use atoll_storage::SpareLimits;

use super::*;
use crate::disk::{ALIGN, Frame, frames};
use crate::logs::Logs;

const SEGMENT: u64 = 32 * 1024;

/// Room for the frames of a test behind those that it begins with, and for stale ones behind these.
const WIDE: JournalOptions = JournalOptions {
    segment_bytes: 64 * 1024,
    ..AHEAD
};

fn salt(bytes: &[u8]) -> &[u8] {
    &bytes[48..56]
}

/// Frames in a file that are sound under the header of an earlier life.
fn stale_frames(bytes: &[u8], old_header: &[u8]) -> usize {
    let magic = 0x3142_544C_u32.to_le_bytes();
    let sound = |at: usize| {
        let frame = &bytes[at..at + 64];
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(salt(old_header));
        hasher.update(&old_header[40..48]);
        hasher.update(&(at as u64).to_le_bytes());
        hasher.update(&frame[8..]);
        frame[..4] == magic && frame[4..8] == hasher.finalize().to_le_bytes()
    };
    (4096..bytes.len()).step_by(4096).filter(|at| sound(*at)).count()
}

/// Several small frames in each of several segments, all of one group, whose files are then used again. Gives the
/// headers of their first lives.
async fn recycle() -> (Process, Journal, GroupLog, Vec<Vec<u8>>) {
    let (process, journal, log) = start(WIDE, 0).await;
    while journal.segments().newest < 5 {
        let next = log.state().last.map_or(0, |last| last.index + 1);
        append_durably(&log, vec![entry(id(1, next), payload(next, 100))]).await;
    }
    let headers = (1..4).map(|segment| {
        let path = Path::new(DIR).join(name(segment));
        process.vfs.durable_bytes(&path).unwrap()[..4096].to_vec()
    });
    let headers = headers.collect();
    assert!(free(&journal, &log, 1).await >= 5);
    assert_eq!(names(&process.vfs, ".spare").len(), 2);
    // The next one was made ahead; the one behind it has stood elsewhere.
    while journal.stats().segments_recycled == 0 {
        write(&log, 1).await;
    }
    (process, journal, log, headers)
}

#[test]
fn a_file_full_of_old_frames_of_the_same_group_holds_exactly_the_new_ones() {
    simulate(async {
        for more in 0..4 {
            for crash in [Crash::LoseAll, Crash::Process] {
                check_recycled(more, crash).await;
            }
        }
    });
}

async fn check_recycled(more: u64, crash: Crash) {
    let (process, journal, log, headers) = recycle().await;
    for _ in 0..more {
        let next = log.state().last.unwrap().index + 1;
        append_durably(&log, vec![entry(id(1, next), payload(next, 50))]).await;
    }
    let held = contents(&journal).await;
    process.kill();
    let vfs = process.vfs.crash(crash);
    let newest = frames(&vfs).pop().unwrap().file;
    let bytes = vfs.durable_bytes(&newest).unwrap();
    assert_eq!(bytes[12] & 2, 2, "the header says that the file was used before");
    let stale = |header: &Vec<u8>| stale_frames(&bytes, header);
    assert!(
        headers.iter().map(stale).max() >= Some(2),
        "there is something to be mistaken"
    );
    assert!(headers.iter().all(|header| salt(header) != salt(&bytes)));
    let process = Process::on(vfs);
    let journal = process.open(WIDE).await.unwrap();
    assert_eq!((journal.damage(), journal.quarantined()), (None, vec![]));
    assert_eq!(contents(&journal).await, held);
}

#[test]
fn a_recycled_segment_without_frames_is_none_whatever_stands_in_it() {
    simulate(async {
        let (process, journal, _log, _) = recycle().await;
        let held = contents(&journal).await;
        process.kill();
        let mut vfs = process.vfs.crash(Crash::LoseAll);
        // Started again and again, each time in a file that was used before, and nothing written.
        for _ in 0..4 {
            let process = Process::on(vfs);
            let journal = process.open(WIDE).await.unwrap();
            assert_eq!(journal.damage(), None);
            assert_eq!(contents(&journal).await, held);
            process.kill();
            vfs = process.vfs.crash(Crash::LoseAll);
        }
        assert!(names(&vfs, ".jnl").len() <= 5);
    });
}

#[test]
fn spares_of_an_earlier_process_are_used_or_removed_and_never_more_than_a_few() {
    simulate(async {
        let (process, journal, log) = start(AHEAD, 30).await;
        free(&journal, &log, 1).await;
        journal.close().await;
        let before = names(&process.vfs, ".spare");
        assert!((2..=3).contains(&before.len()), "{before:?}");
        let held = contents(&journal).await;
        let (process, journal) = restart(&process, AHEAD).await;
        assert_eq!(
            journal.stats().segments_recycled,
            1,
            "the first segment of a start"
        );
        write(&journal.group(group(1)).unwrap(), 4).await;
        assert!(journal.stats().segments_recycled > 1);
        // Files of another size, or too many, or nobody wants any.
        journal.close().await;
        let path = |number| Path::new(DIR).join(name(number)).with_extension("spare");
        let wrong = [(50, 64), (51, 64 * 1024)];
        let right = (52..64).map(|number| (number, SEGMENT));
        for (number, len) in wrong.into_iter().chain(right) {
            let path = path(number);
            let file = process.vfs.open(&path, OpenMode::CreateNew).unwrap();
            file.allocate(len).unwrap();
            file.sync().await.unwrap();
        }
        let (process, journal) = restart_keeping_names(&process, AHEAD).await;
        assert!((3..=8).contains(&names(&process.vfs, ".spare").len()));
        assert!(
            wrong
                .iter()
                .all(|(number, _)| !process.vfs.exists(&path(*number)).unwrap())
        );
        journal.keep_spares(SpareLimits::default()).await.unwrap();
        // One is taken for the next segment.
        assert!(names(&process.vfs, ".spare").len() <= 3);
        journal.close().await;
        let (process, journal) = restart_keeping_names(&process, SMALL).await;
        assert_eq!(names(&process.vfs, ".spare"), [""; 0]);
        assert_eq!(
            contents(&journal).await[&group(1)].entries.len(),
            held[&group(1)].entries.len() + 4
        );
    });
}

fn limits(with_segments: u64, alone: u64) -> SpareLimits {
    SpareLimits {
        with_segments: with_segments * SEGMENT,
        alone: alone * SEGMENT,
    }
}

#[test]
fn as_many_files_are_kept_as_there_is_room_for_and_given_back_when_there_is_less() {
    simulate(async {
        for (first, kept) in [
            (limits(100, 100), 8),
            (limits(100, 5), 5),
            (limits(5, 100), 5),
            (limits(100, 1), 2),
            (limits(0, 100), 2),
        ] {
            let (process, journal, log) = start(AHEAD, 40).await;
            journal.keep_spares(first).await.unwrap();
            assert!(free(&journal, &log, 1).await > 9);
            assert_eq!(journal.spare_bytes(), kept * SEGMENT, "{first:?}");
            for (less, kept) in [
                (first, kept),
                (limits(4, 9), kept.min(4)),
                (limits(9, 3), kept.min(3)),
                (limits(0, 0), 2),
                (limits(9, 9), 2),
            ] {
                journal.keep_spares(less).await.unwrap();
                assert_eq!(journal.spare_bytes(), kept * SEGMENT, "{less:?} after {first:?}");
                assert_eq!(names(&process.vfs, ".spare").len() as u64, kept);
            }
            let held = contents(&journal).await;
            let (_process, journal) = restart(&process, AHEAD).await;
            assert_eq!((journal.damage(), contents(&journal).await), (None, held));
        }
    });
}

/// Segments are freed several at a time, and as many are needed until it happens again.
#[test]
fn what_is_freed_at_once_is_enough_until_it_happens_again() {
    simulate(async {
        let (_process, journal, log) = start(AHEAD, 40).await;
        journal.keep_spares(limits(100, 100)).await.unwrap();
        free(&journal, &log, 1).await;
        for round in 0..10 {
            let (stats, newest) = (journal.stats(), journal.segments().newest);
            while journal.segments().newest < newest + 5 {
                write(&log, 1).await;
            }
            assert_eq!(free(&journal, &log, 1).await, newest + 5);
            let recycled = journal.stats().segments_recycled - stats.segments_recycled;
            // The first one was made ahead before anything was freed.
            assert_eq!(recycled, if round == 0 { 4 } else { 5 });
            assert!(journal.spare_bytes() <= 8 * SEGMENT);
        }
    });
}

async fn restart_keeping_names(process: &Process, options: JournalOptions) -> (Process, Journal) {
    process.vfs.sync_dir(Path::new(DIR)).unwrap();
    restart(process, options).await
}

struct Store {
    vfs: MemVfs,
    with: Logs,
    without: Logs,
    frames: Vec<Frame>,
}

/// A journal that begins in the middle and ends in a file that was used before.
async fn store() -> Store {
    let (process, journal, log, _) = recycle().await;
    free(&journal, &log, 2).await;
    let other = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
    append_durably(&other, vec![entry(id(1, 0), payload(5, 30))]).await;
    let without = contents(&journal).await;
    let next = log.state().last.unwrap().index + 1;
    append_durably(&log, vec![entry(id(1, next), payload(6, 30))]).await;
    let with = contents(&journal).await;
    process.kill();
    let vfs = process.vfs.crash(Crash::LoseAll);
    Store {
        frames: frames(&vfs),
        vfs,
        with,
        without,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    All,
    AllButTheLast,
    Damage,
}

impl Store {
    async fn open(&self, damaged: &MemVfs) -> Found {
        let process = Process::on(damaged.crash(Crash::Process));
        let journal = process.open(WIDE).await.unwrap();
        let found = contents(&journal).await;
        let damage = journal.damage().map(str::to_owned);
        process.kill();
        match damage {
            Some(reason) => {
                assert!(reason.contains(".jnl at offset"), "{reason}");
                assert!(found.iter().all(|(key, log)| self.with.get(key) == Some(log)));
                Found::Damage
            }
            None if found == self.with => Found::All,
            None => {
                assert_eq!(found, self.without);
                Found::AllButTheLast
            }
        }
    }

    fn law(&self, file: &Path, byte: u64) -> Found {
        let here = |frame: &&Frame| {
            let whole = frame.start..frame.end.next_multiple_of(ALIGN);
            frame.file == file && whole.contains(&byte)
        };
        let last = self.frames.last().unwrap();
        match self.frames.iter().find(here) {
            Some(frame) if byte >= frame.end => Found::All,
            Some(frame) if frame.is(last) => Found::AllButTheLast,
            Some(_) => Found::Damage,
            // A header; or what is stale.
            None if byte < ALIGN => Found::Damage,
            None => Found::All,
        }
    }
}

/// Every 251st bit: of neighbouring ones different bits of a byte.
#[test]
fn every_bit_of_a_journal_with_recycled_files() {
    simulate(async {
        let store = store().await;
        let mut seen = [0; 3];
        for file in names(&store.vfs, ".jnl") {
            let file = Path::new(DIR).join(file);
            let bits = store.vfs.durable_bytes(&file).unwrap().len() as u64 * 8;
            let used = store.frames.iter().any(|frame| frame.file == file);
            for bit in (0..bits).step_by(251).filter(|_| used) {
                let expected = store.law(&file, bit / 8);
                let damaged = store.vfs.fork(0);
                damaged.flip_bit(&file, bit / 8, (bit % 8) as u8);
                assert_eq!(
                    store.open(&damaged).await,
                    expected,
                    "{} bit {bit}",
                    file.display()
                );
                seen[expected as usize] += 1;
            }
        }
        let [all, torn, damage] = seen;
        assert!(all > 1_000 && torn > 0 && damage > 1_000, "{seen:?}");
    });
}

#[test]
fn stale_bytes_may_become_anything() {
    simulate(async {
        let store = store().await;
        let last = store.frames.last().unwrap().clone();
        let bytes = store.vfs.durable_bytes(&last.file).unwrap();
        let end = last.end.next_multiple_of(ALIGN);
        assert!((end as usize) < bytes.len() && bytes[end as usize..].iter().any(|byte| *byte != 0));
        let own = &bytes[last.start as usize..end as usize];
        for at in (end..bytes.len() as u64).step_by(ALIGN as usize) {
            // Noise, zeros, and this life's own frame in another place.
            for with in [payload(at, 4096), vec![0; 4096], own.to_vec()] {
                let damaged = store.vfs.fork(0);
                let file = damaged.open(&last.file, OpenMode::Write).unwrap();
                file.write_at(&with, at).await.unwrap();
                assert_eq!(store.open(&damaged).await, Found::All, "at {at}");
            }
        }
    });
}
