//! Clocks. Intervals come from the boot clock, which goes on during suspend; wall time only labels.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::Duration;

/// A point on a node's own boot clock. Means nothing on another node or after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// Time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Nanoseconds since the clock's origin; for storing in an atomic.
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The inverse of [`Instant::as_nanos`].
    pub fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, interval: Duration) -> Self {
        Self(self.0.saturating_add(interval))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, interval: Duration) -> Self {
        Self(self.0.saturating_sub(interval))
    }
}

/// The time given to [`Clock::timeout`] ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadline has elapsed")]
pub struct Elapsed;

/// A node's clock.
#[derive(Clone)]
pub struct Clock(Arc<Kind>);

enum Kind {
    Boot,
    /// Runs at `rate` times tokio's (paused) time; wall time starts at `wall_base_ms`.
    Virtual {
        origin: TokioInstant,
        rate: f64,
        wall_base_ms: u64,
    },
    #[cfg(feature = "faults")]
    Skewed(Arc<crate::faults::Skew>),
}

type TokioInstant = tokio::time::Instant;

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
impl Clock {
    /// The operating system's boot clock.
    pub fn boot() -> Self {
        Self(Arc::new(Kind::Boot))
    }

    /// A clock over tokio's paused time that runs `rate` times as fast and shows `wall_base_ms` now.
    pub fn simulated(rate: f64, wall_base_ms: u64) -> Self {
        assert!(rate > 0.0, "a clock goes forward");
        Self(Arc::new(Kind::Virtual {
            origin: TokioInstant::now(),
            rate,
            wall_base_ms,
        }))
    }

    /// The operating system's clocks, as a fault build shows them.
    #[cfg(feature = "faults")]
    pub(crate) fn skewed(skew: Arc<crate::faults::Skew>) -> Self {
        Self(Arc::new(Kind::Skewed(skew)))
    }

    /// Now, on the boot clock.
    pub fn now(&self) -> Instant {
        match &*self.0 {
            Kind::Boot => Instant(boot_time()),
            Kind::Virtual { origin, rate, .. } => Instant(origin.elapsed().mul_f64(*rate)),
            #[cfg(feature = "faults")]
            Kind::Skewed(skew) => Instant(skew.boot(boot_time)),
        }
    }

    /// Wall time in milliseconds since 1970. A label; nothing is decided by it.
    pub fn wall_ms(&self) -> u64 {
        match &*self.0 {
            Kind::Boot => system_wall_ms(),
            Kind::Virtual { wall_base_ms, .. } => wall_base_ms + self.now().as_nanos() / 1_000_000,
            #[cfg(feature = "faults")]
            Kind::Skewed(skew) => skew.wall_ms(system_wall_ms()),
        }
    }

    /// Waits for an interval of this clock.
    pub async fn sleep(&self, interval: Duration) {
        tokio::time::sleep(self.to_runtime(interval)).await;
    }

    /// Waits until a point of this clock.
    pub async fn sleep_until(&self, until: Instant) {
        self.sleep(until.since(self.now())).await;
    }

    /// Runs `work` for at most `limit`. What `work` had done by then stays done.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(self.to_runtime(limit), work)
            .await
            .map_err(|_| Elapsed)
    }

    fn to_runtime(&self, interval: Duration) -> Duration {
        match &*self.0 {
            Kind::Boot => interval,
            Kind::Virtual { rate, .. } => interval.div_f64(*rate),
            #[cfg(feature = "faults")]
            Kind::Skewed(skew) => skew.to_system(interval),
        }
    }
}

fn boot_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

fn system_wall_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
