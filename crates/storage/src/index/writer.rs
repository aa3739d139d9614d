//! The apply side.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::ops::Bound;
use std::sync::Arc;

use atoll_types::{Key, Mutant, Version, mutant};
use rustc_hash::FxHasher;

use super::below::Missed;
use super::keys::Keys;
use super::layers::Layers;
use super::memory::Memory;
use super::published::Keeping;
use super::tree::Tree;
use super::value::ValueRef;
use super::{GroupIndex, SLICE_ROWS};

/// Keys left from earlier entries that are looked at again per published entry, besides as many as the
/// entry itself may leave.
const OLD_ROWS_PER_ENTRY: usize = 64;

/// Writes rows of one entry after the other. Rows gather in a slice of its own and go into the tree
/// 64 at a time; an entry of one slice becomes visible in the same step.
pub struct IndexWriter {
    index: GroupIndex,
    /// What is written to: that of the layers when the entry began. Only the writer changes it.
    active: Arc<Memory>,
    /// The layers when the entry began, or when it was first asked about older rows. Held until the entry is
    /// published: what is put may point where an older row pointed, and until it is put, only the layers that row was
    /// found in keep that place (`living`). None between entries: an idle group must not hold on to a memory that is in
    /// a run by now, or to runs that were merged.
    layers: Option<Arc<Layers>>,
    /// Why an answer about older rows cannot be believed.
    trouble: Option<Missed>,
    /// Rows not in the tree yet.
    slice: Slice,
    /// The entry has rows in the tree that are not published.
    spilled: bool,
    /// Keys that hold more than their newest version.
    touched: Keys,
    /// The same, from earlier entries.
    left: BTreeSet<Box<[u8]>>,
    left_cursor: Box<[u8]>,
    keeping: Keeping,
}

impl IndexWriter {
    pub(crate) fn new(index: GroupIndex) -> Self {
        let active = index.layers().active.clone();
        let keeping = active.published.lock().keeping;
        Self {
            active,
            keeping,
            layers: None,
            index,
            trouble: None,
            slice: Slice::default(),
            spilled: false,
            touched: Keys::default(),
            left: BTreeSet::new(),
            left_cursor: Box::default(),
        }
    }

    /// Says what of older versions is kept from now on: every one that somebody sees who reads at `horizon` or above;
    /// `None`: none. To be said before the first entry after the group was opened or a snapshot was installed, else nothing that is in its
    /// files is dropped. Between two entries, or at the end of one. A horizon never goes down; one that comes anew, or
    /// again, is not below the group's last version.
    pub fn keep_history(&mut self, horizon: Option<Version>) {
        let keeping = horizon.map_or(Keeping::Newest, Keeping::Above);
        if self.keeping == keeping {
            return;
        }
        self.keeping = keeping;
        self.active.published.lock().keeping = keeping;
    }

    /// Starts an entry.
    pub fn begin(&mut self, rows_expected: usize) {
        debug_assert!(
            self.slice.rows.is_empty() && !self.spilled,
            "the entry before was published"
        );
        self.slice.rows.reserve(rows_expected.min(SLICE_ROWS));
        let layers = self.index.layers();
        self.follow(&layers);
        self.layers = Some(layers);
    }

    /// Lets go of the memory before if all layers were replaced. Between two entries.
    pub(crate) fn follow_index(&mut self) {
        // They were held if anybody asked about older rows since the last entry.
        self.layers = None;
        let layers = self.index.layers();
        self.follow(&layers);
    }

    fn follow(&mut self, layers: &Layers) {
        if !Arc::ptr_eq(&self.active, &layers.active) {
            self.enter(layers.active.clone());
        }
    }

    /// Writes to another memory from now on; the one before, which nobody writes to any more.
    fn enter(&mut self, active: Arc<Memory>) -> Arc<Memory> {
        // What older views see of the rows before goes with them.
        self.touched.clear();
        self.left.clear();
        self.left_cursor = Box::default();
        // Also what is kept of history: after an installation nobody has said it yet.
        self.keeping = active.published.lock().keeping;
        let before = std::mem::replace(&mut self.active, active);
        before.charge.freeze();
        before
    }

    fn layers(&mut self) -> Arc<Layers> {
        let index = &self.index;
        self.layers.get_or_insert_with(|| index.layers()).clone()
    }

