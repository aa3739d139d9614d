//! One group's rows in the cache.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use atoll_types::Version;
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHasher;

use super::cache::RowCache;

/// Locks of a group. A row is refused if another key of its stripe changed while it was read, so with few of them a group
/// that is written to would keep little; each takes 16 bytes.
const STRIPES: usize = 512;

/// The rows of one state of a group. A cheap handle; by default without a cache.
#[derive(Clone, Default)]
pub(crate) struct GroupRows(Option<Arc<Inner>>);

struct Inner {
    cache: Arc<RowCache>,
    space: u64,
    stripes: Box<[Mutex<Stripe>]>,
}

/// What is known of the keys of one hash.
#[derive(Clone, Copy, Default)]
struct Stripe {
    /// The newest change of any of them; `None`: none was changed since this state began.
    changed: Option<Version>,
    /// A row was put in.
    filled: bool,
}

impl GroupRows {
    /// Nothing yet of a state that no other handle is of.
    pub(crate) fn new(cache: Option<&Arc<RowCache>>) -> Self {
        Self(cache.map(|cache| {
            let stripes = std::iter::repeat_with(Mutex::default).take(STRIPES);
            Arc::new(Inner {
                space: cache.register(),
                cache: cache.clone(),
                stripes: stripes.collect(),
            })
        }))
    }

    /// A row of a key that a view at this version sees, whatever its memory has.
    pub(crate) fn get(&self, key: &[u8], at: Version) -> Option<(Version, Bytes)> {
        let inner = self.0.as_ref()?;
        inner.cache.get(inner.space, key, |version| version <= at)
    }

    /// The value of this very row.
    pub(crate) fn value(&self, key: &[u8], version: Version) -> Option<Bytes> {
        let inner = self.0.as_ref()?;
        let found = inner.cache.get(inner.space, key, |found| found == version);
        found.map(|(_, bytes)| bytes)
    }

    /// Keeps a row that a view at version `seen_at` sees, if the key was not changed since. `row` is its version, the sum of key
    /// and value, and the value.
    pub(crate) fn keep(&self, key: &[u8], row: (Version, u32, &[u8]), seen_at: Version) {
        let Some(inner) = &self.0 else { return };
        inner.cache.count_miss();
        if !inner.cache.takes(inner.space, key, row.2) {
            return;
        }
        let Some(mut stripe) = inner.stripe(key) else {
            return;
        };
        if stripe.changed.is_some_and(|changed| changed > seen_at) {
            return;
        }
        inner.put(&mut stripe, key, row);
    }

    /// A key gets a row of this version, which no view sees yet.
    pub(crate) fn forget(&self, key: &[u8], version: Version) {
        let Some(inner) = &self.0 else { return };
        let Some(mut stripe) = inner.stripe(key) else {
            return;
        };
        stripe.changed = stripe.changed.max(Some(version));
        if stripe.filled {
            inner.cache.forget(inner.space, key);
        }
    }
}

impl Inner {
    /// Takes the stripe, held since the look at its changes: or one could come in between and not find the row.
    fn put(&self, stripe: &mut Stripe, key: &[u8], row: (Version, u32, &[u8])) {
        stripe.filled = true;
        self.cache.insert(self.space, key, row);
    }

    fn stripe(&self, key: &[u8]) -> Option<parking_lot::MutexGuard<'_, Stripe>> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(key) >> 32;
        let stripe = self.stripes.get(hash as usize % STRIPES);
        stripe.map(Mutex::lock)
    }
}
