//! The rows.
//!
//! A row takes 28 bytes beside its key: newest version, packed value, and the number of its older
//! versions in an arena (almost always none). References to values are laid into 16 bytes by hand: there are
//! millions of rows. What it takes beyond that to name a value that is packed stands in another arena (`places`). Versions that
//! history keeps stand beside the rows (`past`).

mod arena;
mod packed;
mod past;
mod places;
mod presence;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use atoll_types::{Key, Version};

use super::joined::Joined;
use super::reach::Reach;
use super::value::{InlineValue, ValueRef};
use arena::{Arena, InlineArena};
use packed::{Halves, INLINE, JOINED, KIND, Packed, TOMBSTONE};
use past::Past;
use places::Places;
use presence::{Mark, Presence};

/// No older version.
const NONE: u32 = u32::MAX;

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
    /// Every key of `rows`, and some that are gone.
    presence: Presence,
    older: Arena<Row>,
    /// Replaced versions while history is kept; they stay as long as the tree.
    past: Past,
    /// What is replaced from now on goes there.
    keeps_past: bool,
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
        let arenas = arenas + self.places.memory_bytes() + self.past.memory_bytes();
        let arenas = arenas + self.presence.memory_bytes();
        nodes + self.key_heap_bytes + arenas + self.joined_bytes
    }

    /// Whether every version that is replaced from now on stays readable, as long as the tree is there.
    pub(crate) fn keep_past(&mut self, keeps: bool) {
        self.keeps_past = keeps;
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
        let owned = Key::from_unchecked(key);
        let mark = Mark::of(key);
        let there = self.presence.may_hold(mark).then(|| self.rows.get_mut(&owned));
        let Some(Some(row)) = there else {
            if value.is_some() || self.above_others {
                self.tombstones += usize::from(packed.is_tombstone());
                self.key_heap_bytes += owned.heap_bytes();
                self.presence.add(mark);
                self.rows.insert(
                    owned,
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
        if self.keeps_past {
            self.past.push(key, old.version.version(), old.value);
            *row = Row {
                version: Halves::of(version),
                value: packed,
                older: old.older,
            };
            return old.older != NONE;
        }
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
        if leave && self.past.is_empty() {
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
        let leave = row.value.is_tombstone() && older == NONE && !self.above_others;
        if leave && self.past.is_empty() {
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
        if self.rows.is_empty() {
            self.presence.clear();
        }
    }

    /// What a reader at `at` sees of a key.
    pub(crate) fn get(&self, key: &[u8], at: Version) -> Option<Seen> {
        if !self.presence.may_hold(Mark::of(key)) {
            return None;
        }
        // Keys are compared faster with keys than with bytes.
        self.seen(key, self.rows.get(&Key::from_unchecked(key))?, at)
    }

    /// Rows of a range, from either end.
    pub(crate) fn range<'a>(
        &'a self,
        bounds: (Bound<&'a [u8]>, Bound<&'a [u8]>),
        at: Version,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, Option<Seen>)> {
        self.rows
            .range::<[u8], _>(bounds)
            .map(move |(key, row)| (key, self.seen(key.as_bytes(), row, at)))
    }

    /// Keys of a range, from either end, with the version seen and whether it is a value's.
    pub(crate) fn range_of_keys<'a>(
        &'a self,
        bounds: (Bound<&'a [u8]>, Bound<&'a [u8]>),
        at: Version,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, Option<(Version, Option<()>)>)> {
        let seen = move |key: &Key, row| {
            let (version, value) = self.version_at(key.as_bytes(), row, at)?;
            Some((version, (!value.is_tombstone()).then_some(())))
        };
        self.rows
            .range::<[u8], _>(bounds)
            .map(move |(key, row)| (key, seen(key, row)))
    }

    /// Rows of keys, behind a version of a key if one is given: of each key the newest and what is older of it, newest
    /// first, as far as anybody who reads at `horizon` or above sees it.
    pub(crate) fn versions<'a>(
        &'a self,
        behind: Option<(&'a Key, Version)>,
        horizon: Version,
    ) -> impl Iterator<Item = (&'a Key, Seen)> {
        let rest = behind.map(|(key, newer)| (key, self.past.needed(key.as_bytes(), newer, horizon)));
        let rest = rest.into_iter();
        let rest = rest.flat_map(|(key, older)| older.map(move |(version, value)| (key, version, value)));
        let from = behind.map_or(Bound::Unbounded, |(key, _)| Bound::Excluded(key.as_bytes()));
        let keys = self.rows.range::<[u8], _>((from, Bound::Unbounded));
        let all = keys.flat_map(move |(key, row)| {
            let newest = row.version.version();
            let older = self.past.needed(key.as_bytes(), newest, horizon);
            let rows = std::iter::once((newest, row.value)).chain(older);
            rows.map(move |(version, value)| (key, version, value))
        });
        rest.chain(all)
            .map(|(key, version, value)| (key, (version, self.unpack(value))))
    }

    fn seen(&self, key: &[u8], row: &Row, at: Version) -> Option<Seen> {
        let (version, value) = self.version_at(key, row, at)?;
        Some((version, self.unpack(value)))
    }

    /// The version of a row that a reader at `at` sees.
    fn version_at(&self, key: &[u8], row: &Row, at: Version) -> Option<(Version, Packed)> {
        let newest = row.version.version();
        if newest <= at {
            return Some((newest, row.value));
        }
        let mut next = row.older;
        let mut held = None;
        while let (None, Some(old)) = (held, self.older.get(next)) {
            let version = old.version.version();
            held = (version <= at).then_some((version, old.value));
            next = old.older;
        }
        // History may have come and gone while the row was written to: either may have the newer one.
        match (held, self.past.at(key, at)) {
            (Some(held), Some(past)) => Some(if held.0 > past.0 { held } else { past }),
            (held, past) => held.or(past),
        }
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
