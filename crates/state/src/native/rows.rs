//! What apply means on the index: rows that point at the bytes the journal already holds.
//!
//! An appended value is a row of several such pieces. Values of at most 64 bytes stand in the row. Nothing here waits, but for
//! older rows that are in no cache.

use atoll_kv::{StateView, Stored, ValueSlice};
use atoll_storage::{GroupLog, IndexWriter, InlineValue, JournalPointer, Suffix, ValueRef};
use atoll_types::limits::{APPEND_MEMORY_BYTES_MAX, INLINE_VALUE_BYTES_MAX};
use atoll_types::{Key, LogId, Version};

use crate::{Entry, Stop};

/// The index as the state machine sees it while one entry is applied.
pub struct NativeRows<'a> {
    rows: &'a mut IndexWriter,
    log: &'a GroupLog,
    id: LogId,
    /// Why rows written since cannot be believed, so that the replica must stop.
    trouble: Option<String>,
}

impl<'a> NativeRows<'a> {
    pub(super) fn new(rows: &'a mut IndexWriter, entry: &Entry<'a>) -> Self {
        Self {
            rows,
            log: entry.log,
            id: entry.id,
            trouble: None,
        }
    }

    /// Whether everything that was said and written can be believed.
    pub fn finish(self) -> Result<(), Stop> {
        let unread = self.rows.take_trouble().map(|missed| missed.to_string());
        match self.trouble.or(unread) {
            Some(trouble) => Err(Stop(trouble)),
            None => Ok(()),
        }
    }

    /// Where a value of this entry stands. Without a place a row would point nowhere.
    fn place(&mut self, value: ValueSlice<'_>) -> Option<JournalPointer> {
        let stored_len = value.bytes.len() as u32;
        let place = self
            .log
            .pointer(self.id, value.offset_in_payload, stored_len, value.vcrc)
            .and_then(|place| place.packed(value.codec, value.len));
        if place.is_none() {
            self.stop("it is committed but not in this replica's journal");
        }
        place
    }

    fn stop(&mut self, why: impl Into<String>) {
        self.trouble.get_or_insert(why.into());
    }
}

impl StateView for NativeRows<'_> {
    fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        self.rows.version_of(key)
    }

    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        self.rows.newest_in(start, end)
    }

    fn stored(&mut self, key: &[u8]) -> Option<Stored> {
        let value = self.rows.value_of(key)?;
        Some(match value.inline_checked(key) {
            Some(Ok(bytes)) => Stored::short(&bytes, value.vcrc()),
            // Others would compute with what was written, this one with something else.
            Some(Err(mismatch)) => {
                self.stop(format!("the value of key \"{}\": {mismatch}", key.escape_ascii()));
                Stored::long(value.len(), value.vcrc())
            }
            None => Stored::long(value.len(), value.vcrc()),
        })
    }

    fn keys_in(&mut self, start: &[u8], end: &[u8], limit: usize) -> Vec<Key> {
        self.rows.keys_in(start, end, limit)
    }

    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>) {
        // A packed value may be stored in as few bytes, but is longer itself.
        let place = if value.len as usize <= INLINE_VALUE_BYTES_MAX {
            InlineValue::new(value.bytes, value.vcrc).map(ValueRef::Inline)
        } else {
            self.place(value).map(ValueRef::Journal)
        };
        if let Some(place) = place {
            self.rows.put(key, version, place);
        }
    }

    fn put_number(&mut self, key: &[u8], version: Version, text: &[u8], vcrc: u32) {
        match InlineValue::new(text, vcrc) {
            Some(value) => self.rows.put(key, version, ValueRef::Inline(value)),
            None => self.stop("a number is longer than any is"),
        }
    }

    fn append(&mut self, key: &[u8], version: Version, suffix: ValueSlice<'_>, vcrc: u32) {
        let place = if suffix.bytes.len() <= APPEND_MEMORY_BYTES_MAX {
            Some(Suffix::Memory(suffix.bytes))
        } else {
            self.place(suffix).map(Suffix::Journal)
        };
        match (self.rows.value_of(key), place) {
            (Some(old), Some(place)) => self.rows.put(key, version, old.with_suffix(place, vcrc)),
            (None, _) => self.stop("a value to append to is not there any more"),
            (Some(_), None) => {}
        }
    }

    fn delete(&mut self, key: &[u8], version: Version) {
        self.rows.delete(key, version);
    }
}