    /// Why what was said of older rows since the last call cannot be believed: they stand on a disk and could not
    /// be read.
    pub fn take_trouble(&mut self) -> Option<Missed> {
        self.trouble.take()
    }

    /// Freezes the rows in memory, to be written to a run; a fresh memory begins. Between two entries, and only
    /// while nothing is frozen.
    pub(crate) fn freeze(&mut self) -> Arc<Memory> {
        debug_assert!(
            self.slice.rows.is_empty() && !self.spilled,
            "the entry before was published"
        );
        self.follow_index();
        self.index.replace(|layers| {
            debug_assert!(layers.frozen.is_none(), "one is frozen at a time");
            Layers {
                active: Arc::new(Memory::above(&layers.active)),
                frozen: Some(layers.active.clone()),
                below: layers.below.clone(),
            }
        });
        self.layers = None;
        let fresh = self.index.layers().active.clone();
        self.enter(fresh)
    }

    /// The newest version of a key, rows of the entry being applied included.
    pub fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        match self.slice.find(key) {
            Some(row) => row.value.is_some().then_some(row.version),
            None => self.older(key).map(|(version, _)| version),
        }
    }

    /// The newest version of any live key from `start` up to, without, `end` (empty: to the last key).
    pub fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        let mut newest = None;
        self.each_key(start, end, |_, version| {
            newest = newest.max(Some(version));
            true
        });
        newest
    }

    /// The first keys from `start` up to, without, `end` (empty: to the last key), at most `limit`, rows of
    /// the entry being applied included. The lock is held for 256 rows at a time.
    pub fn keys_in(&mut self, start: &[u8], end: &[u8], limit: usize) -> Vec<Key> {
        let mut keys = Vec::new();
        if limit > 0 {
            self.each_key(start, end, |key, _| {
                keys.push(Key::from_unchecked(key));
                keys.len() < limit
            });
        }
        keys
    }

    /// Calls `each` with the live keys of a range until it answers false.
    fn each_key(&mut self, start: &[u8], end: &[u8], mut each: impl FnMut(&[u8], Version) -> bool) {
        // Rare next to puts, so the slice need not answer it.
        self.spill();
        let layers = self.layers();
        let mut from = start.to_vec();
        let mut enough = false;
        while !enough {
            let mut live = |key: &[u8], version, there: Option<()>| {
                enough = there.is_some() && !each(key, version);
                !enough
            };
            let newest = Version(u64::MAX);
            let walked = layers.walk((&from, end), newest, (false, true), &mut live);
            match walked {
                Ok(walked) if walked.complete => return,
                Ok(walked) => match walked.last {
                    Some(last) => from = [last.as_bytes(), &[0]].concat(),
                    None => return,
                },
                Err(missed) => {
                    self.trouble.get_or_insert(missed);
                    return;
                }
            }
        }
    }

    /// Where the newest value of a key stands, rows of the entry being applied included.
    pub fn value_of(&mut self, key: &[u8]) -> Option<ValueRef> {
        match self.slice.find(key) {
            Some(row) if !mutant::is(Mutant::ComputedFromOld) => row.value.clone(),
            _ => self.older(key).map(|(_, value)| value),
        }
    }

    /// What is known of a key besides the rows that are not in the tree yet. Waits for a disk if need be.
    fn older(&mut self, key: &[u8]) -> Option<(Version, ValueRef)> {
        match self.layers().get(key, Version(u64::MAX), true) {
            Ok(seen) => seen.and_then(|(version, value)| Some((version, value?))),
            Err(missed) => {
                self.trouble.get_or_insert(missed);
                None
            }
        }
    }

    /// Bytes of memory that the rows not frozen take, about, counted for the node.
    pub(crate) fn count_bytes(&self) -> usize {
        let bytes = self.active.tree.read().memory_bytes();
        self.active.charge.set(bytes);
        bytes
    }

    /// Writes a row.
    pub fn put(&mut self, key: &[u8], version: Version, value: ValueRef) {
        self.set(key, version, Some(value));
    }

    /// Deletes a row.
    pub fn delete(&mut self, key: &[u8], version: Version) {
        self.set(key, version, None);
    }

    fn set(&mut self, key: &[u8], version: Version, value: Option<ValueRef>) {
        // Before the entry is published: from then on a view may ask for it.
        self.active.cached.forget(key, version);
        if self.slice.rows.len() == SLICE_ROWS {
            self.spill();
        }
        self.slice.push(key, version, value);
    }

    /// Makes the entry's rows visible, all at once. `version` is the group's last, which may be the
    /// same as before if the entry wrote nothing.
    pub fn publish(&mut self, version: Version, applied_index: u64) {
        {
            let mut tree = self.active.tree.write();
            let mut published = self.active.published.lock();
            debug_assert!(published.version <= version, "versions grow");
            // What a view made before this point sees must stay; with none, and nothing of the
            // entry in the tree yet, nobody can tell.
            let keep = (self.spilled || published.is_pinned()).then_some(published.version);
            tree.keep_past(self.keeping != Keeping::Newest);
            self.slice.write(&mut tree, keep, &mut self.touched);
            published.version = version;
            published.applied_index = applied_index;
        }
        self.slice.clear();
        self.spilled = false;
        self.layers = None;
        self.prune();
    }

    /// Writes the gathered rows into the tree, where only the writer sees them.
    fn spill(&mut self) {
        if self.slice.rows.is_empty() {
            return;
        }
        let mut tree = self.active.tree.write();
        let seen = self.active.published.lock().version;
        tree.keep_past(self.keeping != Keeping::Newest);
        self.slice.write(&mut tree, Some(seen), &mut self.touched);
        drop(tree);
        self.slice.clear();
        self.spilled = true;
    }

    /// Lets go of versions nobody can see any more: those of this entry's keys, and a few of those
    /// that views held on to before.
    fn prune(&mut self) {
        if self.touched.is_empty() && self.left.is_empty() {
            return;
        }
        let pins = self.active.published.lock().older_pins();
        self.prune_left(&pins);
        let mut keys = self.touched.iter().peekable();
        while keys.peek().is_some() {
            let mut tree = self.active.tree.write();
            let some = keys.by_ref().take(SLICE_ROWS);
            self.left
                .extend(some.filter(|key| tree.prune(key, &pins)).map(Box::from));
        }
        drop(keys);
        self.touched.clear();
    }

    /// Goes round the keys left from earlier entries, a few more at a time than this entry can add:
    /// with a reader at every moment each entry leaves all its keys, and they would gather without end.
    fn prune_left(&mut self, pins: &[Version]) {
        let most = OLD_ROWS_PER_ENTRY + self.touched.len();
        let from = (Bound::Excluded(&*self.left_cursor), Bound::Unbounded);
        let some: Vec<Box<[u8]>> = self.left.range::<[u8], _>(from).take(most).cloned().collect();
        self.left_cursor = some
            .last()
            .filter(|_| some.len() == most)
            .cloned()
            .unwrap_or_default();
        for slice in some.chunks(SLICE_ROWS) {
            let mut tree = self.active.tree.write();
            for key in slice.iter().filter(|key| !tree.prune(key, pins)) {
                self.left.remove(key);
            }
        }
    }
}

