//! What the machine needs of the rows it changes.

use atoll_types::{Codec, Key, Version};

use crate::number::number_of;

/// A value inside the entry that is being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueSlice<'a> {
    /// Where it begins in the entry's payload, so that an index can point there instead of copying.
    pub offset_in_payload: u32,
    /// The bytes that are stored for it.
    pub bytes: &'a [u8],
    /// What makes the value of them.
    pub codec: Codec,
    /// Bytes of the value. Without a codec, as many as are stored; with one more, and more than stand inside an index.
    pub len: u32,
    /// [`crate::value_crc`] of key and value.
    pub vcrc: u32,
}

/// What stands at a key, as far as an operation that computes looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    len: usize,
    vcrc: u32,
    number: Option<i64>,
}

impl Stored {
    /// A value whose bytes are at hand. Any of at most 64 bytes must be given this way: it may be a number.
    pub fn short(bytes: &[u8], vcrc: u32) -> Self {
        Self {
            len: bytes.len(),
            vcrc,
            number: number_of(bytes),
        }
    }

    /// A longer value; its bytes may be anywhere.
    pub fn long(len: usize, vcrc: u32) -> Self {
        Self {
            len,
            vcrc,
            number: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn vcrc(&self) -> u32 {
        self.vcrc
    }

    pub(crate) fn number(&self) -> Option<i64> {
        self.number
    }
}

/// The rows of one group, newest state, effects of earlier commands of the same entry included.
///
/// Answers must be a function of the calls made so far and of nothing else (not of what a flush or
/// a merge happened to drop), or replicas part ways. Nothing here can fail: whatever might, fails
/// before an entry is handed to the machine.
pub trait StateView {
    /// The key's version, or `None` if it does not exist (a deleted key does not).
    fn version_of(&mut self, key: &[u8]) -> Option<Version>;
    /// The highest version of the keys that exist in `[start, end)`; an empty `end` means no end.
    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version>;
    /// What stands at a key, or `None` if it does not exist.
    fn stored(&mut self, key: &[u8]) -> Option<Stored>;
    /// The first keys that exist in `[start, end)`, in order, at most `limit`; an empty `end` means no end.
    fn keys_in(&mut self, start: &[u8], end: &[u8], limit: usize) -> Vec<Key>;
    /// Sets a key. Only here values may be packed.
    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>);
    /// Sets a key to a number's text, at most 20 bytes that stand in no entry.
    fn put_number(&mut self, key: &[u8], version: Version, text: &[u8], vcrc: u32);
    /// Puts a suffix behind the value of a key, which exists and is not empty. `vcrc` is
    /// [`crate::value_crc`] of the key and the whole; `suffix.vcrc` that of the key and the suffix alone.
    fn append(&mut self, key: &[u8], version: Version, suffix: ValueSlice<'_>, vcrc: u32);
    /// Removes a key, which may not exist.
    fn delete(&mut self, key: &[u8], version: Version);
}
