//! A journal that was cut exactly between two frames while the node was down: no frame is torn and none stands behind
//! the cut. Only the mark of how far it was durable tells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, Fault, MemVfs};
use atoll_storage::JournalOptions;
use atoll_types::ReplicaId;

use crate::disk::{Frame, frames, segments};
use crate::logs::{Logs, contents};
use crate::support::*;

/// Some fifteen of these frames in a segment.
const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 128 * 1024,
    ..SMALL
};

/// A record that is an entry.
const ENTRY: u8 = 1;

fn mark_file() -> PathBuf {
    Path::new(DIR).join("DURABLE")
}

/// The frame that the mark names, if there is a mark.
fn marked(vfs: &MemVfs) -> u64 {
    let bytes = vfs.durable_bytes(&mark_file());
    bytes.map_or(0, |bytes| u64::from_le_bytes(bytes[40..48].try_into().unwrap()))
}

/// Several segments; the last few frames of the newest are younger than the mark.
async fn store() -> MemVfs {
    let process = Process::on(MemVfs::default());
    let journal = process.open(OPTIONS).await.unwrap();
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    for index in 0..40 {
        append_durably(&log, vec![entry(id(1, index), payload(index, 5_000))]).await;
        if index == 35 {
            // The mark catches up, and then rests for a second.
            process.env.clock.sleep(Duration::from_millis(2_500)).await;
        }
    }
    process.kill();
    process.vfs.crash(Crash::LoseAll)
}

/// The newest segment with frames, and its frames with their numbers.
fn newest(vfs: &MemVfs) -> (PathBuf, Vec<(u64, Frame)>) {
    let all = frames(vfs);
    let file = all.last().unwrap().file.clone();
    let numbered = (1..).zip(all).filter(|(_, frame)| frame.file == file);
    (file.clone(), numbered.collect())
}

/// Cuts the journal so that frame `number` is the first that is missing.
fn cut(vfs: &MemVfs, file: &Path, at: u64) -> MemVfs {
    let damaged = vfs.fork(0);
    for later in segments(&damaged).iter().filter(|later| later.as_path() > file) {
        damaged.remove(later).unwrap();
    }
    damaged.sync_dir(Path::new(DIR)).unwrap();
    damaged.truncate(file, at);
    damaged.crash(Crash::LoseAll)
}

/// Opens again and again: the damage is found each time, and nothing new is made behind it.
async fn check_damaged(mut vfs: MemVfs, writes: bool) {
    for start in 0..3 {
        let process = Process::on(vfs);
        let journal = process.open(OPTIONS).await.unwrap();
        let damage = journal.damage().unwrap();
        // A later start takes it from what the one before wrote down.
        let known = start > 0 && damage == "it was found at an earlier start";
        assert!(known || damage.contains(".jnl at offset"), "{damage}");
        assert!(journal.create_group(group(1), ReplicaId(1)).await.is_err());
        assert!(journal.create_group(group(9), ReplicaId(9)).await.is_err());
        assert!(journal.group(group(1)).is_none());
        if writes {
            for _ in 0..20 {
                journal.mark().await.unwrap();
            }
        }
        journal.close().await;
        process.kill();
        vfs = process.vfs.crash(Crash::LoseAll);
    }
}

async fn sound(vfs: MemVfs) -> Logs {
    let process = Process::on(vfs);
    let journal = process.open(OPTIONS).await.unwrap();
    assert_eq!(journal.damage(), None);
    let found = contents(&journal).await;
    process.kill();
    found
}

#[test]
fn a_cut_between_frames_below_the_mark_is_damage_and_above_it_is_not() {
    simulate(async {
        let vfs = store().await;
        let mark = marked(&vfs);
        let (file, frames) = newest(&vfs);
        let kinds: Vec<_> = crate::disk::frames(&vfs)
            .into_iter()
            .map(|frame| frame.kinds)
            .collect();
        let (mut below, mut above) = (0, 0);
        for (number, frame) in &frames {
            let damaged = cut(&vfs, &file, frame.start);
            // This frame is the first that is missing.
            if *number <= mark {
                below += 1;
                let process = Process::on(damaged.fork(0).crash(Crash::LoseAll));
                let journal = process.open(OPTIONS).await.unwrap();
                let reason = journal.quarantine_reason(group(1)).unwrap();
                let expected = format!(
                    "ends with frame {}, but it was durable up to frame {mark} in",
                    number - 1
                );
                assert!(reason.contains(&expected), "{reason}");
                process.kill();
                check_damaged(damaged.fork(0).crash(Crash::LoseAll), false).await;
                check_damaged(damaged, true).await;
            } else {
                above += 1;
                let log = &sound(damaged).await[&group(1)];
                let kept = kinds.iter().take(*number as usize - 1).flatten();
                assert_eq!(log.entries.len(), kept.filter(|kind| **kind == ENTRY).count());
            }
        }
        assert!(below > 1 && above > 1, "{below} {above}");
    });
}

