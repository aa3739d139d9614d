//! Files of records: keys and values as JSON lines, CSV or TSV, compressed or not.
//!
//! A [`Feed`] reads, on a thread of its own because unpacking and parsing block; a [`Writer`] writes.
//! Both hold a few batches, never the file. What went through is counted in [`Totals`], whose checksum
//! does not depend on the order of records, so that an export and an import of it can be compared. A
//! [`Checkpoint`] tells how far a pass came, so that another process can go on.

mod checkpoint;
mod feed;
mod layout;
mod lines;
mod pack;
mod progress;
mod record;
mod table;
mod totals;
mod unpack;
mod writer;

pub(crate) use self::checkpoint::{Checkpoint, Place};
pub(crate) use self::feed::{Feed, Input, Item, Shape};
pub(crate) use self::layout::{Column, Compression, Layout, parse_columns};
pub(crate) use self::progress::Progress;
pub(crate) use self::record::Record;
pub(crate) use self::table::Choice;
pub(crate) use self::totals::Totals;
pub(crate) use self::writer::{Target, Writer};

/// A line of a value of 1 MiB and a key of 4 KiB, every byte written as \u0000, and some more.
const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What is read from or written to a file at once.
const BUFFER_BYTES: usize = 256 * 1024;
