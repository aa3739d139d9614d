//! The bytes of chunks.

use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, ReplicaId, Version};
use proptest::collection::vec;
use proptest::prelude::*;

use super::error::SnapshotError;
use super::format::{
    Body, CHUNK_LEN_MAX, CHUNK_TARGET, Chunk, ChunkBuilder, HEADER_LEN, Place, Row, Stream, Totals,
};
use super::position::SnapshotPosition;
use crate::journal::value_crc;

const STREAM: Stream = Stream {
    cluster: ClusterId(0xC1),
    group: GroupKey::new(GroupId(0x1F), GroupGen(2)),
    id: 0x1234_5678_9ABC_DEF0_1111,
    history: false,
};
const PLACE: Place = Place {
    seq: 7,
    before: 0xDEAD_BEEF,
};

type Owned = (Vec<u8>, u64, Vec<u8>);

fn row((key, version, value): &Owned) -> Row<'_> {
    Row {
        key,
        version: Version(*version),
        vcrc: value_crc(&key[1..], value),
        value: Some(value),
    }
}

fn chunk_of(rows: &[Owned]) -> Vec<u8> {
    let mut builder = ChunkBuilder::new(STREAM, PLACE);
    for owned in rows {
        builder.push(&row(owned));
    }
    let (bytes, sum) = builder.finish();
    assert_eq!(sum, crc32fast::hash(&bytes[..bytes.len() - 4]));
    bytes.to_vec()
}

fn last() -> (Vec<u8>, Totals) {
    let id = LogId {
        term: 3,
        leader: ReplicaId(4),
        index: 5,
    };
    let totals = Totals {
        rows: 1 << 40,
        bytes: 1 << 41,
        position: SnapshotPosition {
            applied: id,
            version: Version(6),
            membership: b"some".to_vec().into(),
            membership_id: None,
        },
        horizon: None,
    };
    let (bytes, _) = ChunkBuilder::new(STREAM, PLACE).finish_last(&totals);
    (bytes.to_vec(), totals)
}

/// Puts the sum right, so that what stands behind it is reached.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = bytes.len().checked_sub(4) {
        let sum = crc32fast::hash(&bytes[..at]);
        bytes[at..].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Everything a chunk says; `None` if it is refused, at once or at one of its rows.
fn read(bytes: &[u8]) -> Option<(Stream, Place, Result<Vec<Owned>, Totals>)> {
    let chunk = Chunk::decode(bytes).ok()?;
    let said = match chunk.body {
        Body::Last(totals) => Err(totals),
        Body::Rows(rows) => {
            let rows = rows.map(|row| {
                let Row {
                    key, version, value, ..
                } = row.ok()?;
                Some((key.to_vec(), version.0, value?.to_vec()))
            });
            Ok(rows.collect::<Option<_>>()?)
        }
    };
    Some((chunk.stream, chunk.place, said))
}

fn rows() -> impl Strategy<Value = Vec<Owned>> {
    let key = vec(any::<u8>(), 1..30);
    vec((key, any::<u64>(), vec(any::<u8>(), 0..200)), 1..20)
}

proptest! {
    #[test]
    fn what_is_written_is_read(rows in rows()) {
        prop_assert_eq!(read(&chunk_of(&rows)), Some((STREAM, PLACE, Ok(rows))));
    }

    /// With right sums: an error, or rows that fit into the bytes there are; never a panic.
    #[test]
    fn reading_is_total(
        rows in rows(), is_last: bool, hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = if is_last { last().0 } else { chunk_of(&rows) };
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Some((_, _, Ok(rows))) = read(&repaired(bytes.clone())) {
            let found: usize = rows.iter().map(|(key, _, value)| 18 + key.len() + value.len()).sum();
            prop_assert_eq!(found + HEADER_LEN + 4, bytes.len());
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    let rows = [
        (vec![0, 1], 9, vec![1; 100]),
        (vec![0, 2], 8, vec![]),
        (vec![1], 7, vec![2; 70]),
    ];
    for bytes in [chunk_of(&rows), last().0] {
        assert!(read(&bytes).is_some());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = Chunk::decode(&damaged).map(drop);
            assert!(matches!(error, Err(SnapshotError::Damaged(_))), "bit {bit}");
        }
        for len in 0..bytes.len() {
            let error = Chunk::decode(&bytes[..len]).map(drop);
            assert!(matches!(error, Err(SnapshotError::Damaged(_))), "{len} bytes");
            assert!(read(&repaired(bytes[..len].to_vec())).is_none(), "{len} bytes");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_none());
        assert!(read(&repaired([&bytes[..], &[0]].concat())).is_none());
    }
}

#[test]
fn totals_come_back() {
    let (bytes, mut totals) = last();
    assert_eq!(read(&bytes), Some((STREAM, PLACE, Err(totals.clone()))));
    totals.position.membership_id = Some(LogId::default());
    let (bytes, _) = ChunkBuilder::new(STREAM, PLACE).finish_last(&totals);
    assert_eq!(read(&bytes), Some((STREAM, PLACE, Err(totals))));
}

#[test]
fn a_later_format_is_refused_by_name() {
    for (at, bit, text) in [
        (8, 2, "format version 3, this program knows 1"),
        (12, 4, "features 0x4"),
    ] {
        let mut bytes = last().0;
        bytes[at] ^= bit;
        let Err(SnapshotError::Unsupported(what)) = Chunk::decode(&repaired(bytes)).map(drop) else {
            panic!("read a later format")
        };
        assert!(what.contains(text), "{what}");
    }
}

#[test]
fn a_row_of_the_greatest_length_still_fits_and_nothing_longer_is_looked_at() {
    let long = (vec![0; 4097], 1, vec![5; 4 * 1024 * 1024]);
    let mut builder = ChunkBuilder::new(STREAM, PLACE);
    let filler = (vec![0; 1], 1, vec![0; CHUNK_TARGET - 1 - HEADER_LEN - 18 - 1]);
    builder.push(&row(&filler));
    assert!(builder.len() < CHUNK_TARGET);
    builder.push(&row(&long));
    let (bytes, _) = builder.finish();
    assert_eq!(bytes.len(), CHUNK_LEN_MAX - 1);
    assert!(read(&bytes).is_some());
    let longer = repaired(vec![0; CHUNK_LEN_MAX + 1]);
    assert!(matches!(
        Chunk::decode(&longer).map(drop),
        Err(SnapshotError::Damaged("it is longer than a chunk can be"))
    ));
}

#[test]
fn the_sum_over_chunks_tells_their_order_and_number() {
    let one = Place::FIRST.next(1).next(2);
    assert_eq!(one, Place { seq: 2, ..one });
    assert_ne!(one.before, Place::FIRST.next(2).next(1).before);
    assert_ne!(Place::FIRST.next(0).before, Place::FIRST.before);
    let whole = [1_u32.to_le_bytes(), 2_u32.to_le_bytes()].concat();
    assert_eq!(one.before, crc32fast::hash(&whole));
}
