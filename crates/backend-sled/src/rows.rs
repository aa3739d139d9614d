//! The rows as the state machine sees them while one entry is applied: sled answers, and both sled and the native rows get
//! what it changes.

use std::ops::Bound;

use atoll_kv::{StateView, Stored, ValueSlice};
use atoll_state::{NativeRows, Stop};
use atoll_storage::unpack;
use atoll_types::limits::INLINE_VALUE_BYTES_MAX;
use atoll_types::{Key, Version};
use bytes::Bytes;

use crate::SledError;
use crate::row::StoredRow;
use crate::table::{Changes, Table};

/// Rows of sled, and over them what the entry has changed so far.
pub(crate) struct SledRows<'a> {
    native: NativeRows<'a>,
    table: &'a Table,
    changes: &'a mut Changes,
    /// Why answers given since cannot be believed.
    trouble: Option<Stop>,
}

impl<'a> SledRows<'a> {
    pub(crate) fn new(native: NativeRows<'a>, table: &'a Table, changes: &'a mut Changes) -> Self {
        Self {
            native,
            table,
            changes,
            trouble: None,
        }
    }

    /// Whether everything that was said and written can be believed.
    pub(crate) fn finish(self) -> Result<(), Stop> {
        self.native.finish()?;
        self.trouble.map_or(Ok(()), Err)
    }

    fn believe<T: Default>(&mut self, result: Result<T, SledError>) -> T {
        result.unwrap_or_else(|error| {
            self.trouble.get_or_insert(error.into());
            T::default()
        })
    }

    fn row(&mut self, key: &[u8]) -> Option<StoredRow> {
        if let Some(changed) = self.changes.get(key) {
            return changed.clone();
        }
        let found = self.table.get(key);
        self.believe(found)
    }

    /// Calls `each` with the keys that exist in a range, in order, until it answers false.
    fn each_key(&mut self, start: &[u8], end: &[u8], mut each: impl FnMut(&[u8], Version) -> bool) {
        if !end.is_empty() && end <= start {
            return;
        }
        let to = if end.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(end)
        };
        let changes = &*self.changes;
        let mut changed = changes.range::<[u8], _>((Bound::Included(start), to)).peekable();
        let mut goes_on = true;
        let walked = self.table.each((start, end), false, |key, row| {
            let key = key.as_bytes();
            while let Some((before, row)) = changed.next_if(|(changed, _)| &changed[..] < key) {
                goes_on = goes_on && row.as_ref().is_none_or(|row| each(before, row.version));
            }
            let now = changed.next_if(|(changed, _)| &changed[..] == key);
            let now = now.map_or(Some(row.version), |(_, row)| row.as_ref().map(|row| row.version));
            goes_on = goes_on && now.is_none_or(|version| each(key, version));
            goes_on
        });
        for (key, row) in changed {
            goes_on = goes_on && row.as_ref().is_none_or(|row| each(key, row.version));
        }
        self.believe(walked);
    }

    fn set(&mut self, key: &[u8], version: Version, value: &[u8], vcrc: u32) {
        let row = StoredRow {
            version,
            vcrc,
            value: Bytes::copy_from_slice(value),
        };
        self.changes.insert(key.to_vec(), Some(row));
    }
}

impl StateView for SledRows<'_> {
    fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        self.row(key).map(|row| row.version)
    }

    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        let mut newest = None;
        self.each_key(start, end, |_, version| {
            newest = newest.max(Some(version));
            true
        });
        newest
    }

    fn stored(&mut self, key: &[u8]) -> Option<Stored> {
        let row = self.row(key)?;
        Some(if row.value.len() <= INLINE_VALUE_BYTES_MAX {
            Stored::short(&row.value, row.vcrc)
        } else {
            Stored::long(row.value.len(), row.vcrc)
        })
    }

    fn keys_in(&mut self, start: &[u8], end: &[u8], limit: usize) -> Vec<Key> {
        let mut keys = Vec::new();
        if limit > 0 {
            self.each_key(start, end, |key, _| {
                keys.push(Key::from_unchecked(key));
                keys.len() < limit
            });
        }
        keys
    }

    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>) {
        self.native.put(key, version, value);
        if let Some(bytes) = unpack(value.codec, value.bytes, value.len as usize) {
            self.set(key, version, &bytes, value.vcrc);
            return;
        }
        let key = key.escape_ascii();
        let reason = format!("what the value of key \"{key}\" is packed in is no value");
        self.trouble.get_or_insert(Stop(reason));
    }

    fn put_number(&mut self, key: &[u8], version: Version, text: &[u8], vcrc: u32) {
        self.native.put_number(key, version, text, vcrc);
        self.set(key, version, text, vcrc);
    }

    fn append(&mut self, key: &[u8], version: Version, suffix: ValueSlice<'_>, vcrc: u32) {
        self.native.append(key, version, suffix, vcrc);
        let old = self.row(key).map(|row| row.value).unwrap_or_default();
        self.set(key, version, &[&old, suffix.bytes].concat(), vcrc);
    }

    fn delete(&mut self, key: &[u8], version: Version) {
        self.native.delete(key, version);
        self.changes.insert(key.to_vec(), None);
    }
}
