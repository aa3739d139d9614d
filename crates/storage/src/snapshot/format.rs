//! Every byte of a chunk, little endian; docs/format.md says the same in tables.
//!
//! The sum over all bytes is looked at before anything but the magic, and stands at the end in every version.
//! Lengths and counts are not trusted for that: each has a bound, and nothing is allocated by them.

use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, ReplicaId, Version};
use bytes::Bytes;

use super::error::SnapshotError;
use super::position::SnapshotPosition;
use crate::cursor::{Cursor, Short};
use crate::run::{ROW_KEY_MAX, VALUE_LEN_MAX};

const MAGIC: [u8; 8] = *b"ATOLSNP\x01";
const VERSION: u32 = 1;
/// The chunk has totals in the place of rows, and none follows.
const FLAG_LAST: u32 = 1;

/// Feature: rows may be several versions of a key and deletions, and the totals say the horizon. Bit 0 is kept for compression.
const FEATURE_HISTORY: u32 = 1 << 1;
/// In the place of a value's length: the row says that its key was deleted.
const DELETED: u32 = u32::MAX;

/// Bytes before the rows.
pub(super) const HEADER_LEN: usize = 84;
/// The sum behind them.
const SUM_LEN: usize = 4;
/// Bytes of a row before its key.
const ROW_HEADER_LEN: usize = 18;
/// A chunk takes no more rows when it has so many bytes, or fewer if it was told so.
pub(super) const CHUNK_TARGET: usize = 1024 * 1024;
/// Bytes of a membership, at most.
const MEMBERSHIP_LEN_MAX: usize = 1024 * 1024;
/// No chunk is longer: the target and one row.
pub(crate) const CHUNK_LEN_MAX: usize = CHUNK_TARGET + ROW_HEADER_LEN + ROW_KEY_MAX + VALUE_LEN_MAX + SUM_LEN;

const _: () = {
    assert!(HEADER_LEN < CHUNK_TARGET);
    // The totals.
    assert!(HEADER_LEN + 256 + MEMBERSHIP_LEN_MAX + SUM_LEN < CHUNK_LEN_MAX);
    assert!(CHUNK_LEN_MAX < atoll_types::limits::MESSAGE_BYTES_MAX);
};

/// What the chunks of one snapshot have in common. Another's are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) cluster: ClusterId,
    pub(super) group: GroupKey,
    /// Random, drawn whenever a checkpoint is pinned.
    pub(super) id: u128,
    /// Older versions and deletions come too, as far as history needs them.
    pub(super) history: bool,
}

/// What ties a chunk to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 0, by 1.
    pub(super) seq: u64,
    /// Sum over the sums of all chunks before, in order; 0 of none.
    pub(super) before: u32,
}

impl Place {
    pub(super) const FIRST: Self = Self { seq: 0, before: 0 };

    /// That of the next chunk, behind one with this sum.
    pub(super) fn next(self, sum: u32) -> Self {
        let mut sums = crc32fast::Hasher::new_with_initial(self.before);
        sums.update(&sum.to_le_bytes());
        Self {
            seq: self.seq + 1,
            before: sums.finalize(),
        }
    }
}

/// A row, its value included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    /// The key, its space first.
    pub(super) key: &'a [u8],
    pub(super) version: Version,
    /// [`value_crc`](crate::value_crc) of the key, without its space, and the value.
    /// Of a deletion 0.
    pub(super) vcrc: u32,
    /// `None`: the key was deleted. Only where history is sent.
    pub(super) value: Option<&'a [u8]>,
}

impl Row<'_> {
    /// What it counts in [`Totals::bytes`].
    pub(super) fn bytes(&self) -> u64 {
        (self.key.len() + self.value.map_or(0, <[u8]>::len)) as u64
    }
}

/// What all chunks together must have been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) rows: u64,
    /// Bytes of keys, with their spaces, and of values.
    pub(super) bytes: u64,
    pub(super) position: SnapshotPosition,
    /// The lowest version that can be read at; said where history is sent, and nowhere else.
    pub(super) horizon: Option<Version>,
}

/// Makes one chunk.
pub(super) struct ChunkBuilder {
    out: Vec<u8>,
    rows: u32,
}

