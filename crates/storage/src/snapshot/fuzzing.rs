//! Bytes of any kind as a chunk of a snapshot: a check that panics if a promise is broken.
//!
//! A random change nearly always breaks the sum, and then nothing behind it is ever reached. So the first byte of
//! an input says whether it is put right before the bytes are read.

use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, Version};

use super::format::{Body, Chunk, ChunkBuilder, Place, Row, Stream, Totals};
use super::position::SnapshotPosition;

const SUM_LEN: usize = 4;

/// A chunk is refused, at once or at one of its rows, or written from what was read it is the same bytes again.
pub fn chunk(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode & 1 != 0 {
        repair(&mut bytes);
    }
    let Ok(chunk) = Chunk::decode(&bytes) else {
        return;
    };
    let mut builder = ChunkBuilder::new(chunk.stream, chunk.place);
    let (written, sum) = match chunk.body {
        Body::Last(totals) => builder.finish_last(&totals),
        Body::Rows(rows) => {
            for row in rows {
                let Ok(row) = row else { return };
                builder.push(&row);
            }
            builder.finish()
        }
    };
    assert_eq!(sum, chunk.sum);
    assert_eq!(written, bytes);
}

fn repair(bytes: &mut Vec<u8>) {
    let Some(end) = bytes.len().checked_sub(SUM_LEN) else {
        return;
    };
    bytes.truncate(end);
    let sum = crc32fast::hash(bytes);
    bytes.extend(sum.to_le_bytes());
}

/// Chunks with rows of both spaces, with one long row, and a last one.
pub fn chunk_seeds() -> Vec<(String, Vec<u8>)> {
    let stream = Stream {
        cluster: ClusterId(0xC1),
        group: GroupKey::new(GroupId(1), GroupGen(1)),
        id: 77,
        history: false,
    };
    let place = Place::FIRST.next(5);
    let rows = |rows: &[(&[u8], &[u8])]| {
        let mut builder = ChunkBuilder::new(stream, place);
        for (key, value) in rows {
            builder.push(&Row {
                key,
                version: Version(9),
                vcrc: 7,
                value: Some(value),
            });
        }
        builder.finish().0
    };
    let totals = Totals {
        rows: 3,
        bytes: 1000,
        position: SnapshotPosition {
            applied: LogId::default(),
            version: Version(9),
            membership: b"three of them".to_vec().into(),
            membership_id: Some(LogId::default()),
        },
        horizon: None,
    };
    let last = ChunkBuilder::new(stream, place).finish_last(&totals).0;
    let past = Stream {
        history: true,
        ..stream
    };
    let mut versions = ChunkBuilder::new(past, place);
    for (version, value) in [(9, Some(&b"new"[..])), (8, None), (7, Some(b""))] {
        versions.push(&Row {
            key: b"\0a",
            version: Version(version),
            vcrc: 0,
            value,
        });
    }
    let totals = Totals {
        horizon: Some(Version(7)),
        ..totals
    };
    let last_of_past = ChunkBuilder::new(past, place).finish_last(&totals).0;
    let seeds = [
        ("history", versions.finish().0),
        ("last-history", last_of_past),
        (
            "rows",
            rows(&[(b"\0a", b"one"), (b"\0b", b""), (b"\x01s", b"system")]),
        ),
        ("long", rows(&[(b"\0long", &[5; 3000])])),
        ("last", last),
    ];
    let seed = |(name, bytes): (&str, bytes::Bytes)| (name.to_owned(), [&[1], &bytes[..]].concat());
    seeds.map(seed).into()
}
