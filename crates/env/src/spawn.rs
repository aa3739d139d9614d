//! Tasks and threads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::pace::{Pace, Paced};
use crate::{Rng, Tempo};

tokio::task_local! {
    static SCOPE: Scope;
}

/// The simulated process a task belongs to: ends with it, draws randomness from it. A library that
/// spawns on its own finds it by [`Scope::current`].
#[derive(Clone)]
pub struct Scope(Arc<ScopeState>);

struct ScopeState {
    number: u64,
    rng: Rng,
    pace: Arc<Pace>,
    tempo: Tempo,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    handles: Vec<AbortHandle>,
    ended: bool,
}

impl Scope {
    /// A new simulated process.
    pub fn new(rng: Rng) -> Self {
        Self::numbered(0, rng)
    }

    /// A new simulated process that can be told from others by a number.
    pub fn numbered(number: u64, rng: Rng) -> Self {
        Self(Arc::new(ScopeState {
            number,
            rng,
            pace: Arc::default(),
            tempo: Tempo::new(),
            tasks: Mutex::default(),
        }))
    }

    /// The scope of the running task; none in production.
    pub fn current() -> Option<Self> {
        SCOPE.try_with(Clone::clone).ok()
    }

    /// What it was [`Scope::numbered`] with, else 0.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// The scope's randomness.
    pub fn rng(&self) -> &Rng {
        &self.0.rng
    }

    /// The time that libraries with timers of their own go by in this process.
    pub fn tempo(&self) -> &Tempo {
        &self.0.tempo
    }

    /// Spawns into this scope. After [`Scope::end`] the future is dropped without being polled.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut tasks = self.0.tasks.lock();
        let handle = tokio::spawn(SCOPE.scope(self.clone(), self.paced(work)));
        if tasks.ended {
            handle.abort();
        }
        if tasks.handles.len().is_power_of_two() {
            tasks.handles.retain(|task| !task.is_finished());
        }
        tasks.handles.push(handle.abort_handle());
        handle
    }

    fn paced<F: Future>(&self, work: F) -> Paced<F> {
        Paced::new(Arc::clone(&self.0.pace), self.0.rng.clone(), work)
    }

    /// Stops the simulated process where it is: no task of it is polled until [`Scope::resume`]. Its
    /// connections stay open, its clock and its timers go on.
    pub fn pause(&self) {
        self.0.pace.stop();
    }

    /// Lets a paused process go on, with everything that became ready meanwhile.
    pub fn resume(&self) {
        self.0.pace.go_on();
    }

    /// True between [`Scope::pause`] and [`Scope::resume`].
    pub fn is_paused(&self) -> bool {
        self.0.pace.is_stopped()
    }

    /// Makes every step of every task wait for up to `drag` first; zero ends that.
    pub fn slow_down(&self, drag: Duration) {
        self.0.pace.set_drag(drag);
    }

    /// Ends the simulated process: every task of it is dropped at its next await, in spawn order,
    /// and new ones never run.
    pub fn end(&self) {
        let handles = {
            let mut tasks = self.0.tasks.lock();
            tasks.ended = true;
            std::mem::take(&mut tasks.handles)
        };
        for handle in handles {
            handle.abort();
        }
    }
}

/// Starts tasks and threads.
#[derive(Clone)]
pub struct Spawn(Option<Scope>);

/// A running task. Dropping it lets the task go on; [`Task::stop`] ends it.
pub struct Task<T>(tokio::task::JoinHandle<T>);

impl<T> Task<T> {
    /// Drops the task's future at its next await.
    pub fn stop(&self) {
        self.0.abort();
    }

    /// True once the task has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Task<T> {
    /// `None` if the task was stopped.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|joined| match joined {
            Ok(value) => Some(value),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
impl Spawn {
    /// Tasks on the running tokio runtime, threads of the operating system.
    pub fn tokio() -> Self {
        Self(None)
    }

    /// Everything as a task of one simulated process.
    pub fn simulated(scope: Scope) -> Self {
        Self(Some(scope))
    }

    /// Starts a task.
    pub fn spawn<F>(&self, work: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(match &self.0 {
            None => tokio::spawn(work),
            Some(scope) => scope.spawn(work),
        })
    }

    /// Starts a future that may block between awaits (fsync): on a thread of its own in production,
    /// as a plain task in the simulator.
    pub fn dedicated<F>(&self, name: &str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(scope) = &self.0 {
            scope.spawn(work);
            return;
        }
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .expect("a runtime without I/O needs nothing that can be missing")
                    .block_on(work);
            })
            .expect("the process may start a handful of threads");
    }

    /// Runs a function that blocks (a cold read) on the runtime's bounded blocking pool; inline in
    /// the simulator.
    pub async fn blocking<T, F>(&self, work: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.0.is_some() {
            return work();
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
