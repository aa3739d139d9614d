//! A simulated process and its disk.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_env::net::NoNet;
use atoll_env::vfs::{MemLatency, MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn, Vfs};

use crate::sealed::{KeyRing, SealedVfs};

/// A disk on which every write and every sync takes a moment, so that everything happens in the middle of them.
pub(super) fn slow_disk(clock: Clock, options: &MemVfsOptions) -> MemVfs {
    let moment = Duration::from_micros(200)..Duration::from_micros(900);
    let (write, sync) = (moment.clone(), moment);
    MemVfs::new(MemVfsOptions {
        latency: Some(MemLatency { clock, write, sync }),
        ..options.clone()
    })
}

/// The same, of which so many reads would wait.
pub(super) fn cold_disk(cold_reads_permille: u64) -> MemVfs {
    let options = MemVfsOptions {
        cold_reads_permille,
        ..MemVfsOptions::default()
    };
    slow_disk(Clock::simulated(1.0, 0), &options)
}

/// Plays a script to its end, or until the disk has frozen and nothing that is waited for comes any more.
pub(super) async fn play_until_frozen(vfs: &MemVfs, script: impl Future<Output = Option<()>>) {
    let clock = Clock::simulated(1.0, 0);
    let ended = clock.timeout(Duration::from_secs(600), script).await;
    assert!(ended == Ok(Some(())) || vfs.is_frozen());
}

/// Runs a test on one thread with a clock that jumps when nothing else can happen.
pub(crate) fn simulate<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

thread_local! {
    /// 0 if files are not sealed, else the next seed: no two processes draw the same keys.
    static SEALED: Cell<u64> = const { Cell::new(0) };
}

/// Runs a test, all of it on this thread, with files that are sealed.
pub(crate) fn sealed(test: impl FnOnce()) {
    SEALED.set(1);
    test();
    SEALED.set(0);
}

/// A disk as a process sees it.
fn files(below: Arc<dyn Vfs>) -> Arc<dyn Vfs> {
    let seed = SEALED.get();
    if seed == 0 {
        return below;
    }
    let keys = Arc::new(KeyRing::parse(&[*b"0123456789abcdef"; 2].concat()).unwrap());
    SEALED.set(seed + 1);
    let rng = Rng::seeded(seed);
    let data = Path::new(super::world::DATA);
    Arc::new(SealedVfs::new(below, data, keys, rng))
}

/// The environment of a process, and what ends it.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) env: Env,
    pub(super) vfs: MemVfs,
    scope: Scope,
    halted: Arc<AtomicBool>,
}

impl Process {
    pub(super) fn on(vfs: MemVfs) -> Self {
        Self::through(vfs.clone(), Arc::new(vfs))
    }

    /// A process that comes to its disk by another way.
    pub(super) fn through(vfs: MemVfs, way: Arc<dyn Vfs>) -> Self {
        let scope = Scope::new(Rng::seeded(1));
        let halted = Arc::new(AtomicBool::new(false));
        let flag = halted.clone();
        let env = Env {
            clock: Clock::simulated(1.0, 1_700_000_000_000),
            rng: Rng::seeded(vfs.operations() + 7),
            spawn: Spawn::simulated(scope.clone()),
            vfs: files(way),
            net: Arc::new(NoNet),
            halt: Halt::simulated(move |_| flag.store(true, Ordering::Relaxed)),
        };
        Self {
            env,
            vfs,
            scope,
            halted,
        }
    }

    /// One with threads and time of the operating system.
    pub(super) fn real(vfs: MemVfs) -> Self {
        let mut process = Self::on(vfs);
        process.env.clock = Clock::boot();
        process.env.spawn = Spawn::tokio();
        process
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Ends all tasks, as SIGKILL does.
    pub(super) fn kill(&self) {
        self.scope.end();
    }
}