impl ChunkBuilder {
    pub(super) fn new(stream: Stream, place: Place) -> Self {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        let features = if stream.history { FEATURE_HISTORY } else { 0 };
        out.extend(features.to_le_bytes());
        out.extend(stream.cluster.0.to_le_bytes());
        out.extend(stream.group.id.0.to_le_bytes());
        out.extend(stream.group.generation.0.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(stream.id.to_le_bytes());
        out.extend(place.seq.to_le_bytes());
        // Rows and bytes of them, not known yet.
        out.extend([0; 8]);
        out.extend(place.before.to_le_bytes());
        Self { out, rows: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn push(&mut self, row: &Row<'_>) {
        self.out.extend((row.key.len() as u16).to_le_bytes());
        let len = row.value.map_or(DELETED, |value| value.len() as u32);
        self.out.extend(len.to_le_bytes());
        self.out.extend(row.version.0.to_le_bytes());
        self.out.extend(row.vcrc.to_le_bytes());
        self.out.extend(row.key);
        self.out.extend(row.value.unwrap_or_default());
        self.rows += 1;
    }

    /// The chunk, and its sum.
    pub(super) fn finish(self) -> (Bytes, u32) {
        self.end(0)
    }

    /// The last chunk, and its sum. It has no rows.
    pub(super) fn finish_last(mut self, totals: &Totals) -> (Bytes, u32) {
        debug_assert!(self.is_empty(), "the last chunk has no rows");
        let position = &totals.position;
        let numbers = [totals.rows, totals.bytes, position.version.0].into_iter();
        for number in numbers.chain(totals.horizon.map(|horizon| horizon.0)) {
            self.out.extend(number.to_le_bytes());
        }
        put_log_id(&mut self.out, position.applied);
        self.out.push(u8::from(position.membership_id.is_some()));
        put_log_id(&mut self.out, position.membership_id.unwrap_or_default());
        self.out.extend(&position.membership);
        self.end(FLAG_LAST)
    }

    fn end(mut self, flags: u32) -> (Bytes, u32) {
        let body = (self.out.len() - HEADER_LEN) as u32;
        self.set(44, flags);
        self.set(72, self.rows);
        self.set(76, body);
        let sum = crc32fast::hash(&self.out);
        self.out.extend(sum.to_le_bytes());
        (self.out.into(), sum)
    }

    fn set(&mut self, at: usize, number: u32) {
        if let Some(field) = self.out.get_mut(at..at + 4) {
            field.copy_from_slice(&number.to_le_bytes());
        }
    }
}

fn put_log_id(out: &mut Vec<u8>, id: LogId) {
    for field in [id.term, id.leader.0, id.index] {
        out.extend(field.to_le_bytes());
    }
}

/// A chunk whose sum is right.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    pub(super) stream: Stream,
    pub(super) place: Place,
    pub(super) sum: u32,
    pub(super) body: Body<'a>,
}

/// What it brings.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Rows(Rows<'a>),
    Last(Totals),
}

impl From<Short> for SnapshotError {
    fn from(_: Short) -> Self {
        Self::Damaged("it ends too early")
    }
}

impl<'a> Chunk<'a> {
    /// Total: bytes of any kind give a chunk or an error. Rows are looked at when they are walked over.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        if bytes.len() > CHUNK_LEN_MAX {
            return Err(SnapshotError::Damaged("it is longer than a chunk can be"));
        }
        let (content, sum) = bytes.split_last_chunk().ok_or(Short)?;
        let mut cursor = Cursor(content);
        if cursor.take()? != MAGIC {
            return Err(SnapshotError::Damaged("it does not begin as a chunk does"));
        }
        let sum = u32::from_le_bytes(*sum);
        if sum != crc32fast::hash(content) {
            return Err(SnapshotError::Damaged("its checksum does not match"));
        }
        let history = check_version(&mut cursor)?;
        let cluster = ClusterId(cursor.u128()?);
        let group = GroupKey::new(GroupId(cursor.u64()?), GroupGen(cursor.u32()?));
        let flags = cursor.u32()?;
        let id = cursor.u128()?;
        let seq = cursor.u64()?;
        let (rows, len, before) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        if cursor.0.len() != len as usize {
            return Err(SnapshotError::Damaged("it does not have the length it says"));
        }
        let body = match flags {
            0 if rows > 0 => Body::Rows(Rows {
                cursor,
                left: rows,
                history,
            }),
            FLAG_LAST if rows == 0 => Body::Last(totals(cursor, history)?),
            _ => return Err(SnapshotError::Damaged("it has neither rows nor totals")),
        };
        Ok(Self {
            stream: Stream {
                cluster,
                group,
                id,
                history,
            },
            place: Place { seq, before },
            sum,
            body,
        })
    }
}

