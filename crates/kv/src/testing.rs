//! Rows in a plain map, for tests.

use std::collections::BTreeMap;
use std::ops::Bound;

use atoll_types::Version;

use crate::{StateView, ValueSlice};

/// The smallest honest [`StateView`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapState {
    /// Every key that exists, with version and value.
    pub rows: BTreeMap<Vec<u8>, (Version, Vec<u8>)>,
}

impl StateView for MapState {
    fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        self.rows.get(key).map(|(version, _)| *version)
    }

    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        if !end.is_empty() && end <= start {
            return None;
        }
        let end = if end.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(end)
        };
        let rows = self.rows.range::<[u8], _>((Bound::Included(start), end));
        rows.map(|(_, (version, _))| *version).max()
    }

    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>) {
        self.rows.insert(key.to_vec(), (version, value.bytes.to_vec()));
    }

    fn delete(&mut self, key: &[u8], _version: Version) {
        self.rows.remove(key);
    }
}
