//! The append-only storage engine: shared journal and per-group index.
//!
//! The log is the database. Every write of every group on a node goes once into one journal, which
//! is made durable one sync at a time for all of them ([`Journal`], [`GroupLog`]); the state machine
//! keeps, per group, an ordered index in memory whose rows point at the values where they already
//! stand ([`GroupIndex`]). There is no second log and no second copy of a value.
//!
//! Reading order: `journal/mod.rs` for what holds and who checks it, `journal/format/` for the bytes,
//! `journal/intake.rs` for how records get their places, `journal/writer.rs` for how they get to disk,
//! `journal/recovery/` for how they come back; then `index/mod.rs`; `run/mod.rs` for what rows look like in a
//! file, `manifest/mod.rs` for the files of a group, `value_file/mod.rs` for another kind of them;
//! `store/mod.rs` for how rows get from the index into files; and `snapshot/mod.rs` for how they get to another replica.
//! `check/mod.rs` looks at all of it while no node runs; `sealed/mod.rs` encrypts all of it, below.
//!
//! Every read checks a sum that ties the bytes to what was asked for: an entry's to its position in
//! its group's log, a value's to its key. Bytes that do not check are never returned.
//!
//! This crate knows nothing of Raft or of commands: a log is entries with ids, a value is a range of
//! an entry's payload.

pub mod check;
mod codec;
mod cursor;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod index;
mod journal;
mod manifest;
mod row_cache;
mod run;
pub mod sealed;
mod snapshot;
mod store;
mod value_file;

pub use codec::{Compression, Packed, Packer, unpack};
pub use index::{
    FilePointer, Found, GroupIndex, IndexWriter, InlineValue, Joined, Mismatch, Missed, NotKept, ReadAhead,
    Row, Suffix, ValueRef, View, Walked,
};
pub use journal::{
    AppendDone, GroupLog, Identity, Journal, JournalOptions, JournalPointer, JournalSegments, JournalStats,
    LogEntry, LogState, OpenError, ReadError, ReadValue, SLOW_SYNC, SpareLimits, value_crc,
};
pub use manifest::{
    FolderError, FolderOwner, GroupFile, GroupFolder, Manifest, NewFile, RunEntry, ValueFileEntry,
};
pub use row_cache::RowCache;
pub use run::{
    BlockCache, Direction, Looked, RowValue, Run, RunCursor, RunError, RunIdentity, RunRow, RunSummary,
    RunValue, RunWriter, Step,
};
pub use snapshot::{
    SNAPSHOT_CHUNK_BYTES_MAX, SnapshotError, SnapshotPosition, SnapshotReader, SnapshotWriter, StagedSnapshot,
};
pub use store::{
    Checkpoint, Finding, GroupStore, JournalLoad, LastRound, Progress, Restored, RowMemory, Scrub,
    ScrubOptions, ScrubStatus, ScrubbedFile, Store, StoreError, StoreOptions, SystemRow, WorkKind, Written,
};
pub use value_file::{
    Filed, FiledRecord, FiledRecords, FinishedValues, ValueFile, ValueFileError, ValueFileId, ValueWriter,
};
