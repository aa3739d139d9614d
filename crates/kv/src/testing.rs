//! Rows in a plain map, for tests.

use std::collections::BTreeMap;
use std::ops::Bound;

use atoll_types::{Codec, Key, Version};

use crate::{StateView, Stored, ValueSlice, value_crc};

/// The smallest honest [`StateView`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapState {
    /// Every key that exists, with version and value.
    pub rows: BTreeMap<Vec<u8>, (Version, Vec<u8>)>,
    /// Of the keys whose value is packed: its length and sum. Nobody here unpacks; `rows` has what is stored.
    pub packed: BTreeMap<Vec<u8>, (usize, u32)>,
    /// How often a sum was not that of its key and value. Stays 0 as long as the operations of every command
    /// are on distinct keys.
    pub wrong_sums: usize,
}

/// A row of the map.
type Row<'a> = (&'a Vec<u8>, &'a (Version, Vec<u8>));

impl MapState {
    fn set(&mut self, key: &[u8], version: Version, value: Vec<u8>, vcrc: u32) {
        self.wrong_sums += usize::from(value_crc(key, &value) != vcrc);
        self.packed.remove(key);
        self.rows.insert(key.to_vec(), (version, value));
    }

    fn range(&self, start: &[u8], end: &[u8]) -> impl Iterator<Item = Row<'_>> {
        let turned = !end.is_empty() && end <= start;
        let to = match end {
            [] => Bound::Unbounded,
            _ if turned => Bound::Excluded(start),
            end => Bound::Excluded(end),
        };
        // A map panics on a range that is turned around.
        self.rows.range::<[u8], _>((Bound::Included(start), to))
    }
}

impl StateView for MapState {
    fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        self.rows.get(key).map(|(version, _)| *version)
    }

    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        self.range(start, end).map(|(_, (version, _))| *version).max()
    }

    fn stored(&mut self, key: &[u8]) -> Option<Stored> {
        let (_, value) = self.rows.get(key)?;
        if let Some((len, vcrc)) = self.packed.get(key) {
            return Some(Stored::long(*len, *vcrc));
        }
        let vcrc = value_crc(key, value);
        Some(if value.len() <= 64 {
            Stored::short(value, vcrc)
        } else {
            Stored::long(value.len(), vcrc)
        })
    }

    fn keys_in(&mut self, start: &[u8], end: &[u8], limit: usize) -> Vec<Key> {
        let keys = self.range(start, end).map(|(key, _)| Key::from_unchecked(key));
        keys.take(limit).collect()
    }

    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>) {
        if value.codec == Codec::None {
            return self.set(key, version, value.bytes.to_vec(), value.vcrc);
        }
        self.rows.insert(key.to_vec(), (version, value.bytes.to_vec()));
        self.packed.insert(key.to_vec(), (value.len as usize, value.vcrc));
    }

    fn put_number(&mut self, key: &[u8], version: Version, text: &[u8], vcrc: u32) {
        self.set(key, version, text.to_vec(), vcrc);
    }

    fn append(&mut self, key: &[u8], version: Version, suffix: ValueSlice<'_>, vcrc: u32) {
        self.wrong_sums += usize::from(value_crc(key, suffix.bytes) != suffix.vcrc);
        let (_, mut value) = self.rows.remove(key).unwrap_or_default();
        value.extend_from_slice(suffix.bytes);
        if let Some((len, sum)) = self.packed.get_mut(key) {
            (*len, *sum) = (*len + suffix.bytes.len(), vcrc);
            self.rows.insert(key.to_vec(), (version, value));
        } else {
            self.set(key, version, value, vcrc);
        }
    }

    fn delete(&mut self, key: &[u8], _version: Version) {
        self.rows.remove(key);
        self.packed.remove(key);
    }
}
