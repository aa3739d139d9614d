//! Value files, and rows that point at what is not theirs.

use std::path::PathBuf;

use atoll_env::vfs::{Crash, MemVfs};
use atoll_types::{LogId, Version};
use bytes::Bytes;

use super::{assert_sound, file, is_damaged, report};
use crate::check::{CheckOptions, Dump, Report, Space};
use crate::codec::Packer;
use crate::index::{FilePointer, Joined, Piece};
use crate::journal::value_crc;
use crate::manifest::{FolderOwner, GroupFolder, Manifest, RunEntry, ValueFileEntry};
use crate::run::{RowValue, RunIdentity, RunSummary, RunWriter};
use crate::store::tests::disk::{GROUP, IDENTITY, REPLICA, data, env, group_dir, simulate};
use crate::value_file::{ValueFileId, ValueWriter};

const ROWS: u64 = 40;

fn key(number: u64) -> Vec<u8> {
    format!("key/{number:04}").into_bytes()
}

fn value(number: u64) -> Vec<u8> {
    vec![number as u8; 100 + number as usize]
}

fn entry(number: u64, summary: &RunSummary) -> RunEntry {
    RunEntry {
        number,
        len: summary.file_len,
        footer_crc: summary.footer_crc,
        entries: summary.entries,
        tombstones: summary.tombstones,
        min_key: summary.min_key.clone(),
        max_key: summary.max_key.clone(),
        min_version: summary.min_version,
        max_version: summary.max_version,
        journal_bytes: summary.journal_bytes.clone(),
    }
}

/// What the rows should say of a value that stands in a file.
type Bend = fn(u64, FilePointer) -> FilePointer;

/// A group whose values all stand in one value file, and no journal.
async fn filed(bend: Bend) -> MemVfs {
    let vfs = MemVfs::default();
    let env = env(&vfs);
    let owner = FolderOwner {
        identity: IDENTITY,
        group: GROUP,
        replica: REPLICA,
    };
    let (mut folder, _) = GroupFolder::open(&env, data(), owner).unwrap();
    let new = folder.create_value_file().await.unwrap();
    let id = ValueFileId {
        identity: IDENTITY,
        group: GROUP,
        number: new.number() as u32,
    };
    let mut writer = ValueWriter::create(&env, new.file(), id, Packer::plain()).unwrap();
    let mut pointers = Vec::new();
    for number in 0..ROWS {
        let (key, value) = (key(number), value(number));
        let place = writer.add(&key, Version(number + 1), &value).await.unwrap();
        pointers.push(FilePointer {
            file: id.number,
            offset: place.offset,
            stored_len: place.stored_len,
            len: place.len,
            codec: place.codec,
            vcrc: place.vcrc,
        });
    }
    let finished = writer.finish().await.unwrap();
    let values = folder.publish(new).await.unwrap();
    let new = folder.create_run().await.unwrap();
    let identity = RunIdentity {
        identity: IDENTITY,
        group: GROUP,
        number: new.number(),
    };
    let mut writer = RunWriter::create(new.file(), identity, 7, 0);
    for (number, pointer) in (0..).zip(pointers) {
        let key = [&[0], &key(number)[..]].concat();
        let pointer = bend(number, pointer);
        // Every other one with something appended.
        let joined = joined(number, pointer);
        let value = if number % 2 == 0 {
            RowValue::Filed(pointer)
        } else {
            RowValue::Joined(&joined)
        };
        writer.add(&key, Version(number + 1), value).await.unwrap();
    }
    let summary = writer.finish(LogId::default()).await.unwrap();
    let run = folder.publish(new).await.unwrap();
    let manifest = Manifest {
        applied: Some(LogId::default()),
        last_version: Version(ROWS),
        runs: vec![entry(identity.number, &summary)],
        value_files: vec![ValueFileEntry {
            number: id.number,
            len: finished.len,
            live_bytes: finished.value_bytes,
            dead_bytes: 0,
        }],
        ..Manifest::default()
    };
    folder.commit(manifest).await.unwrap();
    drop((values, run, folder));
    vfs.crash(Crash::LoseAll)
}

fn joined(number: u64, pointer: FilePointer) -> Joined {
    let whole = [&value(number)[..], b"!"].concat();
    let pieces = vec![Piece::Filed(pointer), Piece::Memory(Bytes::from_static(b"!"))];
    Joined::from_pieces(pieces, value_crc(&key(number), &whole)).unwrap()
}

fn run_path() -> PathBuf {
    group_dir().join("r-0000000000000001.run")
}

fn values_path() -> PathBuf {
    group_dir().join("v-0000000000000001.val")
}

fn shallow(vfs: &MemVfs) -> Report {
    super::super::check(
        &env(vfs),
        data(),
        IDENTITY,
        CheckOptions::default(),
        &mut |_, _| {},
    )
    .unwrap()
}

#[test]
fn sound_value_files_are_sound_and_can_be_shown() {
    simulate(async {
        let vfs = filed(|_, pointer| pointer).await;
        let found = report(&vfs);
        assert_sound(&found);
        let expected: usize = (0..ROWS).map(|number| value(number).len()).sum();
        let holds = &file(&found, &values_path()).holds;
        assert_eq!(*holds, format!("{ROWS} values of {expected} bytes"));
        let mut dump = Dump::open(&env(&vfs), data(), IDENTITY, true).unwrap();
        let rows = dump.rows(GROUP, Space::Users, Some(&key(10)), 3).unwrap();
        let keys: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
        assert_eq!(keys, [key(11), key(12), key(13)]);
        let bytes = rows[1].value.as_ref().unwrap().bytes.as_ref();
        assert_eq!(bytes, Ok(&value(12)));
        assert!(dump.rows(GROUP, Space::System, None, 3).unwrap().is_empty());
    });
}

#[test]
fn every_byte_of_a_value_file_is_seen() {
    simulate(async {
        let vfs = filed(|_, pointer| pointer).await;
        let path = values_path();
        let len = vfs.durable_bytes(&path).unwrap().len() as u64;
        for offset in 0..len {
            let vfs = vfs.fork(0);
            vfs.flip_bit(&path, offset, (offset % 8) as u8);
            let found = shallow(&vfs);
            assert!(
                is_damaged(&file(&found, &path).state),
                "offset {offset}: {found:#?}"
            );
        }
    });
}

/// The sums of all files are right; only what the rows say is not.
#[test]
fn a_row_that_points_at_what_is_not_its_own_is_named() {
    simulate(async {
        let in_no_file: Bend = |number, pointer| FilePointer {
            file: if number == 6 { 2 } else { pointer.file },
            ..pointer
        };
        let behind_the_end: Bend = |number, pointer| FilePointer {
            offset: if number == 7 { 1 << 30 } else { pointer.offset },
            ..pointer
        };
        for bend in [in_no_file, behind_the_end] {
            let vfs = filed(bend).await;
            assert!(is_damaged(&file(&shallow(&vfs), &run_path()).state));
        }
        // The bytes of another row: only reading them tells.
        let other: Bend = |number, pointer| FilePointer {
            offset: pointer.offset + u32::from(number == 8),
            ..pointer
        };
        let vfs = filed(other).await;
        assert_sound(&shallow(&vfs));
        let found = report(&vfs);
        let super::FileState::Damaged(damages) = &file(&found, &run_path()).state else {
            panic!("{found:#?}");
        };
        assert_eq!(damages.count(), 1);
        assert!(damages.first[0].what.contains("key/0008"), "{damages:?}");
    });
}
