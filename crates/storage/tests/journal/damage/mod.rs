//! Disks that lie.

mod bits;
mod high_water;
mod live;
mod recovering;

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs, OpenMode};
use atoll_storage::{Journal, OpenError};
use atoll_types::{ClusterId, NodeId, ReplicaId, Vote};

use crate::disk::{frames, segments};
use crate::logs::{Logs, contents};
use crate::support::*;

/// Writes a journal of a few frames in several segments; returns what it holds without and with
/// its last frame.
async fn write(entries: u64, len: usize) -> (MemVfs, Logs, Logs) {
    let process = Process::on(MemVfs::default());
    let journal = process.open(SMALL).await.unwrap();
    let logs = [1, 2].map(|number| journal.create_group(group(number), ReplicaId(number)));
    let [first, second] = logs;
    let logs = [first.await.unwrap(), second.await.unwrap()];
    for index in 0..entries {
        append_durably(
            &logs[index as usize % 2],
            vec![entry(id(1, index / 2), payload(index, len))],
        )
        .await;
    }
    logs[0]
        .save_vote(Vote {
            term: 4,
            candidate: ReplicaId(1),
            committed: false,
        })
        .await
        .unwrap();
    let without = contents(&journal).await;
    let next = logs[0].state().last.unwrap().index + 1;
    append_durably(&logs[0], vec![entry(id(4, next), payload(77, 30))]).await;
    let with = contents(&journal).await;
    process.kill();
    (process.vfs.crash(Crash::LoseAll), without, with)
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Both groups.
    Quarantined,
    /// Only the first, the other is sound: the damage stands before the second was created.
    FirstQuarantined,
    Contents(Logs),
}

async fn open(vfs: MemVfs) -> Found {
    let process = Process::on(vfs);
    let journal = process.open(SMALL).await.unwrap();
    let lost = journal.quarantined();
    let found = if lost.is_empty() {
        Found::Contents(contents(&journal).await)
    } else {
        let reason = journal.quarantine_reason(group(1)).unwrap();
        assert!(reason.contains(".jnl at offset"), "{reason}");
        assert!(journal.group(group(1)).is_none());
        assert!(journal.create_group(group(1), ReplicaId(1)).await.is_err());
        match &lost[..] {
            [lost] if *lost == group(1) => Found::FirstQuarantined,
            both => {
                assert_eq!(both, [group(1), group(2)]);
                Found::Quarantined
            }
        }
    };
    process.kill();
    found
}

async fn flipped(vfs: &MemVfs, file: &Path, byte: u64, bit: u8) -> Found {
    let damaged = vfs.fork(0);
    damaged.flip_bit(file, byte, bit);
    open(damaged.crash(Crash::Process)).await
}

#[test]
fn a_missing_segment_is_found() {
    simulate(async {
        let (vfs, _, _) = write(20, 5_000).await;
        let files = segments(&vfs);
        for file in &files[..files.len() - 2] {
            let damaged = vfs.fork(0);
            damaged.remove(file).unwrap();
            assert_eq!(
                open(damaged.crash(Crash::Process)).await,
                Found::Quarantined,
                "{file:?}"
            );
        }
    });
}

#[test]
fn a_segment_that_lost_all_its_frames_is_found_by_what_stands_behind_it() {
    simulate(async {
        let (vfs, _, with) = write(20, 5_000).await;
        let process = Process::on(vfs);
        process.open(SMALL).await.unwrap();
        // Time to prepare the next.
        process
            .env
            .clock
            .sleep(std::time::Duration::from_millis(15))
            .await;
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        let files = segments(&vfs);
        let [.., newest, entered, prepared] = &files[..] else {
            panic!("{files:?}")
        };
        assert_eq!(vfs.durable_bytes(entered).unwrap().len(), 4096);
        assert_eq!(vfs.durable_bytes(prepared).unwrap().len(), 0);
        assert_eq!(
            open(vfs.fork(0).crash(Crash::Process)).await,
            Found::Contents(with)
        );
        // Cut to its header, or to nothing; or, without the one that was entered after it, to nothing.
        for (len, lost) in [(4096, None), (0, None), (0, Some(entered))] {
            let damaged = vfs.fork(0);
            damaged.truncate(newest, len);
            if let Some(lost) = lost {
                damaged.remove(lost).unwrap();
            }
            let found = open(damaged.crash(Crash::Process)).await;
            assert_eq!(found, Found::Quarantined, "cut to {len}, without {lost:?}");
        }
    });
}

