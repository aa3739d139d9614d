//! How fast a simulated process runs: as it likes, haltingly, or not at all.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Sleep;

use crate::Rng;

/// Shared by all tasks of one process.
#[derive(Default)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    stopped: bool,
    /// Stops so far: tells a task whether it waits for the end of this one already.
    stops: u64,
    waiting: Vec<Waker>,
    drag: Duration,
}

enum Turn {
    Run,
    Stopped(u64),
    Drag(Duration),
}

impl Pace {
    /// No task is polled from now on, as after SIGSTOP.
    pub(crate) fn stop(&self) {
        let mut state = self.0.lock();
        state.stops += u64::from(!state.stopped);
        state.stopped = true;
    }

    /// Everything that became ready meanwhile runs.
    pub(crate) fn go_on(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.stopped = false;
            std::mem::take(&mut state.waiting)
        };
        for task in waiting {
            task.wake();
        }
    }

    /// Every step of a task is preceded by a wait of up to `drag`; zero: as fast as it can.
    pub(crate) fn set_drag(&self, drag: Duration) {
        self.0.lock().drag = drag;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.lock().stopped
    }

    fn turn(&self, waits_since: u64, waker: &Waker) -> Turn {
        let mut state = self.0.lock();
        if !state.stopped {
            return if state.drag.is_zero() {
                Turn::Run
            } else {
                Turn::Drag(state.drag)
            };
        }
        if waits_since != state.stops {
            state.waiting.push(waker.clone());
        }
        Turn::Stopped(state.stops)
    }
}

/// A task that keeps its process's pace.
pub(crate) struct Paced<F> {
    pace: Arc<Pace>,
    rng: Rng,
    /// The stop whose end this task waits for.
    waits_since: u64,
    drag: Option<Pin<Box<Sleep>>>,
    work: Pin<Box<F>>,
}

impl<F: Future> Paced<F> {
    pub(crate) fn new(pace: Arc<Pace>, rng: Rng, work: F) -> Self {
        Self {
            pace,
            rng,
            waits_since: 0,
            drag: None,
            work: Box::pin(work),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn begin_drag(&mut self, most: Duration) {
        if self.drag.is_none() {
            let wait = Duration::from_nanos(self.rng.below(most.as_nanos() as u64));
            self.drag = Some(Box::pin(tokio::time::sleep(wait)));
        }
    }
}

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        match this.pace.turn(this.waits_since, context.waker()) {
            Turn::Run => {}
            Turn::Stopped(since) => {
                this.waits_since = since;
                return Poll::Pending;
            }
            Turn::Drag(most) => this.begin_drag(most),
        }
        if let Some(drag) = &mut this.drag {
            std::task::ready!(drag.as_mut().poll(context));
            this.drag = None;
        }
        this.work.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Scope, Spawn};
    use std::sync::atomic::{AtomicU64, Ordering};

    fn counting(spawn: &Spawn, clock: &Clock) -> Arc<AtomicU64> {
        let (counter, clock) = (Arc::new(AtomicU64::new(0)), clock.clone());
        let count = Arc::clone(&counter);
        spawn.spawn(async move {
            loop {
                clock.sleep(Duration::from_millis(10)).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        counter
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_process_does_nothing_and_goes_on_where_it_was() {
        let scope = Scope::new(Rng::seeded(1));
        let (spawn, clock) = (Spawn::simulated(scope.clone()), Clock::simulated(1.0, 0));
        let counter = counting(&spawn, &clock);
        let wait = || clock.sleep(Duration::from_millis(105));
        wait().await;
        assert_eq!(counter.load(Ordering::Relaxed), 10);
        for _ in 0..2 {
            let before = counter.load(Ordering::Relaxed);
            scope.pause();
            scope.pause();
            assert!(scope.is_paused());
            wait().await;
            // Also a task that begins meanwhile waits.
            let late = counting(&spawn, &clock);
            wait().await;
            assert_eq!(
                (counter.load(Ordering::Relaxed), late.load(Ordering::Relaxed)),
                (before, 0)
            );
            scope.resume();
            wait().await;
            assert!(counter.load(Ordering::Relaxed) >= before + 10);
            assert!(late.load(Ordering::Relaxed) >= 9);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_process_takes_longer_and_a_stopped_one_can_end() {
        let scope = Scope::new(Rng::seeded(1));
        let (spawn, clock) = (Spawn::simulated(scope.clone()), Clock::simulated(1.0, 0));
        let counter = counting(&spawn, &clock);
        scope.slow_down(Duration::from_millis(50));
        clock.sleep(Duration::from_secs(1)).await;
        let slow = counter.load(Ordering::Relaxed);
        assert!((10..70).contains(&slow), "{slow}");
        scope.slow_down(Duration::ZERO);
        clock.sleep(Duration::from_secs(1)).await;
        assert!(counter.load(Ordering::Relaxed) - slow > 90);
        scope.pause();
        scope.end();
        clock.sleep(Duration::from_millis(1)).await;
        assert_eq!(Arc::strong_count(&counter), 1, "the task is dropped");
    }
}
