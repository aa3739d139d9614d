//! Value files: values that outlived their place in the journal, in key order.
//!
//! A merge copies the values that still count out of old segments, so that the segments can go (`store::evacuate`). It writes
//! each of them once into a new value file of the group, next to its key and version, in the order of the rows;
//! a scan of cold rows then reads forwards. A file is written from its beginning to its end by one
//! [`ValueWriter`], synced, and never changed again; only a manifest makes it count (`manifest`).
//!
//! What holds here, and where it is checked:
//! - I5: a read gives the bytes whose sum over key and value the pointer carries, or an error (`reader`; every bit
//!   flipped). As in the journal, it is not the record's own sum that proves a value, but the row's.
//! - A file is told from every other: its header names cluster, node, group and number, and every record's sum
//!   is seeded with the file's random salt and the record's offset, so that bytes of another file or place
//!   are no record here (`format`).
//! - The file explains itself: scrub and repair read records from the first one on and need no index (`records`).
//!   The footer says how many there must have been; it is looked at only there, because reading a value needs
//!   nothing of it: its rot costs no value.
//! - Values may be packed (`codec`), each by itself and with its codec and both lengths in its record; sums of key and value are those of
//!   the value itself. A reader unpacks what nothing has proved yet, and proves what it unpacked.
//! - I11: no place of a file is written twice.

mod format;
mod reader;
mod records;
#[cfg(test)]
mod tests;
mod writer;

pub use format::ValueFileId;
pub use reader::{Filed, ValueFile, ValueFileError};
pub use records::{FiledRecord, FiledRecords};
pub use writer::{FinishedValues, ValueWriter};
