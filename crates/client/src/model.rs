//! What reads and writes give back.

use atoll_types::Version;
use bytes::Bytes;

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The bytes. They share memory with the network frame they came in, which may hold other replies
    /// too: copy a small value that is to be kept for long.
    pub bytes: Bytes,
    /// The version of the write that made it.
    pub version: Version,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Bytes,
    /// The value; empty where only keys were asked for.
    pub value: Bytes,
    /// The version of the write that made it.
    pub version: Version,
}

/// What became of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cas {
    /// The key had the expected version; the write got this one.
    Done(Version),
    /// The key had another version; nothing was changed.
    Conflict {
        /// The version found; `None` if the key does not exist.
        actual: Option<Version>,
    },
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All operations were applied, with this version.
    Done(Version),
    /// A guard did not hold; nothing was changed.
    Conflict {
        /// Position of the guard, counted in the order the guards were added.
        guard: usize,
        /// The version found; `None` for absent.
        actual: Option<Version>,
    },
}

/// A version from the wire, where 0 means absent.
pub(crate) fn present(version: u64) -> Option<Version> {
    (version != 0).then_some(Version(version))
}
