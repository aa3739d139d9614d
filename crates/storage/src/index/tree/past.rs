//! Replaced versions that history keeps.
//!
//! They stand beside the rows, not in them: a key that is written a million times within the window has a million of
//! them, and neither a read at an old version nor the next write may walk over them. Without history this is empty and
//! nothing asks it for anything.

use std::collections::BTreeMap;

use atoll_types::{Key, Version};

use super::packed::Packed;

/// Bytes of an entry of a map beside what it holds, about: nodes are 70 % full.
const fn in_node(bytes: usize) -> usize {
    bytes * 10 / 7
}

/// Replaced versions of one memory's keys. They go with the memory, never before.
#[derive(Default)]
pub(super) struct Past {
    keys: BTreeMap<Key, BTreeMap<Version, Packed>>,
    versions: usize,
    key_heap_bytes: usize,
}

impl Past {
    pub(super) fn is_empty(&self) -> bool {
        self.versions == 0
    }

    /// Takes in a version of a key that was just replaced.
    pub(super) fn push(&mut self, key: &[u8], version: Version, value: Packed) {
        self.versions += 1;
        if let Some(versions) = self.keys.get_mut(key) {
            versions.insert(version, value);
            return;
        }
        let key = Key::from_unchecked(key);
        self.key_heap_bytes += key.heap_bytes();
        self.keys.insert(key, BTreeMap::from([(version, value)]));
    }

    /// The newest version of a key that is not above `at`.
    pub(super) fn at(&self, key: &[u8], at: Version) -> Option<(Version, Packed)> {
        if self.is_empty() {
            return None;
        }
        let versions = self.keys.get(key)?;
        let (version, value) = versions.range(..=at).next_back()?;
        Some((*version, *value))
    }

    /// Versions of a key below `newer`, newest first, as far as anybody who reads at `horizon` or above sees them.
    pub(super) fn needed<'p>(
        &'p self,
        key: &[u8],
        newer: Version,
        horizon: Version,
    ) -> impl Iterator<Item = (Version, Packed)> + use<'p> {
        let versions = if self.is_empty() { None } else { self.keys.get(key) };
        let mut newer = newer;
        let older = versions.into_iter().flat_map(move |all| all.range(..newer).rev());
        older.map_while(move |(version, value)| {
            let is_seen = newer > horizon;
            newer = *version;
            is_seen.then_some((*version, *value))
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let keys = self.keys.len() * in_node(size_of::<Key>() + size_of::<BTreeMap<Version, Packed>>());
        keys + self.key_heap_bytes + self.versions * in_node(size_of::<Version>() + size_of::<Packed>())
    }
}
