//! The rows.
//!
//! A row takes 28 bytes beside its key: newest version, packed value, and the number of its older
//! versions in an arena (almost always none). References to values are laid into 16 bytes by hand: there are
//! millions of rows. What it takes beyond that to name a value that is packed stands in another arena.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use atoll_types::{Key, Version};

use super::arena::{Arena, InlineArena};
use super::joined::Joined;
use super::places::Places;
use super::reach::Reach;
use super::value::{InlineValue, ValueRef};

/// No older version.
const NONE: u32 = u32::MAX;
/// The upper bits of [`Packed::len`] say what it is; values end far below.
const KIND: u32 = 0b11 << 30;
const INLINE: u32 = 0b01 << 30;
const TOMBSTONE: u32 = 0b10 << 30;
const JOINED: u32 = 0b11 << 30;

/// A [`ValueRef`] or the absence of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed {
    /// Segment, or place in an arena.
    first: u32,
    /// In the segment, or place in an arena.
    offset: u32,
    len: u32,
    vcrc: u32,
}

impl Packed {
    const fn is_tombstone(self) -> bool {
        self.len & KIND == TOMBSTONE
    }

    const fn inline_len(self) -> Option<usize> {
        if self.len & KIND == INLINE {
            Some((self.len & !KIND) as usize)
        } else {
            None
        }
    }

    const fn is_joined(self) -> bool {
        self.len & KIND == JOINED
    }
}

/// Two halves, so that a row needs no padding beside its other fields of four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Halves([u32; 2]);

impl Halves {
    const fn of(version: Version) -> Self {
        Self([(version.0 >> 32) as u32, version.0 as u32])
    }

    const fn version(self) -> Version {
        let [high, low] = self.0;
        Version((high as u64) << 32 | low as u64)
    }
}

#[derive(Clone, Copy)]
struct Row {
    version: Halves,
    value: Packed,
    /// The next older version, in [`Tree::older`].
    older: u32,
}

const _: () = assert!(size_of::<Row>() == 28);

/// Tree of keys with everything rows refer to.
#[derive(Default)]
pub(crate) struct Tree {
    rows: BTreeMap<Key, Row>,
    older: Arena<Row>,
    inline: InlineArena,
    joined: Arena<Option<Arc<Joined>>>,
    places: Places,
    joined_bytes: usize,
    tombstones: usize,
    key_heap_bytes: usize,
    /// There are layers below, from which only a tombstone hides a key.
    above_others: bool,
    /// Where values put here so far point, also those that are gone again.
    reach: Reach,
}

/// A version of a row that a reader may see; `None` is a deletion.
pub(crate) type Seen = (Version, Option<ValueRef>);

impl Tree {
    /// An empty tree above layers that may have any key: its tombstones stay.
    pub(crate) fn above_others() -> Self {
        Self {
            above_others: true,
            ..Self::default()
        }
    }

