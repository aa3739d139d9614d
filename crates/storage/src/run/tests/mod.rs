//! Runs against a model, damage, faults, and reads that must not wait.

mod cold;
mod damage;
mod decode;
mod faults;
mod many_versions;
mod model;
mod packed;
mod signed;
mod walks;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use atoll_env::Vfs;
use atoll_env::vfs::{MemVfs, OpenMode};
use atoll_types::{ClusterId, Codec, GroupGen, GroupId, GroupKey, LogId, NodeId, ReplicaId, Version};
use bytes::Bytes;

use super::bytes_file::BytesFile;
use super::*;
use crate::index::{FilePointer, Piece};
use crate::journal::JournalPointer;
use crate::{Joined, ReadError};

const SALT: u64 = 0x5A17;
const IDENTITY: RunIdentity = RunIdentity {
    identity: Identity {
        cluster: ClusterId(0xC1),
        node: NodeId(3),
    },
    group: GroupKey::new(GroupId(7), GroupGen(1)),
    number: 5,
};
const COVERS: LogId = LogId {
    term: 2,
    leader: ReplicaId(4),
    index: 99,
};

/// Rows in the order of a run.
type Rows = BTreeMap<(Vec<u8>, Reverse<Version>), RunValue>;
/// One row.
type Row = (Vec<u8>, Version, RunValue);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

async fn write(vfs: &MemVfs, rows: &Rows) -> std::io::Result<RunSummary> {
    let file = vfs.open(Path::new("/run"), OpenMode::CreateNew)?;
    let mut writer = RunWriter::create(file, IDENTITY, SALT, rows.len());
    for ((key, Reverse(version)), value) in rows {
        writer.add(key, *version, value.into()).await?;
    }
    writer.finish(COVERS).await
}

/// The bytes of a run with these rows.
fn bytes_of(rows: &Rows) -> (Vec<u8>, RunSummary) {
    let vfs = MemVfs::default();
    let summary = block_on(write(&vfs, rows)).unwrap();
    let bytes = vfs.read_small(Path::new("/run"), u64::MAX).unwrap();
    (bytes, summary)
}

fn open(bytes: Vec<u8>) -> Result<Run, RunError> {
    Run::open(Arc::new(BytesFile(bytes)), IDENTITY, BlockCache::new(0).into())
}

fn inline(bytes: impl Into<Bytes>) -> RunValue {
    let bytes = bytes.into();
    let vcrc = crc32fast::hash(&bytes);
    RunValue::Inline { bytes, vcrc }
}

fn journal(rng: &mut fastrand::Rng) -> JournalPointer {
    let bits = rng.u32(1..21);
    let len = rng.u32(..1 << bits);
    let pointer = JournalPointer {
        segment: rng.u32(1..5),
        offset: rng.u32(..),
        stored_len: len,
        len,
        codec: Codec::None,
        vcrc: rng.u32(..),
    };
    // Every other one is packed, if its length allows it.
    let packed = pointer.packed(Codec::Lz4, len + rng.u32(1..2000));
    packed.filter(|_| rng.bool()).unwrap_or(pointer)
}

fn filed(rng: &mut fastrand::Rng) -> FilePointer {
    let packed = rng.bool();
    let stored_len = rng.u32(1..1000);
    FilePointer {
        file: rng.u32(1..4),
        offset: rng.u32(..),
        stored_len,
        len: if packed {
            stored_len + rng.u32(65..1000)
        } else {
            stored_len
        },
        codec: if packed { Codec::Zstd } else { Codec::None },
        vcrc: rng.u32(..),
    }
}

fn random_bytes(rng: &mut fastrand::Rng, len: usize) -> Bytes {
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

fn random_value(rng: &mut fastrand::Rng) -> RunValue {
    match rng.u8(..40) {
        0..8 => RunValue::Tombstone,
        8..20 => {
            let len = rng.usize(..=64);
            inline(random_bytes(rng, len))
        }
        20..30 => RunValue::Journal(journal(rng)),
        30..36 => RunValue::Filed(filed(rng)),
        36..39 => {
            let len = rng.usize(..200);
            let mut pieces = vec![Piece::Memory(random_bytes(rng, len))];
            for _ in 0..rng.u8(..5) {
                pieces.push(if rng.bool() {
                    Piece::Journal(journal(rng))
                } else {
                    Piece::Filed(filed(rng))
                });
            }
            RunValue::Joined(Joined::from_pieces(pieces, rng.u32(..)).unwrap().into())
        }
        _ => {
            let len = rng.usize(..30_000);
            inline(random_bytes(rng, len))
        }
    }
}

/// Short keys that are often each other's prefix, long ones that differ at the end, and huge ones.
fn random_key(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut key = vec![rng.u8(..8) / 7];
    match rng.u8(..8) {
        0..4 => {
            let letters = rng.usize(..5);
            key.extend(std::iter::repeat_with(|| b'a' + rng.u8(..3)).take(letters));
        }
        4..7 => key.extend(format!("a/shared/prefix/of/some/length/{:03}", rng.u16(..300)).bytes()),
        _ => {
            let len = rng.usize(..=KEY_BYTES_MAX);
            key.resize(1 + len, b'a' + rng.u8(..2));
        }
    }
    key
}

fn random_version(rng: &mut fastrand::Rng) -> Version {
    Version(match rng.u8(..8) {
        0 => 0,
        1 => u64::MAX - u64::from(rng.u8(..2)),
        2..6 => rng.u64(1..20),
        _ => rng.u64(..) >> 7,
    })
}

fn random_rows(rng: &mut fastrand::Rng, count: usize) -> Rows {
    let mut rows = Rows::new();
    let mut key = random_key(rng);
    while rows.len() < count {
        if rng.u8(..3) > 0 {
            key = random_key(rng);
        }
        rows.insert((key.clone(), Reverse(random_version(rng))), random_value(rng));
    }
    rows
}

/// What a reader at `at` must find.
fn expected(rows: &Rows, key: &[u8], at: Version) -> Looked {
    match rows.range((key.to_vec(), Reverse(at))..).next() {
        Some(((found, Reverse(version)), value)) if found == key => Looked::Row(*version, value.clone()),
        _ => Looked::Absent,
    }
}

fn listed(rows: &Rows) -> Vec<Row> {
    rows.iter()
        .map(|((key, Reverse(version)), value)| (key.clone(), *version, value.clone()))
        .collect()
}

fn row(cursor: &RunCursor) -> Result<Option<Row>, ReadError> {
    let Some(row) = cursor.current() else {
        return Ok(None);
    };
    let value = row.value()?;
    assert_eq!(row.is_tombstone(), value == RunValue::Tombstone);
    Ok(Some((row.key.to_vec(), row.version, value)))
}

/// All rows of a cursor from where it stands.
fn walk(cursor: &mut RunCursor) -> Result<Vec<Row>, ReadError> {
    let mut rows = Vec::new();
    while cursor.step(true)? == Step::Row {
        rows.extend(row(cursor)?);
    }
    assert_eq!(cursor.step(true)?, Step::End, "the end stays the end");
    assert!(cursor.current().is_none());
    Ok(rows)
}
