//! Disks that lie.

use std::path::{Path, PathBuf};

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs};
use atoll_storage::{Journal, LogEntry, OpenError};
use atoll_types::{ClusterId, GroupKey, NodeId, ReplicaId, Vote};

use crate::support::*;

const ALIGN: u64 = 4096;
const MAGIC: [u8; 4] = 0x3142_544C_u32.to_le_bytes();

/// A frame as it stands in a file: where it starts, and where its records end.
#[derive(Clone, Debug)]
struct Frame {
    file: PathBuf,
    start: u64,
    end: u64,
}

fn segments(vfs: &MemVfs) -> Vec<PathBuf> {
    let names = vfs.list(Path::new(DIR)).unwrap();
    names.into_iter().map(|name| Path::new(DIR).join(name)).collect()
}

fn frames(vfs: &MemVfs) -> Vec<Frame> {
    let mut frames = Vec::new();
    for file in segments(vfs) {
        let bytes = vfs.durable_bytes(&file).unwrap();
        for start in (ALIGN..bytes.len() as u64).step_by(ALIGN as usize) {
            let header = &bytes[start as usize..];
            if header[..4] == MAGIC {
                let body = u32::from_le_bytes(header[32..36].try_into().unwrap());
                frames.push(Frame {
                    file: file.clone(),
                    start,
                    end: start + 64 + u64::from(body),
                });
            }
        }
    }
    frames
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents(Vec<(GroupKey, Option<Vote>, Vec<LogEntry>)>);

async fn contents(journal: &Journal) -> Contents {
    let mut all = Vec::new();
    for (key, _) in journal.groups() {
        let log = journal.group(key).unwrap();
        all.push((key, log.state().vote, read_all(&log).await));
    }
    Contents(all)
}

/// Writes a journal of a few frames in several segments; returns what it holds without and with
/// its last frame.
async fn write(entries: u64, len: usize) -> (MemVfs, Contents, Contents) {
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
    Contents(Contents),
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
fn every_flipped_bit_of_a_frame_is_found_and_only_the_last_frame_can_look_torn() {
    simulate(async {
        let (vfs, without, with) = write(8, 200).await;
        let frames = frames(&vfs);
        let (last, earlier) = frames.split_last().unwrap();
        assert!(earlier.len() >= 10);
        for (number, frame) in earlier.iter().enumerate() {
            let expected = if number == 0 {
                Found::FirstQuarantined
            } else {
                Found::Quarantined
            };
            for byte in frame.start..frame.end {
                let found = flipped(&vfs, &frame.file, byte, (byte % 8) as u8).await;
                assert_eq!(found, expected, "{frame:?} byte {byte}");
            }
        }
        for bit in (last.start * 8)..(last.end * 8) {
            let found = flipped(&vfs, &last.file, bit / 8, (bit % 8) as u8).await;
            assert_eq!(found, Found::Contents(without.clone()), "{last:?} bit {bit}");
        }
        for frame in &frames {
            for byte in (frame.end..frame.end.next_multiple_of(ALIGN)).step_by(61) {
                let found = flipped(&vfs, &frame.file, byte, (byte % 8) as u8).await;
                assert_eq!(
                    found,
                    Found::Contents(with.clone()),
                    "padding of {frame:?} byte {byte}"
                );
            }
        }
    });
}

#[test]
fn every_flipped_bit_of_a_header_is_found() {
    simulate(async {
        let (vfs, _, _) = write(20, 5_000).await;
        let used: Vec<_> = segments(&vfs)
            .into_iter()
            .filter(|file| vfs.durable_bytes(file).unwrap().len() > 4096)
            .collect();
        assert!(used.len() >= 4, "{used:?}");
        for file in &used {
            for byte in (0..128).chain((128..4092).step_by(31)).chain(4092..4096) {
                assert_eq!(
                    flipped(&vfs, file, byte, (byte % 8) as u8).await,
                    Found::Quarantined,
                    "{file:?} byte {byte}"
                );
            }
        }
    });
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
        let open = vfs.open(&file, atoll_env::vfs::OpenMode::Write).unwrap();
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
