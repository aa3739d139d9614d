//! The index of blocks: for each, a place in the order that its last row does not go beyond.
//!
//! So the first block whose place is at or behind what is looked for is the only one that can hold it, also if
//! a key has so many versions that they fill blocks. Where two blocks meet between keys, the place is as
//! short a key as tells them apart, with the lowest version.
//!
//! Stored: one record of [`RECORD_LEN`] bytes for each block, then the keys one after the other. Blocks follow each
//! other without a gap from the header on, so their lengths say where they stand.

use std::cmp::Ordering;

use atoll_types::Version;

use super::ROW_KEY_MAX;
use super::block::{BLOCK_LEN_MAX, BLOCK_SUM_LEN, common_len, head, row_order};
use super::input::Input;
use super::layout::HEADER_LEN;

/// Bytes of a block's record.
pub(super) const RECORD_LEN: usize = 16;

/// Gathers what is stored.
#[derive(Default)]
pub(super) struct SparseBuilder {
    records: Vec<u8>,
    keys: Vec<u8>,
    blocks: u32,
}

impl SparseBuilder {
    /// Notes a block that ends with the row `last`. `next` is the key of the row after it, if there is one.
    /// `None` if the index would become longer than it can say.
    pub(super) fn push(&mut self, len: u32, last: (&[u8], Version), next: Option<&[u8]>) -> Option<()> {
        let (key, version) = last;
        let (place, version) = match next {
            Some(next) if next == key => (key.to_vec(), version),
            Some(next) => (separator(key, next), Version::ZERO),
            None => (key.to_vec(), Version::ZERO),
        };
        u32::try_from(self.keys.len() + place.len()).ok()?;
        self.blocks = self.blocks.checked_add(1)?;
        self.records.extend_from_slice(&len.to_le_bytes());
        self.records
            .extend_from_slice(&(place.len() as u16).to_le_bytes());
        self.records.extend_from_slice(&0_u16.to_le_bytes());
        self.records.extend_from_slice(&version.0.to_le_bytes());
        self.keys.extend_from_slice(&place);
        Some(())
    }

    pub(super) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The stored bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        let Self {
            mut records, keys, ..
        } = self;
        records.extend_from_slice(&keys);
        records
    }
}

/// A short key at or after `last` and before `next`, which is after `last`.
fn separator(last: &[u8], next: &[u8]) -> Vec<u8> {
    let common = common_len(last, next);
    match (last.get(common), next.get(common)) {
        // Up to the byte in which `next` is greater; it goes on, so this is before it.
        (Some(_), Some(_)) if next.len() > common + 1 => next.get(..=common).unwrap_or(last).to_vec(),
        _ => last.to_vec(),
    }
}

struct Entry {
    offset: u64,
    len: u32,
    key_end: u32,
    version: Version,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockPlace {
    pub(super) offset: u64,
    /// Its sum included.
    pub(super) len: u32,
}

/// The index of a run's blocks.
///
/// A search by the whole keys would wait for memory at every step, once for the entry and once for the key. So a few bytes of each key stand
/// in a row of their own, those behind what all keys begin with, and the keys are asked only where these are equal.
pub(super) struct SparseIndex {
    entries: Vec<Entry>,
    keys: Vec<u8>,
    /// Bytes that all keys begin with.
    common: usize,
    /// Of each key, [`head`] of the rest.
    heads: Vec<u64>,
    end: u64,
}

impl SparseIndex {
    /// The index in these bytes, which hold records of so many blocks; `None` if they do not fit together.
    pub(super) fn decode(mut bytes: Vec<u8>, blocks: u32) -> Option<Self> {
        let records = (blocks as usize).checked_mul(RECORD_LEN)?;
        if records > bytes.len() {
            return None;
        }
        let keys = bytes.split_off(records);
        let mut index = Self {
            entries: Vec::with_capacity(blocks as usize),
            keys,
            common: 0,
            heads: Vec::new(),
            end: HEADER_LEN as u64,
        };
        let mut input = Input(&bytes);
        let mut key_end: u32 = 0;
        while !input.is_empty() {
            let (len, key_len) = (input.u32()?, input.u16()?);
            input.u16()?;
            let version = Version(input.u64()?);
            key_end = key_end.checked_add(key_len.into())?;
            let sound = (BLOCK_SUM_LEN..=BLOCK_LEN_MAX).contains(&(len as usize))
                && usize::from(key_len) <= ROW_KEY_MAX;
            sound.then_some(())?;
            index.entries.push(Entry {
                offset: index.end,
                len,
                key_end,
                version,
            });
            index.end = index.end.checked_add(len.into())?;
        }
        index.note_heads();
        (key_end as usize == index.keys.len()).then_some(index)
    }