struct SliceRow {
    key_end: u32,
    key_len: u32,
    hash: u32,
    version: Version,
    value: Option<ValueRef>,
}

/// Rows on their way into the tree.
#[derive(Default)]
struct Slice {
    rows: Vec<SliceRow>,
    keys: Vec<u8>,
}

impl Slice {
    fn key(&self, row: &SliceRow) -> &[u8] {
        let end = row.key_end as usize;
        self.keys.get(end - row.key_len as usize..end).unwrap_or_default()
    }

    fn push(&mut self, key: &[u8], version: Version, value: Option<ValueRef>) {
        self.keys.extend_from_slice(key);
        let (key_end, key_len) = (self.keys.len() as u32, key.len() as u32);
        self.rows.push(SliceRow {
            key_end,
            key_len,
            hash: hash(key),
            version,
            value,
        });
    }

    /// Writes the rows into the tree and notes the keys that need pruning.
    fn write(&self, tree: &mut Tree, keep: Option<Version>, touched: &mut Keys) {
        for row in &self.rows {
            let key = self.key(row);
            if tree.set(key, row.version, row.value.as_ref(), keep) {
                touched.push(key);
            }
        }
    }

    /// The newest row of a key in here.
    fn find(&self, key: &[u8]) -> Option<&SliceRow> {
        let hash = hash(key);
        self.rows
            .iter()
            .rev()
            .find(|row| row.hash == hash && self.key(row) == key)
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.keys.clear();
    }
}

fn hash(key: &[u8]) -> u32 {
    (BuildHasherDefault::<FxHasher>::default().hash_one(key) >> 32) as u32
}
