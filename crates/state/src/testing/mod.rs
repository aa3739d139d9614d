//! What every backend must do, as tests that any of them can be put through.
//!
//! [`conformance`] has one function per property; a crate with a backend calls each with a function that makes one. The
//! rows of a [`Bench`] are checked against an [`Oracle`], which is the state machine over a plain map: nothing of the storage
//! engine is in it. Everything runs on a disk in memory, below the backend under test, and a simulated clock.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "code of tests: a failure ends the test"
)]

mod bench;
mod commands;
pub mod conformance;
mod look;
mod node;
mod oracle;

pub use bench::{Bench, Make};
pub use commands::{
    append, at_slot, delete, delete_range, entry, guarded, increment, increments, put, session_write,
};
pub use look::{check, seen_by};
pub use node::Sizes;
pub use oracle::{Oracle, Seen};

/// Runs a test on one thread, with a clock that jumps when nothing else can happen.
pub fn simulate<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}
