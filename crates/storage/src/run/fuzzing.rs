//! Bytes of any kind as a run: a check that panics if a promise is broken.
//!
//! A random change nearly always breaks a sum, and then nothing behind it is ever reached. So the first byte of
//! an input says whether sums are put right before the bytes are read.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use atoll_env::Vfs;
use atoll_env::vfs::{MemVfs, OpenMode};
use atoll_types::{Codec, GroupGen, GroupId, GroupKey, LogId, Version};

use super::bytes_file::BytesFile;
use super::input::Input;
use super::layout::{FOOTER_LEN, HEADER_LEN, Header, Section, sum};
use super::section::{PIECE_LEN, PIECE_SUM_LEN};
use super::sparse::RECORD_LEN;
use super::{BlockCache, Direction, Looked, RowValue, Run, RunCursor, RunIdentity, RunWriter, Step};
use crate::index::{FilePointer, Joined, Piece};
use crate::journal::{Identity, JournalPointer, ReadError};

const SUM_LEN: usize = 4;

/// A run opens or is refused. One that opens gives the same rows in both directions, or fails in both, and
/// looking for what it gave ends.
pub fn run(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode & 1 != 0 {
        repair(&mut bytes);
    }
    let header = bytes.get(..HEADER_LEN).map(Header::decode);
    let Some(Ok(Header { identity, .. })) = header else {
        return;
    };
    let Ok(run) = Run::open(Arc::new(BytesFile(bytes)), identity, Arc::new(BlockCache::new(0))) else {
        return;
    };
    let run = Arc::new(run);
    let forward = walk(&run, Direction::Forward);
    let backward = walk(&run, Direction::Backward);
    assert_eq!(forward.is_ok(), backward.is_ok(), "{forward:?} {backward:?}");
    if let (Ok(forward), Ok(mut backward)) = (forward, backward) {
        backward.reverse();
        assert_eq!(forward, backward);
    }
}

/// A sum for each row, and a look for some of them.
fn walk(run: &Arc<Run>, direction: Direction) -> Result<Vec<u32>, ReadError> {
    let mut cursor = RunCursor::new(run.clone(), (b"", b""), direction);
    let mut rows = Vec::new();
    while cursor.step(true)? == Step::Row {
        let row = cursor.current().expect("it stands on a row");
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(row.key);
        hasher.update(&row.version.0.to_le_bytes());
        let value = row.value();
        hasher.update(&[u8::from(value.is_ok()), u8::from(row.is_tombstone())]);
        rows.push(hasher.finalize());
        if rows.len().is_multiple_of(5) {
            let looked = run.get(row.key, row.version, true);
            assert!(!matches!(looked, Ok(Looked::WouldBlock)), "it was told to wait");
        }
    }
    Ok(rows)
}

/// Puts right the sums of whatever can be found.
fn repair(bytes: &mut [u8]) {
    if bytes.len() < HEADER_LEN + FOOTER_LEN {
        return;
    }
    let len = bytes.len();
    let footer_at = len - FOOTER_LEN;
    sign(bytes, 0..HEADER_LEN - SUM_LEN, crc32fast::hash);
    let salt = bytes
        .get(..HEADER_LEN)
        .and_then(|header| Header::decode(header).ok())
        .map_or(0, |header| header.salt);
    put(bytes, footer_at + 16, &salt.to_le_bytes());
    put(bytes, footer_at + 24, &(len as u64).to_le_bytes());
    for part in 0..3 {
        repair_section(bytes, salt, footer_at + 36 + part * 20);
    }
    repair_blocks(bytes, salt, footer_at);
    let sum = |content: &[u8]| sum(salt, footer_at as u64, content);
    sign(bytes, footer_at..len - SUM_LEN, sum);
}

