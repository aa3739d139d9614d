//! Runtimes: one thread for commands, as many as asked for servers and load.

use tokio::runtime::{Builder, Runtime};

use crate::failure::Result;

/// Cold reads and file access of a process; bounded because each is a thread.
const BLOCKING_THREADS_MAX: usize = 4;

/// Runs `work` to its end on a runtime with `threads` threads. What else runs is then abandoned:
/// waiting for a read of a terminal would hang the exit.
pub(crate) fn run<T>(threads: usize, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = build(threads)?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// A runtime whose tasks go on while the caller's thread does something else.
pub(crate) fn beside() -> Result<Runtime> {
    Ok(Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("atoll")
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?)
}

/// One thread means that everything runs on the caller's, without a hand-over between threads.
fn build(threads: usize) -> Result<Runtime> {
    let mut builder = match threads {
        0 | 1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .thread_name("atoll")
        .max_blocking_threads(BLOCKING_THREADS_MAX);
    Ok(builder.build()?)
}
