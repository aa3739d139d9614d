//! Blocks: rows in order, packed.
//!
//! A row stores only the end of its key that differs from the row before; every sixteenth, a restart,
//! stores all of it, and where the restarts are stands at the end of the block. A search halves over the restarts and
//! then walks at most sixteen rows, without putting a key together: how much of the wanted key the row before had in
//! common, and how much of that row the next one repeats, decide all but a few comparisons. That needs
//! the repeated part to be the longest common one, which the format therefore demands.
//!
//! Where a block is in memory, the first bytes of its restarts' keys stand together beside it ([`heads`]), and most searches
//! come to the sixteen rows without looking at a restart.

mod heads;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use atoll_types::Version;
use bytes::Bytes;

pub(super) use heads::head;

use super::input::{Input, put_varint};
use heads::Heads;

/// Bytes that a block should have. A longer one holds a single row.
pub(super) const BLOCK_TARGET: usize = 8 * 1024;
/// No block is longer: the largest row, and a joined value's pieces, fit.
pub(super) const BLOCK_LEN_MAX: usize = 4 * 1024 * 1024 + 256 * 1024;
/// Rows from one restart to the next.
pub(super) const RESTART_ROWS: usize = 16;

/// Four varints: two lengths of keys, the value's length, the version.
const ROW_FIELDS_MAX: usize = 2 + 2 + 4 + 10;
/// Number of restarts.
const COUNT_LEN: usize = 2;
/// The sum over the block.
pub(super) const BLOCK_SUM_LEN: usize = 4;

/// Gathers rows of one block. They must come in order.
#[derive(Default)]
pub(super) struct BlockBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u16>,
    rows: usize,
    version: Version,
}

impl BlockBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of a block of one row, at most. `row` are those of the row's key and value.
    pub(super) const fn len_of_one(row: usize) -> usize {
        ROW_FIELDS_MAX + row + size_of::<u16>() + COUNT_LEN + BLOCK_SUM_LEN
    }

    /// Bytes the block will have with one more row, at most. `row` are those of the row's key and value.
    pub(super) fn len_with(&self, row: usize) -> usize {
        self.bytes.len() + self.restarts.len() * size_of::<u16>() + Self::len_of_one(row)
    }

    /// Adds a row; `common` bytes of its key are those of the row before.
    pub(super) fn push(&mut self, key: &[u8], common: usize, version: Version, value: &[u8]) {
        let restart = self.rows.is_multiple_of(RESTART_ROWS);
        if restart {
            debug_assert!(self.bytes.len() <= BLOCK_TARGET, "a restart's place has 16 bits");
            self.restarts.push(self.bytes.len() as u16);
        }
        let (shared, before) = if restart {
            (0, Version::ZERO)
        } else {
            (common, self.version)
        };
        let tail = key.get(shared..).unwrap_or_default();
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, tail.len() as u64);
        put_varint(&mut self.bytes, value.len() as u64);
        put_varint(&mut self.bytes, zigzag(version.0.wrapping_sub(before.0)));
        self.bytes.extend_from_slice(tail);
        self.bytes.extend_from_slice(value);
        self.version = version;
        self.rows += 1;
    }

    /// Appends the block, but for its sum, to `out` and starts the next.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
        for restart in &self.restarts {
            out.extend_from_slice(&restart.to_le_bytes());
        }
        out.extend_from_slice(&(self.restarts.len() as u16).to_le_bytes());
        self.restarts.clear();
        self.rows = 0;
    }
}

