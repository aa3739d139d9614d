//! Figures with names and units.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bytes_text;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    PerSecond,
    Seconds,
    Micros,
    Bytes,
    /// So many of these per one of those.
    Times,
    Count,
}

impl Unit {
    /// A figure for people: about three digits that matter.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
            Self::PerSecond if value >= 1e3 => format!("{:.1} k/s", value / 1e3),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Seconds => format!("{value:.3} s"),
            Self::Micros if value >= 1e4 => format!("{:.1} ms", value / 1e3),
            Self::Micros if value >= 100.0 => format!("{value:.0} us"),
            Self::Micros => format!("{value:.2} us"),
            Self::Bytes => bytes_text::show(value),
            Self::Times => format!("{value:.2} x"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

/// One figure of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
}

/// Figures in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Metrics(Vec<Metric>);

impl Metrics {
    /// Adds a figure.
    pub(crate) fn add(&mut self, name: &str, unit: Unit, value: f64) {
        let name = name.to_owned();
        self.0.push(Metric { name, unit, value });
    }

    /// Adds a figure if there is one.
    pub(crate) fn add_some(&mut self, name: &str, unit: Unit, value: Option<f64>) {
        if let Some(value) = value {
            self.add(name, unit, value);
        }
    }

    /// Adds how many there were per second.
    pub(crate) fn add_rate(&mut self, name: &str, count: u64, took: Duration) {
        if !took.is_zero() {
            self.add(name, Unit::PerSecond, count as f64 / took.as_secs_f64());
        }
    }

    /// All.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.0.iter()
    }

    /// The one of this name.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.iter()
            .find(|metric| metric.name == name)
            .map(|metric| metric.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_for_people() {
        assert_eq!(Unit::PerSecond.show(1_234_567.0), "1.23 M/s");
        assert_eq!(Unit::PerSecond.show(45_678.0), "45.7 k/s");
        assert_eq!(Unit::Micros.show(1.234), "1.23 us");
        assert_eq!(Unit::Micros.show(1234.5), "1234 us");
        assert_eq!(Unit::Micros.show(64_000.0), "64.0 ms");
        assert_eq!(Unit::Bytes.show(2048.0), "2.0 KiB");
        assert_eq!(Unit::Times.show(1.07), "1.07 x");
    }

    #[test]
    fn a_rate_needs_time() {
        let mut metrics = Metrics::default();
        metrics.add_rate("nothing", 1, Duration::ZERO);
        metrics.add_rate("some", 10, Duration::from_secs(2));
        assert_eq!(metrics.iter().count(), 1);
        assert_eq!(metrics.get("some"), Some(5.0));
        assert_eq!(metrics.get("nothing"), None);
    }
}
