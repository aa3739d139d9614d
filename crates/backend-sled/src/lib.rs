//! Experimental: the live rows of a group in [sled](https://docs.rs/sled/0.34.7), beside the durable ones.
//!
//! sled answers what the state machine asks while it applies, and what readers ask. It never has the only copy of anything: the log and
//! the checkpoints stay those of the storage engine (D30), which gets every row too. So the directory of sled is thrown away
//! and filled again from checkpoint and log at every start, and what sled is known to do wrong costs time and nothing else:
//! - A bit that flips in its files makes opening them panic, or hides keys without a word (40 and 2 of 45 tries). Nothing is ever
//!   opened but an empty directory, so no old file is believed (`home`).
//! - A half-written `snap.*.generating` makes it refuse its directory. The same.
//! - It panics where it should return an error. Every call is guarded: a panic is an error like others ([`SledError::Panicked`]), and this replica stops. A build that aborts on panic (a release build does) ends the process there; the next start throws the
//!   directory away. Every value carries the sum that ties it to its key.
//! - A tree has no versions: a reader sees what is written while it reads. What an entry replaces is therefore kept in
//!   memory for as long as a view from before it lives (`older`), and asked after sled, so that it has the last word.
//!
//! What holds, and who checks it: everything that `atoll_state` says of a backend (`tests/conformance`), and that sled, the storage engine
//! and a plain map agree on every outcome, row and version of random entries (`tests/differential`).
//!
//! Files are opened by sled itself and not through `atoll_env`: this crate never runs in the simulator.

mod backend;
mod error;
mod generation;
mod home;
mod older;
mod row;
mod rows;
mod table;
mod view;

pub use backend::SledBackend;
pub use error::SledError;
pub use home::SledHome;