const fn zigzag(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    ((signed << 1) ^ (signed >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// The bytes are no block, though their sum may be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A block of a run, its sum checked and cut off. A cheap handle.
#[derive(Clone)]
pub(super) struct Block(Arc<Content>);

struct Content {
    heads: Heads,
    /// Where the rows end and the places of the restarts begin.
    rows_end: usize,
    bytes: Bytes,
}

/// A row where it stands.
pub(super) struct PackedRow<'a> {
    /// Bytes of the key that are those of the row before.
    pub(super) shared: usize,
    pub(super) tail: &'a [u8],
    pub(super) version: Version,
    /// Where its value stands in the block.
    pub(super) value: Range<usize>,
}

/// The first row at or behind a place in the order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// Sixteen rows from one restart to the next; there may be no such interval, behind the last row.
    pub(super) interval: usize,
    /// Which of its rows.
    pub(super) row: usize,
    /// The row's version and value if it has the key that was looked for.
    pub(super) hit: Option<(Version, Range<usize>)>,
}

impl Block {
    pub(super) fn new(bytes: Bytes) -> Result<Self, Malformed> {
        let count = bytes.last_chunk().ok_or(Malformed)?;
        let restarts = usize::from(u16::from_le_bytes(*count));
        let end = COUNT_LEN + restarts * size_of::<u16>();
        let rows_end = bytes
            .len()
            .checked_sub(end)
            .filter(|end| *end > 0 && restarts > 0);
        let mut content = Content {
            heads: Heads::default(),
            rows_end: rows_end.ok_or(Malformed)?,
            bytes,
        };
        content.heads = Heads::of(content.intervals(), |interval| {
            content.first(interval).ok().map(|row| row.tail)
        });
        Ok(Self(Arc::new(content)))
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// How many times sixteen rows it has, the last ones maybe fewer.
    pub(super) fn intervals(&self) -> usize {
        self.0.intervals()
    }

    /// The rows of an interval, which it must have, from its restart on.
    pub(super) fn rows(&self, interval: usize) -> Result<Rows<'_>, Malformed> {
        self.0.rows(interval)
    }

    /// The first row that is not before (`key`, `version`): of this key and this version or an older one, or of a
    /// later key.
    pub(super) fn lower_bound(&self, key: &[u8], version: Version) -> Result<Bound, Malformed> {
        self.0.lower_bound(key, version)
    }
}

impl Content {
    fn intervals(&self) -> usize {
        (self.bytes.len() - self.rows_end - COUNT_LEN) / size_of::<u16>()
    }

    fn rows(&self, interval: usize) -> Result<Rows<'_>, Malformed> {
        let (at, end) = (self.restart(interval)?, self.restart(interval + 1)?);
        if at >= end || end > self.rows_end {
            return Err(Malformed);
        }
        Ok(Rows {
            bytes: self.bytes.get(..end).ok_or(Malformed)?,
            at,
            version: None,
        })
    }

    /// Where an interval starts, or, behind the last one, where rows end.
    fn restart(&self, interval: usize) -> Result<usize, Malformed> {
        if interval == self.intervals() {
            return Ok(self.rows_end);
        }
        let at = self.rows_end + interval * size_of::<u16>();
        let place = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        Ok(usize::from(u16::from_le_bytes(*place.ok_or(Malformed)?)))
    }

    /// The first row of an interval, whose key stands whole.
    fn first(&self, interval: usize) -> Result<PackedRow<'_>, Malformed> {
        self.rows(interval)?.next().ok_or(Malformed)?
    }

    fn lower_bound(&self, key: &[u8], version: Version) -> Result<Bound, Malformed> {
        // The first interval whose first row is not before the place.
        let Range {
            start: mut low,
            end: mut high,
        } = self.heads.range(key, self.intervals());
        while low < high {
            let middle = low.midpoint(high);
            let row = self.first(middle)?;
            if row_order(row.tail.cmp(key), row.version, version) == Ordering::Less {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if let Some(before) = low.checked_sub(1)
            && let Some(bound) = self.bound_in(before, key, version)?
        {
            return Ok(bound);
        }
        let hit = if low < self.intervals() {
            let row = self.first(low)?;
            (row.tail == key).then_some((row.version, row.value))
        } else {
            None
        };
        Ok(Bound {
            interval: low,
            row: 0,
            hit,
        })
    }

    /// The bound, if it is in this interval, whose first row is before the place.
    fn bound_in(&self, interval: usize, key: &[u8], version: Version) -> Result<Option<Bound>, Malformed> {
        // Bytes that the wanted key has in common with the row before, which is before the place.
        let mut common = 0;
        for (number, row) in self.rows(interval)?.enumerate() {
            let row = row?;
            let order = match row.shared.cmp(&common) {
                // Where it repeats the row before, that one was less already.
                Ordering::Greater => continue,
                // It left the row before, upwards, where the wanted key still went along.
                Ordering::Less => Ordering::Greater,
                Ordering::Equal => {
                    let wanted = key.get(common..).ok_or(Malformed)?;
                    common += common_len(row.tail, wanted);
                    row.tail.cmp(wanted)
                }
            };
            if row_order(order, row.version, version) != Ordering::Less {
                let hit = (order == Ordering::Equal).then_some((row.version, row.value));
                return Ok(Some(Bound {
                    interval,
                    row: number,
                    hit,
                }));
            }
        }
        Ok(None)
    }
}

/// How a row stands to a place, from how their keys do: of one key, newer versions come first.
pub(super) fn row_order(keys: Ordering, version: Version, wanted: Version) -> Ordering {
    keys.then(wanted.cmp(&version))
}

/// Bytes that two keys begin with in common.
pub(super) fn common_len(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// Rows of an interval, in order.
pub(super) struct Rows<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The version of the row before; none at the restart.
    version: Option<Version>,
}

impl<'a> Rows<'a> {
    fn row(&mut self) -> Option<PackedRow<'a>> {
        let mut input = Input(self.bytes.get(self.at..)?);
        let (shared, tail, value) = (input.varint32()?, input.varint32()?, input.varint32()?);
        if self.version.is_none() && shared != 0 {
            return None;
        }
        let difference = unzigzag(input.varint()?);
        let version = Version(self.version.unwrap_or_default().0.wrapping_add(difference));
        let tail = input.take(tail as usize)?;
        let value_at = self.bytes.len() - input.0.len();
        input.take(value as usize)?;
        self.at = self.bytes.len() - input.0.len();
        self.version = Some(version);
        Some(PackedRow {
            shared: shared as usize,
            tail,
            version,
            value: value_at..self.at,
        })
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<PackedRow<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let row = self.row();
        if row.is_none() {
            self.at = self.bytes.len();
        }
        Some(row.ok_or(Malformed))
    }
}