    /// Where its rows point, or pointed.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Rows, deleted ones included.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn live(&self) -> usize {
        self.rows.len() - self.tombstones
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        // Nodes of a BTreeMap filled in no particular order are about 70 % full.
        let nodes = self.rows.len() * (size_of::<Key>() + size_of::<Row>()) * 10 / 7;
        let arenas = self.older.memory_bytes() + self.inline.memory_bytes() + self.joined.memory_bytes();
        let arenas = arenas + self.places.memory_bytes();
        nodes + self.key_heap_bytes + arenas + self.joined_bytes
    }

    /// Puts a version of a key on top. With `keep`, what it replaces stays readable if it is not above
    /// that version, the newest one that any view is of; returns true if there is something to prune later.
    pub(crate) fn set(
        &mut self,
        key: &[u8],
        version: Version,
        value: Option<&ValueRef>,
        keep: Option<Version>,
    ) -> bool {
        if let Some(value) = value {
            self.reach.add(value);
        }
        let packed = self.pack(value);
        let Some(row) = self.rows.get_mut(key) else {
            if value.is_some() || self.above_others {
                self.tombstones += usize::from(packed.is_tombstone());
                let key = Key::from_unchecked(key);
                self.key_heap_bytes += key.heap_bytes();
                self.rows.insert(
                    key,
                    Row {
                        version: Halves::of(version),
                        value: packed,
                        older: NONE,
                    },
                );
            }
            return false;
        };
        let old = *row;
        debug_assert!(old.version.version() < version, "versions of a key grow");
        self.tombstones += usize::from(packed.is_tombstone());
        self.tombstones -= usize::from(old.value.is_tombstone());
        // One that came with the entry itself is seen by nobody, ever; a key may have thousands.
        let keep = keep.is_some_and(|seen| old.version.version() <= seen);
        let older = if keep { self.older.insert(old) } else { old.older };
        *row = Row {
            version: Halves::of(version),
            value: packed,
            older,
        };
        if !keep {
            self.free(old.value);
        }
        let leave = packed.is_tombstone() && older == NONE && !self.above_others;
        if leave {
            self.remove(key);
        }
        older != NONE
    }

    /// Drops versions of a key that neither `pins` (ascending) nor the newest point of view see.
    /// Returns true if some stay, for a later try.
    pub(crate) fn prune(&mut self, key: &[u8], pins: &[Version]) -> bool {
        let Some(row) = self.rows.get(key).copied() else {
            return false;
        };
        // A pin between a version and the next newer one sees the older.
        let mut newer = row.version.version();
        let mut kept = Vec::new();
        let mut next = row.older;
        while let Some(old) = self.older.get(next).copied() {
            let version = old.version.version();
            if pins.iter().any(|pin| version <= *pin && *pin < newer) {
                kept.push(old);
            } else {
                self.free(old.value);
            }
            self.older.remove(next);
            newer = version;
            next = old.older;
        }
        let older = kept
            .into_iter()
            .rev()
            .fold(NONE, |older, old| self.older.insert(Row { older, ..old }));
        if let Some(row) = self.rows.get_mut(key) {
            row.older = older;
        }
        if row.value.is_tombstone() && older == NONE && !self.above_others {
            self.remove(key);
        }
        older != NONE
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((key, row)) = self.rows.remove_entry(key) {
            debug_assert!(row.older == NONE, "a row goes after its older versions");
            self.key_heap_bytes -= key.heap_bytes();
            self.tombstones -= usize::from(row.value.is_tombstone());
            self.free(row.value);
        }
    }

    /// What a reader at `at` sees of a key.
    pub(crate) fn get(&self, key: &[u8], at: Version) -> Option<Seen> {
        self.seen(self.rows.get(key)?, at)
    }

    /// Rows of a range, from either end.
    pub(crate) fn range<'a>(
        &'a self,
        bounds: (Bound<&'a [u8]>, Bound<&'a [u8]>),
        at: Version,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, Option<Seen>)> {
        self.rows
            .range::<[u8], _>(bounds)
            .map(move |(key, row)| (key, self.seen(row, at)))
    }

    /// Keys of a range, from either end, with the version seen and whether it is a value's.
    pub(crate) fn range_of_keys<'a>(
        &'a self,
        bounds: (Bound<&'a [u8]>, Bound<&'a [u8]>),
        at: Version,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, Option<(Version, Option<()>)>)> {
        let seen = move |row| {
            let row = self.row_at(row, at)?;
            Some((row.version.version(), (!row.value.is_tombstone()).then_some(())))
        };
        self.rows
            .range::<[u8], _>(bounds)
            .map(move |(key, row)| (key, seen(row)))
    }

    fn seen(&self, row: &Row, at: Version) -> Option<Seen> {
        let row = self.row_at(row, at)?;
        Some((row.version.version(), self.unpack(row.value)))
    }

    /// The version of a row that a reader at `at` sees.
    fn row_at(&self, row: &Row, at: Version) -> Option<Row> {
        let mut row = *row;
        while row.version.version() > at {
            row = *self.older.get(row.older)?;
        }
        Some(row)
    }

    fn pack(&mut self, value: Option<&ValueRef>) -> Packed {
        match value {
            None => Packed {
                first: 0,
                offset: 0,
                len: TOMBSTONE,
                vcrc: 0,
            },
            Some(ValueRef::Journal(pointer)) => {
                let (offset, len) = self.places.lay(pointer);
                debug_assert_eq!(len & KIND, 0, "a value is far smaller");
                Packed {
                    first: pointer.segment,
                    offset,
                    len: len & !KIND,
                    vcrc: pointer.vcrc,
                }
            }
            Some(ValueRef::Inline(value)) => {
                let bytes = value.as_bytes();
                let first = self.inline.insert(bytes);
                Packed {
                    first,
                    offset: 0,
                    len: INLINE | bytes.len() as u32,
                    vcrc: value.vcrc(),
                }
            }
            Some(ValueRef::Joined(value)) => self.pack_joined(value.clone()),
            // Five fields do not fit into a row, and few rows of a tree have them.
            Some(ValueRef::Filed(pointer)) => self.pack_joined(Joined::of_filed(*pointer).into()),
        }
    }

    fn pack_joined(&mut self, value: Arc<Joined>) -> Packed {
        debug_assert_eq!(value.len() & KIND, 0, "a value is far smaller");
        self.joined_bytes += value.memory_bytes();
        Packed {
            offset: 0,
            len: JOINED | value.len(),
            vcrc: value.vcrc(),
            first: self.joined.insert(Some(value)),
        }
    }

    fn unpack(&self, packed: Packed) -> Option<ValueRef> {
        let Packed {
            first,
            offset,
            len,
            vcrc,
        } = packed;
        if packed.is_tombstone() {
            return None;
        }
        if packed.is_joined() {
            let value = self.joined.get(first).and_then(Option::as_ref);
            let value = value.expect("a row's joined value lives as long as the row");
            return Some(match value.as_filed() {
                Some(pointer) => ValueRef::Filed(pointer),
                None => ValueRef::Joined(value.clone()),
            });
        }
        let Some(inline_len) = packed.inline_len() else {
            let pointer = self.places.pointer(first, (offset, len), vcrc);
            return Some(ValueRef::Journal(pointer));
        };
        let bytes = self
            .inline
            .get(first, inline_len)
            .expect("a row's inline value lives as long as the row");
        InlineValue::new(bytes, vcrc).map(ValueRef::Inline)
    }

    fn free(&mut self, packed: Packed) {
        if let Some(len) = packed.inline_len() {
            self.inline.remove(packed.first, len);
        }
        if packed.len & KIND == 0 {
            self.places.free((packed.offset, packed.len));
        }
        if packed.is_joined()
            && let Some(place) = self.joined.place(packed.first)
        {
            self.joined_bytes -= place.take().map_or(0, |value| value.memory_bytes());
            self.joined.remove(packed.first);
        }
    }

    /// Versions, inline and joined values held, for tests of pruning.
    #[cfg(test)]
    pub(crate) fn held(&self) -> [usize; 5] {
        let (inline, joined) = (self.inline.len(), self.joined.len());
        let places = self.places.len();
        [self.rows.len(), self.older.len(), inline, joined, places]
    }

    /// Bytes held by joined values.
    #[cfg(test)]
    pub(crate) fn joined_bytes(&self) -> usize {
        self.joined_bytes
    }
}