/// Writes the sum of a range behind it.
fn sign(bytes: &mut [u8], range: Range<usize>, sum: impl Fn(&[u8]) -> u32) {
    let end = range.end;
    if let Some(content) = bytes.get(range) {
        let sum = sum(content);
        put(bytes, end, &sum.to_le_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(field.len())) {
        place.copy_from_slice(field);
    }
}

fn section_at(bytes: &[u8], at: usize) -> Option<Section> {
    let mut input = Input(bytes.get(at..)?);
    let section = Section {
        offset: input.u64()?,
        len: input.u64()?,
        sums: 0,
    };
    section
        .end()
        .is_some_and(|end| end <= bytes.len() as u64)
        .then_some(section)
}

fn repair_section(bytes: &mut [u8], salt: u64, at: usize) {
    let Some(section) = section_at(bytes, at) else {
        return;
    };
    let (mut offset, mut left) = (section.offset as usize, section.len as usize);
    let mut sums = crc32fast::Hasher::new();
    while left > 0 {
        let end = offset + left.min(PIECE_LEN);
        let start = offset as u64;
        sign(bytes, offset..end, |content| sum(salt, start, content));
        sums.update(bytes.get(end..end + PIECE_SUM_LEN).unwrap_or_default());
        left -= end - offset;
        offset = end + PIECE_SUM_LEN;
    }
    put(bytes, at + 16, &sums.finalize().to_le_bytes());
}

fn repair_blocks(bytes: &mut [u8], salt: u64, footer_at: usize) {
    let Some(index) = section_at(bytes, footer_at + 56) else {
        return;
    };
    let records = bytes.get(index.offset as usize..).unwrap_or_default();
    // Seeds have an index of one piece.
    let records = records.get(..index.len as usize).unwrap_or_default().to_vec();
    let mut offset = HEADER_LEN;
    for record in records.chunks(RECORD_LEN) {
        let len = Input(record).u32().unwrap_or_default() as usize;
        let Some(end) = offset.checked_add(len).filter(|end| *end <= bytes.len()) else {
            return;
        };
        let start = offset as u64;
        sign(
            bytes,
            offset..end.saturating_sub(SUM_LEN).max(offset),
            |content| sum(salt, start, content),
        );
        offset = end;
    }
}

/// The bytes of one row after the other, until there are none.
type Values = fn(usize) -> Option<Vec<u8>>;

/// Runs of no row, of rows of every kind, and of several blocks.
pub fn run_seeds() -> Vec<(String, Vec<u8>)> {
    let runs: [(&str, Values); 3] = [
        ("empty", |_| None),
        ("kinds", |number| {
            (number < 40).then(|| number.to_string().into_bytes())
        }),
        ("blocks", |number| (number < 300).then(|| vec![number as u8; 64])),
    ];
    let seed = |(name, value): (&str, _)| (name.to_owned(), [vec![1], written(value)].concat());
    runs.map(seed).into()
}

fn written(value: Values) -> Vec<u8> {
    let vfs = MemVfs::default();
    let path = Path::new("/run");
    let work = async {
        let identity = RunIdentity {
            identity: Identity::default(),
            group: GroupKey::new(GroupId(1), GroupGen(1)),
            number: 1,
        };
        let mut writer = RunWriter::create(vfs.open(path, OpenMode::CreateNew)?, identity, 77, 0);
        let mut number = 0;
        while let Some(bytes) = value(number) {
            let key = format!("\0key/{:03}", number / 2);
            let version = Version(1000 - number as u64);
            add(&mut writer, key.as_bytes(), version, &bytes).await?;
            number += 1;
        }
        writer.finish(LogId::default()).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let summary = runtime.expect("it needs no I/O").block_on(work);
    let summary = summary.expect("a disk in memory works");
    vfs.read_small(path, summary.file_len)
        .expect("a disk in memory works")
}

/// A row of one kind after the other.
async fn add(writer: &mut RunWriter, key: &[u8], version: Version, bytes: &[u8]) -> std::io::Result<()> {
    let pointer = JournalPointer {
        segment: 2,
        offset: 70_000,
        stored_len: 300,
        len: 300,
        codec: Codec::None,
        vcrc: 9,
    };
    let filed = FilePointer {
        file: 1,
        offset: 8_000,
        stored_len: 300,
        len: 300,
        codec: Codec::None,
        vcrc: 9,
    };
    let packed = pointer.packed(Codec::Lz4, 4_000).expect("shorter");
    let packed_file = FilePointer {
        len: 9_000,
        codec: Codec::Zstd,
        ..filed
    };
    let piece = Piece::Memory(bytes.to_vec().into());
    let pieces = vec![
        piece,
        Piece::Journal(pointer),
        Piece::Filed(filed),
        Piece::Journal(packed),
        Piece::Filed(packed_file),
    ];
    let joined = Joined::from_pieces(pieces, 9).expect("it is short");
    let value = match version.0 % 8 {
        0 => RowValue::Tombstone,
        1 => RowValue::Journal(pointer),
        2 => RowValue::Filed(filed),
        3 => RowValue::Joined(&joined),
        4 => RowValue::Journal(packed),
        5 => RowValue::Filed(packed_file),
        _ => RowValue::Inline { bytes, vcrc: 9 },
    };
    writer.add(key, version, value).await
}