#[test]
fn a_cut_file_is_torn_at_the_end_and_rot_before() {
    simulate(async {
        let (vfs, without, with) = write(20, 5_000).await;
        let frames = frames(&vfs);
        let last = frames.last().unwrap();
        let torn = Found::Contents(without);
        for frame in &frames {
            for len in [frame.start, frame.start + 64, frame.start + 100, frame.end - 1] {
                let damaged = vfs.fork(0);
                damaged.truncate(&frame.file, len);
                let is_last = frame.start == last.start && frame.file == last.file;
                let expected = [&Found::Quarantined, &torn][usize::from(is_last)];
                let newest = frame.file == last.file && frame.start < last.start;
                let found = open(damaged.crash(Crash::Process)).await;
                // Whole frames missing at the very end cannot be told from frames never written.
                assert!(found == *expected || newest, "{frame:?} cut to {len}: {found:?}");
            }
        }
        let damaged = vfs.fork(0);
        damaged.truncate(&last.file, 1 << 20);
        assert_eq!(open(damaged.crash(Crash::Process)).await, Found::Contents(with));
    });
}

#[test]
fn a_marker_turns_damage_to_the_last_batch_into_rot() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let journal = process.open(SMALL).await.unwrap();
        let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        journal.create_group(group(2), ReplicaId(2)).await.unwrap();
        append_durably(&log, vec![entry(id(1, 0), payload(1, 100))]).await;
        process.env.clock.sleep(std::time::Duration::from_secs(2)).await;
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        let frames = frames(&vfs);
        let [.., batch, marker] = &frames[..] else {
            panic!("{frames:?}")
        };
        assert_eq!(marker.end - marker.start, 64);
        assert_eq!(
            flipped(&vfs, &batch.file, batch.start + 100, 0).await,
            Found::Quarantined
        );
        assert!(matches!(
            flipped(&vfs, &marker.file, marker.start + 10, 0).await,
            Found::Contents(_)
        ));
    });
}

#[test]
fn quarantine_stays_and_nothing_new_is_made_behind_damage() {
    simulate(async {
        let (vfs, _, _) = write(20, 5_000).await;
        let damaged = vfs.fork(0);
        let frames = frames(&vfs);
        damaged.flip_bit(
            &frames[frames.len() - 3].file,
            frames[frames.len() - 3].start + 70,
            3,
        );
        let mut vfs = damaged.crash(Crash::Process);
        for restart in 0..4 {
            let process = Process::on(vfs);
            let journal = process.open(SMALL).await.unwrap();
            assert_eq!(journal.quarantined(), [group(1), group(2)], "restart {restart}");
            // Nobody can tell whether it lived here before.
            assert!(journal.create_group(group(9), ReplicaId(90)).await.is_err());
            journal.close().await;
            process.kill();
            vfs = process.vfs.crash(Crash::LoseAll);
        }
    });
}

#[test]
fn a_group_made_after_the_damage_lives_on() {
    simulate(async {
        // A start that is killed before its first frame: its segment shows where the one before ended.
        let (vfs, _, with) = write(8, 200).await;
        let process = Process::on(vfs);
        process.open(SMALL).await.unwrap();
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        let first = &frames(&vfs)[0];
        vfs.flip_bit(&first.file, first.start + 70, 3);
        let mut sound = with;
        sound.remove(&group(1));
        let mut vfs = vfs.crash(Crash::Process);
        for restart in 0..6 {
            let process = Process::on(vfs);
            let journal = process.open(SMALL).await.unwrap();
            assert_eq!(journal.quarantined(), [group(1)], "restart {restart}");
            assert_eq!(contents(&journal).await, sound, "restart {restart}");
            if restart % 3 == 2 {
                let log = journal.group(group(2)).unwrap();
                let next = entry(
                    id(4, log.state().last.unwrap().index + 1),
                    payload(restart, 30_000),
                );
                append_durably(&log, vec![next.clone()]).await;
                sound.get_mut(&group(2)).unwrap().entries.push(next);
            }
            if restart % 2 == 0 {
                journal.close().await;
            }
            process.kill();
            vfs = process.vfs.crash(Crash::LoseAll);
        }
    });
}

