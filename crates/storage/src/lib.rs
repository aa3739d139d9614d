//! The append-only storage engine: shared journal and per-group index.

mod index;
mod journal;

pub use index::{GroupIndex, IndexWriter, InlineValue, Mismatch, ValueRef, View};
pub use journal::{
    AppendDone, GroupLog, Identity, Journal, JournalOptions, JournalPointer, JournalStats, LogEntry,
    LogState, OpenError, ReadError, ReadValue, value_crc,
};
