//! The time that a library with timers of its own goes by.
//!
//! A library that reads clocks and sleeps through tokio would not see that a simulated process's clock
//! runs fast or slow, and its timeouts could not be changed once it runs. So its time is this one: the
//! process's own, at the rate of its clock, and stretched for as long as the machine is too slow for
//! the timeouts it started with.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::Scope;

type TokioInstant = tokio::time::Instant;

/// A process's library time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tempo(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    origin: TokioInstant,
    line: Mutex<Line>,
}

/// Library time as a function of the runtime's, in nanoseconds since the origin: a straight line since
/// the last change of pace.
#[derive(Debug)]
struct Line {
    runtime: i64,
    library: i64,
    rate: f64,
    stretch: f64,
}

impl Line {
    fn speed(&self) -> f64 {
        self.rate / self.stretch
    }

    fn at(&self, runtime: i64) -> i64 {
        let since = runtime - self.runtime;
        // Exact at full speed, which is almost always: floats lose nanoseconds after weeks.
        if (self.speed() - 1.0).abs() < f64::EPSILON {
            return self.library + since;
        }
        self.library + (since as f64 * self.speed()) as i64
    }
}

impl Tempo {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub(crate) fn new() -> Self {
        let line = Line {
            runtime: 0,
            library: 0,
            rate: 1.0,
            stretch: 1.0,
        };
        Self(Arc::new(Shared {
            origin: TokioInstant::now(),
            line: Mutex::new(line),
        }))
    }

    /// The running process's: that of the task's [`Scope`], or the operating system's process.
    pub fn current() -> Self {
        static PROCESS: OnceLock<Tempo> = OnceLock::new();
        match Scope::current() {
            Some(scope) => scope.tempo().clone(),
            None => PROCESS.get_or_init(Self::new).clone(),
        }
    }

    /// Nanoseconds since some origin of this process. Negative in a runtime whose paused time is
    /// behind that of the one that was first.
    pub fn now_ns(&self) -> i64 {
        let line = self.0.line.lock();
        line.at(self.runtime_now())
    }

    /// How long the runtime has to sleep for library time to reach `until_ns`.
    pub fn until(&self, until_ns: i64) -> Duration {
        let line = self.0.line.lock();
        let left = until_ns.saturating_sub(line.at(self.runtime_now())).max(0);
        to_runtime(Duration::from_nanos(left.unsigned_abs()), line.speed())
    }

    /// How long the runtime has to sleep for an interval of library time.
    pub fn interval(&self, interval: Duration) -> Duration {
        to_runtime(interval, self.0.line.lock().speed())
    }

    /// The rate of the simulated process's clock.
    pub fn set_rate(&self, rate: f64) {
        assert!(rate > 0.0, "a clock goes forward");
        self.change(|line| line.rate = rate);
    }

    /// Makes every interval from now on so many times as long. What is asleep already sleeps no longer.
    pub fn set_stretch(&self, stretch: f64) {
        assert!(stretch >= 1.0, "timers are widened, not tightened");
        self.change(|line| line.stretch = stretch);
    }

    /// See [`Tempo::set_stretch`].
    pub fn stretch(&self) -> f64 {
        self.0.line.lock().stretch
    }

    fn change(&self, change: impl FnOnce(&mut Line)) {
        // In this order: nobody can have read a later time at the old pace.
        let mut line = self.0.line.lock();
        let now = self.runtime_now();
        (line.library, line.runtime) = (line.at(now), now);
        change(&mut line);
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn runtime_now(&self) -> i64 {
        let now = TokioInstant::now();
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        match now.checked_duration_since(self.0.origin) {
            Some(since) => nanos(since),
            None => -nanos(self.0.origin.duration_since(now)),
        }
    }
}

fn to_runtime(interval: Duration, speed: f64) -> Duration {
    if (speed - 1.0).abs() < f64::EPSILON {
        interval
    } else {
        Duration::try_from_secs_f64(interval.as_secs_f64() / speed).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Rng};

    const SECOND: i64 = 1_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn time_is_continuous_whatever_its_pace() {
        let (tempo, clock) = (Tempo::new(), Clock::simulated(1.0, 0));
        clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(tempo.now_ns(), 2 * SECOND);
        tempo.set_stretch(4.0);
        assert_eq!(tempo.now_ns(), 2 * SECOND);
        assert_eq!(tempo.until(3 * SECOND), Duration::from_secs(4));
        assert_eq!(tempo.interval(Duration::from_secs(1)), Duration::from_secs(4));
        clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(tempo.now_ns(), 5 * SECOND / 2);
        tempo.set_stretch(1.0);
        tempo.set_rate(0.5);
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(tempo.now_ns(), 3 * SECOND);
        assert_eq!(tempo.until(2 * SECOND), Duration::ZERO);
    }

    async fn in_scope(scope: &Scope) -> f64 {
        let seen = scope.spawn(async { Tempo::current().stretch() });
        seen.await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_simulated_process_has_its_own() {
        let scopes = [1, 2].map(|seed| Scope::new(Rng::seeded(seed)));
        scopes[0].tempo().set_stretch(2.0);
        for (scope, stretch) in scopes.iter().zip([2.0, 1.0]) {
            assert!((in_scope(scope).await - stretch).abs() < f64::EPSILON);
        }
        assert!((Tempo::current().stretch() - 1.0).abs() < f64::EPSILON);
    }
}
