//! The outside world behind seams.
//!
//! Time, randomness, tasks, files and links enter Atoll only through an [`Env`]. In production it is
//! the operating system; in the simulator the same code runs over one seeded, single-threaded world
//! in which disks forget un-synced bytes and links break. Whatever does not go through here cannot be
//! repeated from a seed, so clippy.toml bans the direct ways everywhere else.
//!
//! Nothing in this crate knows Raft, keys or messages: files hold bytes, links carry frames of bytes.

mod clock;
#[cfg(feature = "faults")]
pub mod faults;
mod halt;
pub mod net;
mod pace;
mod rng;
mod spawn;
mod tempo;
pub mod trouble;
pub mod vfs;
pub mod watch;

pub use clock::{Clock, Elapsed, Instant};
pub use halt::Halt;
pub use net::Net;
pub use rng::Rng;
pub use spawn::{Scope, Spawn, Task};
pub use tempo::Tempo;
pub use vfs::Vfs;

use std::sync::Arc;

/// A boxed future, as the seams return them.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything a component may take from the outside world. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Intervals and wall time.
    pub clock: Clock,
    /// Random numbers.
    pub rng: Rng,
    /// Tasks and threads.
    pub spawn: Spawn,
    /// Files.
    pub vfs: Arc<dyn Vfs>,
    /// Links to other processes.
    pub net: Arc<dyn Net>,
    /// What happens when the process must not go on.
    pub halt: Halt,
}

#[cfg(feature = "grpc")]
impl Env {
    /// The operating system's. Tasks and links need a running tokio runtime.
    pub fn real() -> Self {
        let clock = Clock::boot();
        let spawn = Spawn::tokio();
        Self {
            net: Arc::new(net::GrpcNet::new(clock.clone(), spawn.clone())),
            clock,
            rng: Rng::from_os(),
            spawn,
            vfs: Arc::new(vfs::OsVfs),
            halt: Halt::abort(),
        }
    }

    /// The operating system's, with a disk and clocks that do what a control file says ([`faults`]).
    #[cfg(feature = "faults")]
    pub fn with_faults(control_file: &std::path::Path) -> Self {
        let mut env = Self::real();
        let faults = faults::Faults::follow(&env.spawn, control_file);
        env.clock = faults.clock();
        env.vfs = Arc::new(faults.vfs(Arc::new(vfs::OsVfs)));
        env.net = Arc::new(net::GrpcNet::new(env.clock.clone(), env.spawn.clone()));
        env
    }
}
