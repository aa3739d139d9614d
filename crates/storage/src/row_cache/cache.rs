//! The rows of all groups of a node.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_types::{Key, Version};
use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, Weighter};
use rustc_hash::FxBuildHasher;

use super::admission::Admission;
use crate::journal::value_crc;

/// Larger values would push out many small ones, and their read costs little beside their transfer.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// About what an entry costs beside its bytes.
const ENTRY_OVERHEAD: u64 = 160;
/// For the size of the table at the start, which is memory that an idle node holds; it grows.
const FIRST_ROW_BYTES: usize = 8 * 1024;

/// A row's state of a group, and its key.
struct Name {
    space: u64,
    key: Key,
}

/// The same, borrowed.
struct Asked<'a> {
    space: u64,
    key: &'a [u8],
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.space.hash(state);
        self.key.hash(state);
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let key = self.key.as_bytes();
        Asked {
            space: self.space,
            key,
        }
        .hash(state);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.space == other.space && self.key == other.key
    }
}

impl Eq for Name {}

impl Equivalent<Name> for Asked<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.space == name.space && self.key == name.key.as_bytes()
    }
}

#[derive(Clone)]
struct Row {
    version: Version,
    vcrc: u32,
    bytes: Bytes,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Name, Row> for Weigh {
    fn weight(&self, name: &Name, row: &Row) -> u64 {
        (row.bytes.len() + name.key.heap_bytes()) as u64 + ENTRY_OVERHEAD
    }
}

/// Tells when rows begin to be let go of.
#[derive(Clone)]
struct WhenFull(Arc<Admission>);

impl Lifecycle<Name, Row> for WhenFull {
    /// What is let go of under the lock is freed behind it; mostly it is one row.
    type RequestState = Option<(Name, Row)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, name: Name, row: Row) {
        self.0.begin();
        *evicted = Some((name, row));
    }
}

/// Bounded by bytes. The hasher has no randomness of its own, so that runs of the simulator can be repeated.
pub struct RowCache {
    rows: Cache<Name, Row, Weigh, FxBuildHasher, WhenFull>,
    admission: Arc<Admission>,
    /// Spaces given out.
    spaces: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl RowCache {
    /// A cache of at most so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let items = bytes / FIRST_ROW_BYTES;
        let admission = Arc::new(Admission::new(bytes));
        let for_rows = bytes.saturating_sub(admission.bytes());
        Self {
            rows: Cache::with(
                items,
                for_rows as u64,
                Weigh,
                FxBuildHasher,
                WhenFull(admission.clone()),
            ),
            admission,
            spaces: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Rows found here so far.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Rows that had to be read from files, whether or not they were kept.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Bytes it takes now, about.
    pub fn memory_bytes(&self) -> u64 {
        self.rows.weight()
    }

    /// A number that no other state of a group has here.
    pub(super) fn register(&self) -> u64 {
        self.spaces.fetch_add(1, Ordering::Relaxed)
    }

    /// A row that suits the asker, by its version. Bytes that are not what was put in any more are gone then.
    pub(super) fn get(
        &self,
        space: u64,
        key: &[u8],
        suits: impl Fn(Version) -> bool,
    ) -> Option<(Version, Bytes)> {
        let found = self.rows.get(&Asked { space, key });
        let found = found.filter(|row| suits(row.version));
        // The disk is spared, not the check.
        let sound = found.filter(|row| {
            let sound = value_crc(key, &row.bytes) == row.vcrc;
            if !sound {
                self.remove(space, key);
            }
            sound
        });
        self.hits.fetch_add(u64::from(sound.is_some()), Ordering::Relaxed);
        sound.map(|row| (row.version, row.bytes))
    }

    /// A row was read from files.
    pub(super) fn count_miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// True if a row that was read is worth being kept.
    pub(super) fn takes(&self, space: u64, key: &[u8], value: &[u8]) -> bool {
        value.len() <= VALUE_BYTES_MAX && self.admission.takes(hash(space, key))
    }

    /// Puts a row in. The bytes are copied: they may be a part of something much longer.
    pub(super) fn insert(&self, space: u64, key: &[u8], (version, vcrc, value): (Version, u32, &[u8])) {
        let name = Name {
            space,
            key: Key::from_unchecked(key),
        };
        let bytes = Bytes::copy_from_slice(value);
        self.rows.insert(name, Row { version, vcrc, bytes });
    }

    /// A row changed. If it was here, it is worth being kept again.
    pub(super) fn forget(&self, space: u64, key: &[u8]) {
        if self.remove(space, key) {
            self.admission.expect(hash(space, key));
        }
    }

    fn remove(&self, space: u64, key: &[u8]) -> bool {
        self.rows.remove(&Asked { space, key }).is_some()
    }
}

fn hash(space: u64, key: &[u8]) -> u64 {
    FxBuildHasher.hash_one(Asked { space, key })
}
