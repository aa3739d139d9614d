//! The operating system without its network: for tests and for the benchmark, which includes this file.

use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::{Clock, Env, Halt, Rng, Spawn, Vfs};

/// Real time, real threads.
pub fn real_env(vfs: Arc<dyn Vfs>) -> Env {
    Env {
        clock: Clock::boot(),
        rng: Rng::from_os(),
        spawn: Spawn::tokio(),
        vfs,
        net: Arc::new(NoNet),
        halt: Halt::abort(),
    }
}