#[test]
fn quarantine_stays_when_the_bytes_read_well_again() {
    simulate(async {
        let (vfs, _, _) = write(8, 200).await;
        let frames = frames(&vfs);
        let hit = &frames[frames.len() - 3];
        vfs.flip_bit(&hit.file, hit.start + 70, 3);
        let process = Process::on(vfs);
        let journal = process.open(SMALL).await.unwrap();
        // The new segment's heads reach the disk with its first frame.
        journal.mark().await.unwrap();
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        vfs.flip_bit(&hit.file, hit.start + 70, 3);
        let process = Process::on(vfs);
        let journal = process.open(SMALL).await.unwrap();
        assert_eq!(journal.quarantined(), [group(1), group(2)]);
    });
}

#[test]
fn another_owners_journal_is_refused_and_left_alone() {
    simulate(async {
        let (vfs, _, with) = write(3, 100).await;
        let foreign = [
            atoll_storage::Identity {
                cluster: ClusterId(0xC2),
                ..IDENTITY
            },
            atoll_storage::Identity {
                node: NodeId(4),
                ..IDENTITY
            },
        ];
        let before = segments(&vfs);
        for identity in foreign {
            let process = Process::on(vfs.fork(0).crash(Crash::Process));
            let opened = Journal::open(&process.env, Path::new(DIR), identity, SMALL).await;
            let Err(error) = opened else {
                panic!("opened another's journal")
            };
            assert!(matches!(error, OpenError::Foreign { .. }));
            let text = error.to_string();
            assert!(
                text.contains("belongs to node 3 of cluster 000000000000000000000000000000c1"),
                "{text}"
            );
            assert_eq!(segments(&process.vfs), before);
        }
        assert_eq!(open(vfs).await, Found::Contents(with));
    });
}

#[test]
fn a_later_format_is_refused_by_name() {
    simulate(async {
        let (vfs, _, _) = write(3, 100).await;
        let file = segments(&vfs).remove(0);
        let mut header = vfs.durable_bytes(&file).unwrap()[..4096].to_vec();
        header[8] = 2;
        let crc = crc32(&header[..4092]);
        header[4092..].copy_from_slice(&crc.to_le_bytes());
        let open = vfs.open(&file, OpenMode::Write).unwrap();
        open.write_at(&header, 0).await.unwrap();
        let process = Process::on(vfs.crash(Crash::Process));
        let Err(error) = process.open(SMALL).await else {
            panic!("opened a later format")
        };
        assert!(
            error
                .to_string()
                .contains("format version 2, this program knows 1"),
            "{error}"
        );
    });
}

#[test]
fn a_failed_sync_stops_the_process_and_acknowledges_nothing() {
    simulate(async {
        for fault in [atoll_env::vfs::Fault::Sync, atoll_env::vfs::Fault::Write] {
            let process = Process::on(MemVfs::default());
            let journal = process.open(SMALL).await.unwrap();
            let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
            process.vfs.fail_next(fault, "0000000000000001.");
            let mut durable = append(&log, vec![entry(id(1, 0), payload(1, 100))]).await;
            process.env.clock.sleep(std::time::Duration::from_secs(5)).await;
            assert!(process.is_halted());
            assert!(durable.try_recv().is_err());
        }
    });
}

/// Somebody put a file there whose number is far behind all others.
#[test]
fn a_stray_file_of_a_huge_number_is_found_and_takes_no_room() {
    simulate(async {
        let (vfs, _, _) = write(20, 5_000).await;
        let put = async |segment: u64| {
            let stray = vfs.fork(0);
            let path = Path::new(DIR).join(format!("{segment:016x}.jnl"));
            let file = stray.open(&path, OpenMode::CreateNew).unwrap();
            file.write_at(b"no segment at all", 0).await.unwrap();
            file.write_at(b"nor a frame", 4096).await.unwrap();
            stray.crash(Crash::Process)
        };
        // A table with a place for every number would have eight thousand million bytes.
        assert_eq!(open(put(1 << 30).await).await, Found::Quarantined);
        let process = Process::on(put(u64::from(u32::MAX) - 1).await);
        let refused = process.open(SMALL).await.err().unwrap().to_string();
        assert!(refused.contains("00000000fffffffe.jnl"), "{refused}");
    });
}
