//! The storage engine measured side by side with engines of others.
//!
//! `storage` runs one workload against each engine and prints a table: durable puts, gets, scans, a mix that
//! overwrites, restarts, and what all of it took of disk and memory. `soak` overwrites for a long time within a disk
//! budget and draws how the directory grew.
//!
//! What makes the figures comparable, and where it is done:
//! - Every engine sees the same rows in the same order (`dataset`), and a batch counts as put only when a power cut
//!   cannot take it any more (`engine`).
//! - Every engine runs in a child process of its own, so that memory, caches and threads are its own (`child`), and all are
//!   built with the same allocator, which is the one of the product's binary.
//! - Runs are interleaved and begin with another engine each time (`storage`): a machine's slow minute hits all.
//! - Only the time inside an engine counts, and every value that comes out of one is checked (`storage/phases`): a
//!   wrong one ends the program.
//! - The report says which machine it was, how busy it was before and after, and which versions ran (`probe`).

mod args;
mod bytes_text;
mod child;
mod dataset;
mod engine;
mod latency;
mod metric;
mod probe;
mod soak;
mod storage;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Errors here are for whoever reads the terminal; nobody decides by them.
type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Storage(args) => storage::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Child(args) => child::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
