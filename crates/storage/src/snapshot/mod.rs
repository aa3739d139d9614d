//! Snapshots: a durable checkpoint of one replica becomes that of another.
//!
//! A replica whose log begins too late for another one sends it all rows instead. What it sends is its newest durable
//! checkpoint, as it is: nothing is frozen and nothing is written for it. [`SnapshotReader`] pins the files of one manifest
//! and gives their live rows in order, values included, in *chunks* of about 1 MiB ([`format`]). [`SnapshotWriter`] writes
//! chunks, as they come, into one new run and new value files. What came whole is *staged*: durable files that no
//! manifest names ([`StagedSnapshot`]). Installing it is one step, the change of the manifest (`store/install`).
//!
//! What holds here, and where it is checked:
//! - I5: a value leaves only if its bytes match the sum that ties them to its key (`source`), and is written only if they still
//!   do where it arrives (`intake`). Rot is never sent on.
//! - A chunk is told from every other: it names cluster, group, snapshot and its number, and carries a sum over all of
//!   itself and one over all chunks before it (`format`; every bit flipped, chunks cut, repeated, left out, exchanged, mixed).
//! - Of a chunk that is refused nothing is written, and the right one may still come (`intake`).
//! - The last chunk says how many rows, and bytes of them, there were, and of what point of the log they are; without it,
//!   or if anything differs, there is nothing to install (`intake`).
//! - The same chunk is the same bytes whenever it is asked for: the files of a pinned checkpoint never change (`source`).
//! - Memory is bounded on both sides by a chunk and one row, but for what a run keeps in memory anyway.
//! - One that is too large for what is free is refused before its first chunk, and what others will still write is not free
//!   ([`SnapshotWriter::expect`]).
//! - Files of a snapshot that is given up are removed soon ([`sweep`]), or at the next start.
//!
//! All of it runs on one thread of the store ([`worker`]), a chunk at a time: what waits for a disk here holds up other
//! snapshots, and nothing else. Calls may be given up at any point; the thread ends what it has begun.

mod error;
mod format;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod intake;
mod position;
mod promise;
mod reader;
mod source;
mod staged;
mod sweep;
#[cfg(test)]
mod tests;
mod worker;
mod writer;

pub use error::SnapshotError;
pub(crate) use format::CHUNK_LEN_MAX;
pub use position::SnapshotPosition;
pub(crate) use promise::Promised;
pub use reader::SnapshotReader;
#[cfg(test)]
pub(crate) use source::TURN_ROWS;
pub use staged::StagedSnapshot;
pub(crate) use worker::SnapshotThread;
pub use writer::SnapshotWriter;

/// No chunk of a snapshot has more bytes: 1 MiB and one row.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = CHUNK_LEN_MAX;
