//! Inputs worth starting from: one of everything.

use atoll_types::{GroupGen, GroupId, GroupKey, LogId, ReplicaId, Vote};

use super::super::format::{
    Align, Chain, FRAME_FLAG_MARKER, FRAME_HEADER_LEN, FrameHeader, FramePlace, HEAD_LEN, Head, JournalHead,
    RecordHeader, RecordKind, SegmentHeader, TRUNCATE_FLAG_ALL, VOTE_FLAG_COMMITTED, body_crc,
};
use super::{IDENTITY, repair};

const GROUP: GroupKey = GroupKey::new(GroupId(5), GroupGen(1));
const SALT: u64 = 0x5A17;

fn id(term: u64, index: u64) -> LogId {
    LogId {
        term,
        leader: ReplicaId(2),
        index,
    }
}

fn record(kind: RecordKind, flags: u8, id: LogId, payload: &[u8]) -> Vec<u8> {
    let header = RecordHeader {
        payload_len: payload.len() as u32,
        payload_crc: crc32fast::hash(payload),
        ..RecordHeader::plain(kind, flags, GROUP, id)
    };
    [&header.encode()[..], payload].concat()
}

fn created() -> Vec<u8> {
    record(RecordKind::GroupCreate, 0, id(0, 0), b"")
}

fn entries(term: u64, indices: std::ops::Range<u64>) -> Vec<u8> {
    let entry = |index| record(RecordKind::Entry, index as u8 % 3, id(term, index), b"payload");
    indices.flat_map(entry).collect()
}

fn votes() -> Vec<u8> {
    let vote = |flags| record(RecordKind::Vote, flags, id(3, 0), b"");
    [vote(0), vote(VOTE_FLAG_COMMITTED)].concat()
}

fn cuts() -> Vec<u8> {
    [
        record(RecordKind::Committed, 0, id(1, 0), b""),
        record(RecordKind::TruncateAfter, 0, id(1, 1), b""),
        entries(3, 2..4),
        record(RecordKind::Purge, 0, id(1, 0), b""),
        record(
            RecordKind::TruncateAfter,
            TRUNCATE_FLAG_ALL,
            LogId::default(),
            b"",
        ),
        record(RecordKind::Purge, 0, id(4, 9), b""),
    ]
    .concat()
}

/// Numbers that have no successor.
fn ends() -> Vec<u8> {
    const END: u64 = u64::MAX;
    [
        created(),
        record(RecordKind::Entry, 1, id(END, END), b"payload"),
        record(RecordKind::Vote, 0, id(END, 0), b""),
        record(RecordKind::TruncateAfter, 0, id(END, END), b""),
    ]
    .concat()
}

fn head() -> Vec<u8> {
    let head = Head {
        replica: ReplicaId(2),
        vote: Some(Vote {
            term: 3,
            candidate: ReplicaId(2),
            committed: true,
        }),
        committed: Some(id(1, 0)),
        purged: Some(id(1, 0)),
        last: Some(id(3, 3)),
        quarantined: false,
    };
    let bytes: [u8; HEAD_LEN] = head.encode();
    record(RecordKind::GroupHead, 0, LogId::default(), &bytes)
}

fn frame(place: FramePlace, seq: u64, previous_crc: u32, records: &[u8], count: u32) -> (Vec<u8>, u32) {
    let header = FrameHeader {
        seq,
        durable_seq: seq - 1,
        wall_ms: 0,
        body_len: records.len() as u32,
        body_crc: body_crc(place.salt, seq, records),
        previous_crc,
        records: count,
        flags: if count == 0 { FRAME_FLAG_MARKER } else { 0 },
    };
    let (bytes, crc) = header.encode(place);
    let mut frame = [&bytes[..], records].concat();
    frame.resize(
        place.align.padded(FRAME_HEADER_LEN + records.len() as u32) as usize,
        0,
    );
    (frame, crc)
}

/// A segment file to be made.
#[derive(Clone, Copy)]
struct Shape {
    mode: u8,
    segment: u32,
    salt: u64,
    first_seq: u64,
    recycled: bool,
}

const PLAIN: Shape = Shape {
    mode: 0,
    segment: 1,
    salt: SALT,
    first_seq: 1,
    recycled: false,
};

/// A segment file of such frames, behind a byte for the mode.
fn file(mode: u8, bodies: &[(Vec<u8>, u32)]) -> Vec<u8> {
    shaped(Shape { mode, ..PLAIN }, bodies)
}