    fn note_heads(&mut self) {
        let last = self.entries.len().saturating_sub(1);
        // They are in order: what the first and the last begin with, all do.
        self.common = common_len(self.key(0), self.key(last));
        let rest = |block| self.key(block).get(self.common..).unwrap_or_default();
        self.heads = (0..self.entries.len()).map(|block| head(rest(block))).collect();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where the last block ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn place(&self, block: usize) -> Option<BlockPlace> {
        let entry = self.entries.get(block)?;
        Some(BlockPlace {
            offset: entry.offset,
            len: entry.len,
        })
    }

    /// The first block that can hold a row at or behind (`key`, `version`); the number of blocks if none can.
    pub(super) fn find(&self, key: &[u8], version: Version) -> usize {
        let common = self.key(0).get(..self.common).unwrap_or_default();
        let (start, rest) = key.split_at(common.len().min(key.len()));
        match start.cmp(common) {
            Ordering::Less => return 0,
            Ordering::Greater => return self.entries.len(),
            Ordering::Equal => {}
        }
        let wanted = head(rest);
        let mut low = self.heads.partition_point(|head| *head < wanted);
        let mut high = self.heads.partition_point(|head| *head <= wanted);
        while low < high {
            let middle = low.midpoint(high);
            if self.order(middle, key, version) == Ordering::Less {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// How the place of a block stands to another.
    fn order(&self, block: usize, key: &[u8], version: Version) -> Ordering {
        let own_version = self
            .entries
            .get(block)
            .map_or(Version::ZERO, |entry| entry.version);
        row_order(self.key(block).cmp(key), own_version, version)
    }

    /// The key of the place of a block.
    fn key(&self, block: usize) -> &[u8] {
        let end_of = |block: usize| self.entries.get(block).map_or(0, |entry| entry.key_end as usize);
        let start = block.checked_sub(1).map_or(0, end_of);
        self.keys.get(start..end_of(block)).unwrap_or_default()
    }

    /// Bytes of memory it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        let heads = self.heads.capacity() * size_of::<u64>();
        self.entries.capacity() * size_of::<Entry>() + self.keys.capacity() + heads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_separator_stands_between(
            a in proptest::collection::vec(0_u8..3, 0..6),
            b in proptest::collection::vec(0_u8..3, 0..6),
        ) {
            prop_assume!(a != b);
            let (last, next) = if a < b { (a, b) } else { (b, a) };
            let separator = separator(&last, &next);
            prop_assert!(last <= separator && separator < next, "{separator:?}");
            prop_assert!(separator.len() <= last.len().max(common_len(&last, &next) + 1));
        }

        /// Keys of which many begin alike, some longer than a head, some with many versions.
        #[test]
        fn the_block_found_is_the_first_that_is_not_before(
            prefix in proptest::collection::vec(any::<u8>(), 0..12),
            rows in proptest::collection::btree_set(
                (proptest::collection::vec(0_u8..3, 0..11), 0_u64..5), 1..40),
            wanted in proptest::collection::vec(
                (proptest::collection::vec(0_u8..3, 0..11), 0_u64..6, any::<bool>()), 1..40),
        ) {
            let whole = |key: &[u8]| [b"\0", &prefix[..], key].concat();
            let mut places: Vec<_> = rows.iter().map(|(key, version)| (whole(key), *version)).collect();
            places.sort_by(|a, b| row_order(a.0.cmp(&b.0), Version(a.1), Version(b.1)));
            let mut builder = SparseBuilder::default();
            for (key, version) in &places {
                // The same key again keeps key and version as they are.
                builder.push(100, (key, Version(*version)), Some(key)).unwrap();
            }
            let blocks = builder.blocks();
            let index = SparseIndex::decode(builder.finish(), blocks).unwrap();
            for (key, version, alone) in &wanted {
                let key = if *alone { key.clone() } else { whole(key) };
                let before = |(own, at): &&(Vec<u8>, u64)| {
                    row_order(own.as_slice().cmp(&key), Version(*at), Version(*version)).is_lt()
                };
                let expected = places.iter().take_while(before).count();
                prop_assert_eq!(index.find(&key, Version(*version)), expected, "{:?} {}", key, version);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, blocks in 0_u32..20) {
            if let Some(index) = SparseIndex::decode(bytes, blocks) {
                prop_assert!(index.find(b"\0k", Version(1)) <= index.len());
            }
        }
    }

    #[test]
    fn a_long_key_that_ends_a_block_leaves_little_in_the_index() {
        let (last, next) = (
            [&b"\0a"[..], &[b'x'; 4000]].concat(),
            [&b"\0b"[..], &[b'x'; 4000]].concat(),
        );
        assert_eq!(separator(&last, &next), b"\0b");
    }
}
