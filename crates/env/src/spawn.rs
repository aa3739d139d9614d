//! Tasks and threads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::Rng;

tokio::task_local! {
    static SCOPE: Scope;
}

/// The simulated process a task belongs to: ends with it, draws randomness from it. A library that
/// spawns on its own finds it by [`Scope::current`].
#[derive(Clone)]
pub struct Scope(Arc<ScopeState>);

struct ScopeState {
    rng: Rng,
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
        Self(Arc::new(ScopeState {
            rng,
            tasks: Mutex::default(),
        }))
    }

    /// The scope of the running task; none in production.
    pub fn current() -> Option<Self> {
        SCOPE.try_with(Clone::clone).ok()
    }

    /// The scope's randomness.
    pub fn rng(&self) -> &Rng {
        &self.0.rng
    }

    /// Spawns into this scope. After [`Scope::end`] the future is dropped without being polled.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut tasks = self.0.tasks.lock();
        let handle = tokio::spawn(SCOPE.scope(self.clone(), work));
        if tasks.ended {
            handle.abort();
        }
        if tasks.handles.len().is_power_of_two() {
            tasks.handles.retain(|task| !task.is_finished());
        }
        tasks.handles.push(handle.abort_handle());
        handle
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