fn shaped(shape: Shape, bodies: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let mut previous = Chain::default();
    if shape.segment > 1 {
        previous = Chain {
            segment: u64::from(shape.segment - 1),
            end: 2 * Align::CLEAR.header_len(),
            crc: 5,
        };
    }
    let header = SegmentHeader {
        identity: IDENTITY,
        segment: u64::from(shape.segment),
        salt: shape.salt,
        first_seq: shape.first_seq,
        previous,
        created_ms: 0,
        segment_bytes: 32 * 1024,
        align: Align::CLEAR,
        recycled: shape.recycled,
    };
    let mut input = vec![shape.mode];
    input.extend(header.encode());
    let mut previous = previous.crc;
    for (number, (records, count)) in (0..).zip(bodies) {
        let place = FramePlace {
            salt: shape.salt,
            segment: u64::from(shape.segment),
            offset: input.len() as u32 - 1,
            align: Align::CLEAR,
        };
        let seq = shape.first_seq.wrapping_add(number);
        let (bytes, crc) = frame(place, seq, previous, records, *count);
        input.extend(bytes);
        previous = crc;
    }
    debug_assert!(input.len() > Align::CLEAR.header_len() as usize);
    input
}

/// A journal that begins with segment 2: its head names entries that are gone, and the purge stands behind.
fn later(purged: LogId) -> Vec<u8> {
    let first_segment = JournalHead {
        first_segment: 2,
        damaged: false,
    };
    let first_segment = first_segment.record().map(|record| record.encode().to_vec());
    let heads = [first_segment.unwrap_or_default(), head()].concat();
    let purge = record(RecordKind::Purge, 0, purged, b"");
    let bodies = [(heads, 2), (entries(3, 4..6), 2), (purge, 1), (Vec::new(), 0)];
    let shape = Shape {
        mode: repair::LATER | repair::SUMS,
        segment: 2,
        first_seq: 9,
        ..PLAIN
    };
    shaped(shape, &bodies)
}

/// Two frames, and behind them what the file held before.
fn recycled(bodies: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let stale = shaped(
        Shape {
            salt: SALT + 1,
            ..PLAIN
        },
        bodies,
    );
    let shape = Shape {
        recycled: true,
        ..PLAIN
    };
    let mut input = shaped(shape, bodies.get(..2).unwrap_or_default());
    input.extend(stale.get(input.len()..).unwrap_or_default());
    input
}

fn named(seeds: Vec<(&str, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed))
        .collect()
}

/// For [`segment`](super::segment).
pub fn segment_seeds() -> Vec<(String, Vec<u8>)> {
    let whole = [
        (created(), 1),
        (entries(1, 0..3), 3),
        (votes(), 2),
        (cuts(), 7),
        (Vec::new(), 0),
    ];
    let short = [([created(), entries(1, 0..2), votes()].concat(), 5)];
    let headed = [(head(), 1), (entries(3, 4..5), 1)];
    let ends = [(ends(), 4)];
    let purged = [(
        [created(), record(RecordKind::Purge, 0, id(1, u64::MAX), b"")].concat(),
        2,
    )];
    let last_seq = Shape {
        first_seq: u64::MAX,
        ..PLAIN
    };
    let mut prepared = file(0, &short);
    prepared.resize(prepared.len() + 4096, 0);
    named(vec![
        ("ends", file(0, &ends)),
        ("header", file(0, &[])),
        ("headed", file(repair::SUMS, &headed)),
        ("last-seq", shaped(last_seq, &ends)),
        ("later", later(id(3, 3))),
        ("later-gap", later(id(2, 2))),
        ("prepared", prepared),
        ("purged-to-the-end", file(0, &purged)),
        ("recycled", recycled(&whole)),
        ("short", file(repair::SUMS | repair::CHAIN, &short)),
        ("whole", file(0, &whole)),
        ("whole-signed", file(repair::SUMS | repair::CHAIN, &whole)),
        ("zeros", vec![0; 4097]),
    ])
}

/// For [`batch`](super::batch).
pub fn batch_seeds() -> Vec<(String, Vec<u8>)> {
    let place = FramePlace {
        salt: SALT,
        segment: 1,
        offset: 4096,
        align: Align::CLEAR,
    };
    let input = |records: &[u8], count| {
        let (bytes, _) = frame(place, 7, 9, records, count);
        let end = FRAME_HEADER_LEN as usize + records.len();
        let place = [
            &SALT.to_le_bytes()[..],
            &1_u64.to_le_bytes(),
            &4096_u32.to_le_bytes(),
        ]
        .concat();
        [&place[..], bytes.get(..end).unwrap_or_default()].concat()
    };
    named(vec![
        ("cuts", input(&cuts(), 7)),
        ("entries", input(&entries(1, 0..3), 3)),
        ("head", input(&head(), 1)),
        ("marker", input(&[], 0)),
    ])
}

/// For [`record`](super::record).
pub fn record_seeds() -> Vec<(String, Vec<u8>)> {
    named(vec![
        (
            "all",
            [created(), entries(1, 0..3), votes(), cuts(), head()].concat(),
        ),
        ("entries", entries(1, 0..3)),
        ("head", head()),
        ("votes", votes()),
    ])
}
