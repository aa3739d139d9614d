//! Why a snapshot is not taken in.

use std::io;

/// Why a chunk, or a whole snapshot, is not taken in.
///
/// After any but [`SnapshotError::Io`] nothing has changed, and the right chunk may still follow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are not those of a chunk as it was made.
    #[error("a chunk of a snapshot is damaged: {0}")]
    Damaged(&'static str),
    /// Another version of this program made it.
    #[error("a chunk of a snapshot cannot be read by this version: {0}")]
    Unsupported(String),
    /// It is a chunk of another cluster, group or snapshot.
    #[error("a chunk belongs to another cluster, group or snapshot")]
    Foreign,
    /// It is not the one that comes next.
    #[error("chunk {found} of a snapshot came where {expected} comes next")]
    OutOfTurn {
        /// The one that comes next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// It is sound, and contradicts what is known: its sender is wrong.
    #[error("a snapshot contradicts itself: {0}")]
    Contradiction(&'static str),
    /// Its last chunk has not come.
    #[error("the snapshot has not come to its end")]
    Incomplete,
    /// What is applied is newer.
    #[error("the snapshot ends at entry {snapshot}, and entry {applied} is applied")]
    Outdated {
        /// Index of the snapshot's last entry.
        snapshot: u64,
        /// Index of the last entry that is applied.
        applied: u64,
    },
    /// The disk would be too full with it. What came before is to be given up, so that others find room.
    #[error("no room for a snapshot: the disk has {free} bytes free, and must keep {needed}")]
    NoRoom {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be, with what was to be written.
        needed: u64,
    },
    /// The operating system could not read or write, or something did not come to its end: the snapshot is to be given up.
    #[error("a snapshot could not be written")]
    Io(#[from] io::Error),
}