#[test]
fn a_journal_without_segments_is_damaged_if_it_had_frames() {
    simulate(async {
        let vfs = store().await;
        for file in segments(&vfs) {
            vfs.remove(&file).unwrap();
        }
        vfs.sync_dir(Path::new(DIR)).unwrap();
        check_damaged(vfs.fork(0).crash(Crash::LoseAll), false).await;
        check_damaged(vfs.crash(Crash::LoseAll), true).await;
    });
}

#[test]
fn without_a_mark_or_with_a_damaged_one_all_is_as_it_was() {
    simulate(async {
        let vfs = store().await;
        let all = sound(vfs.fork(0).crash(Crash::LoseAll)).await;
        let old = vfs.fork(0);
        old.remove(&mark_file()).unwrap();
        old.sync_dir(Path::new(DIR)).unwrap();
        assert_eq!(sound(old.crash(Crash::LoseAll)).await, all);
        let len = vfs.durable_bytes(&mark_file()).unwrap().len() as u64;
        for bit in 0..len * 8 {
            let damaged = vfs.fork(0);
            damaged.flip_bit(&mark_file(), bit / 8, (bit % 8) as u8);
            assert_eq!(sound(damaged.crash(Crash::Process)).await, all, "bit {bit}");
        }
    });
}

#[test]
fn the_mark_follows_within_a_second_and_at_the_end_and_never_leads() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let journal = process.open(OPTIONS).await.unwrap();
        let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        let before = process.vfs.operations();
        for index in 0..200 {
            append_durably(&log, vec![entry(id(1, index), payload(index, 10))]).await;
            process.env.clock.sleep(Duration::from_millis(10)).await;
            let durable = frames(&process.vfs.fork(0).crash(Crash::LoseAll)).len() as u64;
            let mark = marked(&process.vfs);
            assert!(mark <= durable && mark + 110 > durable, "{mark} of {durable}");
        }
        // A write and a sync for each frame, few segments, and two or three marks.
        let operations = process.vfs.operations() - before;
        assert!((400..600).contains(&operations), "{operations}");
        process.env.clock.sleep(Duration::from_millis(2_100)).await;
        assert_eq!(
            marked(&process.vfs),
            frames(&process.vfs).len() as u64,
            "the marker, too"
        );
        append_durably(&log, vec![entry(id(1, 200), "last")]).await;
        journal.close().await;
        assert_eq!(marked(&process.vfs), frames(&process.vfs).len() as u64);
        // A process that is killed: the next one marks what it has found and synced.
        let journal = process.open(OPTIONS).await.unwrap();
        let log = journal.group(group(1)).unwrap();
        // The second comes too soon after the first for a mark of its own.
        for index in 201..203 {
            append_durably(&log, vec![entry(id(1, index), "killed")]).await;
        }
        process.kill();
        assert!(marked(&process.vfs) < frames(&process.vfs).len() as u64);
        let process = Process::on(process.vfs.crash(Crash::LoseAll));
        let journal = process.open(OPTIONS).await.unwrap();
        process.env.clock.sleep(Duration::from_millis(1)).await;
        assert_eq!(marked(&process.vfs), frames(&process.vfs).len() as u64);
        drop(journal);
    });
}

#[test]
fn a_mark_that_cannot_be_written_stops_nothing_and_the_old_one_stays() {
    simulate(async {
        for fault in [Fault::Write, Fault::Sync] {
            let process = Process::on(MemVfs::default());
            let journal = process.open(OPTIONS).await.unwrap();
            let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
            process.env.clock.sleep(Duration::from_millis(2_500)).await;
            let before = marked(&process.vfs);
            assert!(before > 0);
            process.vfs.fail_next(fault, "DURABLE");
            append_durably(&log, vec![entry(id(1, 0), "a")]).await;
            process.env.clock.sleep(Duration::from_millis(10)).await;
            assert!(!process.is_halted());
            assert_eq!(marked(&process.vfs), before);
            append_durably(&log, vec![entry(id(1, 1), "b")]).await;
            process.env.clock.sleep(Duration::from_millis(2_500)).await;
            assert_eq!(marked(&process.vfs), frames(&process.vfs).len() as u64);
        }
    });
}
