//! What the machine needs of the rows it changes.

use atoll_types::Version;

/// A value inside the entry that is being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueSlice<'a> {
    /// Where it begins in the entry's payload, so that an index can point there instead of copying.
    pub offset_in_payload: u32,
    /// The value.
    pub bytes: &'a [u8],
    /// [`crate::value_crc`] of key and value.
    pub vcrc: u32,
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
    /// Sets a key.
    fn put(&mut self, key: &[u8], version: Version, value: ValueSlice<'_>);
    /// Removes a key, which may not exist.
    fn delete(&mut self, key: &[u8], version: Version);
}