/// Whether history is sent.
fn check_version(cursor: &mut Cursor<'_>) -> Result<bool, SnapshotError> {
    match (cursor.u32()?, cursor.u32()?) {
        (VERSION, 0) => Ok(false),
        (VERSION, FEATURE_HISTORY) => Ok(true),
        (VERSION, features) => {
            let what = format!("features {features:#x} this program does not have");
            Err(SnapshotError::Unsupported(what))
        }
        (version, _) => {
            let what = format!("format version {version}, this program knows {VERSION}");
            Err(SnapshotError::Unsupported(what))
        }
    }
}

fn log_id(cursor: &mut Cursor<'_>) -> Result<LogId, Short> {
    Ok(LogId {
        term: cursor.u64()?,
        leader: ReplicaId(cursor.u64()?),
        index: cursor.u64()?,
    })
}

fn totals(mut cursor: Cursor<'_>, history: bool) -> Result<Totals, SnapshotError> {
    let (rows, bytes, version) = (cursor.u64()?, cursor.u64()?, Version(cursor.u64()?));
    let horizon = if history {
        Some(Version(cursor.u64()?))
    } else {
        None
    };
    let applied = log_id(&mut cursor)?;
    let membership_id = match (cursor.take()?, log_id(&mut cursor)?) {
        ([0], id) if id == LogId::default() => None,
        ([1], id) => Some(id),
        _ => return Err(SnapshotError::Damaged("a log id is neither there nor absent")),
    };
    if cursor.0.len() > MEMBERSHIP_LEN_MAX {
        return Err(SnapshotError::Damaged("its membership is too long"));
    }
    Ok(Totals {
        rows,
        bytes,
        position: SnapshotPosition {
            applied,
            version,
            membership: Bytes::copy_from_slice(cursor.0),
            membership_id,
        },
        horizon,
    })
}

/// Walks over the rows of a chunk.
#[derive(Clone, Debug)]
pub(super) struct Rows<'a> {
    cursor: Cursor<'a>,
    left: u32,
    history: bool,
}

impl<'a> Rows<'a> {
    fn row(&mut self) -> Result<Row<'a>, SnapshotError> {
        let (key_len, value_len) = (self.cursor.u16()?, self.cursor.u32()?);
        let (version, vcrc) = (Version(self.cursor.u64()?), self.cursor.u32()?);
        let is_deletion = self.history && value_len == DELETED;
        let value_len = if is_deletion { 0 } else { value_len };
        let (key_len, value_len) = (usize::from(key_len), value_len as usize);
        if key_len == 0 || key_len > ROW_KEY_MAX || value_len > VALUE_LEN_MAX {
            return Err(SnapshotError::Damaged("a row's lengths cannot be"));
        }
        let (key, value) = (self.cursor.bytes(key_len)?, self.cursor.bytes(value_len)?);
        Ok(Row {
            key,
            version,
            vcrc,
            value: (!is_deletion).then_some(value),
        })
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>, SnapshotError>;

    /// After an error nothing follows.
    fn next(&mut self) -> Option<Self::Item> {
        let Some(left) = self.left.checked_sub(1) else {
            let rest = std::mem::take(&mut self.cursor.0);
            return (!rest.is_empty()).then_some(Err(SnapshotError::Damaged("it goes on behind its rows")));
        };
        self.left = left;
        let row = self.row();
        if row.is_err() {
            (self.left, self.cursor) = (0, Cursor(&[]));
        }
        Some(row)
    }
}
