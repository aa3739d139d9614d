//! openraft's view of the runtime: tokio, except that time, tasks and randomness belong to the process
//! they started in, a simulated one if there is one.
//!
//! Without this a crashed node's Raft would go on as a ghost in the simulator, and election jitter and
//! the order in which waiters wake would differ from run to run.

mod instant;
mod watch;

use std::future::Future;
use std::time::Duration;

use atoll_env::{Rng, Scope, Tempo};
use openraft_rt::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot, TokioRuntime};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

pub(crate) use self::instant::Instant;
use self::watch::OrderedWatch;

/// Sleeps below this are left alone; a tick sleeps for four times as long at least.
const SHORT: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = tokio::task::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Xoshiro256PlusPlus;
    type Mpsc = TokioMpsc;
    type Watch = OrderedWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match Scope::current() {
            Some(scope) => scope.spawn(future),
            None => TokioRuntime::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(Tempo::current().interval(duration))
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        // Short ones are no ticks: openraft gathers the news of syncs for a microsecond or two.
        let wait = deadline.wait();
        TokioRuntime::sleep(if wait < SHORT {
            wait
        } else {
            deadline.on_grid().wait()
        })
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(Tempo::current().interval(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(deadline.wait(), future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        join_error.is_panic()
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        let rng = Scope::current().map_or_else(Rng::from_os, |scope| scope.rng().clone());
        Xoshiro256PlusPlus::seed_from_u64(rng.bits64())
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::Clock;
    use openraft_rt::Instant as _;

    #[tokio::test(start_paused = true)]
    async fn ticks_go_to_the_grid_and_short_waits_do_not() {
        let clock = Clock::simulated(1.0, 0);
        let began = clock.now();
        Runtime::sleep_until(Instant::now() + Duration::from_micros(1)).await;
        // Tokio's timers are milliseconds wide.
        assert!(clock.now().since(began) <= Duration::from_millis(2));
        for _ in 0..3 {
            Runtime::sleep_until(Instant::now() + Duration::from_millis(41)).await;
            // On a line, or as far beyond it as tokio's timers are wide.
            let left = Instant::now().on_grid() - Instant::now();
            assert!(left.is_zero() || left >= Duration::from_millis(48), "{left:?}");
        }
    }
}
