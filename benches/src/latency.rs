//! How long calls took.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Result;
use crate::metric::{Metrics, Unit};

/// Three digits: a quantile is off by a thousandth at most.
const DIGITS: u8 = 3;

/// What is told of a distribution.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Durations of calls of one kind.
pub(crate) struct Latencies {
    nanos: Histogram<u64>,
    /// Together, exactly.
    total: Duration,
}

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            nanos: Histogram::new(DIGITS)?,
            total: Duration::ZERO,
        })
    }

    /// Adds one.
    pub(crate) fn add(&mut self, took: Duration) -> Result<()> {
        self.total += took;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        Ok(self.nanos.record(nanos.max(1))?)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// All together.
    pub(crate) fn total(&self) -> Duration {
        self.total
    }

    /// So many of them (0 to 1) took at most as long; zero if there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        if self.nanos.is_empty() {
            return Duration::ZERO;
        }
        // The top of a bucket may lie beyond the largest of all.
        let nanos = self.nanos.value_at_quantile(quantile).min(self.nanos.max());
        Duration::from_nanos(nanos)
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        self.quantile(1.0)
    }

    /// Tells quantiles and the longest as `<what> p50` and so on.
    pub(crate) fn tell(&self, what: &str, metrics: &mut Metrics) {
        for (name, quantile) in QUANTILES {
            metrics.add(
                &format!("{what} {name}"),
                Unit::Micros,
                micros(self.quantile(quantile)),
            );
        }
        metrics.add(&format!("{what} max"), Unit::Micros, micros(self.max()));
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.nanos.reset();
        self.total = Duration::ZERO;
    }
}

/// Microseconds with their fraction.
pub(crate) fn micros(took: Duration) -> f64 {
    took.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Duration, expected: u64) -> bool {
        let (found, expected) = (found.as_nanos() as f64, expected as f64);
        (found - expected).abs() <= expected / 500.0
    }

    #[test]
    fn quantiles_of_known_durations() {
        let mut latencies = Latencies::new().unwrap();
        for micros in 1..=10_000 {
            latencies.add(Duration::from_micros(micros)).unwrap();
        }
        assert_eq!(latencies.count(), 10_000);
        assert_eq!(latencies.total(), Duration::from_millis(50_005));
        assert!(near(latencies.quantile(0.5), 5_000_000));
        assert!(near(latencies.quantile(0.99), 9_900_000));
        assert!(near(latencies.quantile(0.9999), 9_999_000));
        assert!(near(latencies.max(), 10_000_000));
    }

    #[test]
    fn one_outlier_is_seen_only_at_the_end() {
        let mut latencies = Latencies::new().unwrap();
        for _ in 0..100_000 {
            latencies.add(Duration::from_micros(100)).unwrap();
        }
        latencies.add(Duration::from_secs(100)).unwrap();
        assert!(near(latencies.quantile(0.9999), 100_000));
        assert!(near(latencies.max(), 100_000_000_000));
        latencies.clear();
        assert_eq!((latencies.count(), latencies.max()), (0, Duration::ZERO));
    }

    #[test]
    fn nothing_and_no_time_at_all() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.quantile(0.5), Duration::ZERO);
        latencies.add(Duration::ZERO).unwrap();
        assert_eq!(latencies.count(), 1);
        assert!(latencies.max() <= Duration::from_nanos(1));
        let mut metrics = Metrics::default();
        latencies.tell("get", &mut metrics);
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(
            names,
            ["get p50", "get p99", "get p99.9", "get p99.99", "get max"]
        );
    }
}
