//! The axis of time that all charts of a page share.

use crate::record::Record;

/// Units of the axis from its beginning to its end. Charts draw in units; the browser stretches them.
pub(super) const UNITS: u64 = 100_000;

/// The widths that buckets of time may have, in milliseconds.
const BUCKETS_MS: [u64; 14] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
    3_600_000,
];

/// Buckets that a line has at most.
const BUCKETS_MAX: u64 = 150;

/// From the beginning of a run to the last thing that is known of it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) length_ns: u64,
}

impl Frame {
    /// That of a run. Never empty.
    pub(super) fn of(record: &Record) -> Self {
        let phases = record.phases.iter().map(|phase| phase.end_ns);
        let faults = record.faults.iter().map(|fault| fault.end_ns);
        let samples = record.leaders.iter().map(|sample| sample.time_ns);
        let events = record.history.events().last().map(|event| event.time_ns);
        let last = phases.chain(faults).chain(samples).chain(events).max();
        Self {
            length_ns: last.unwrap_or(0).max(1_000_000_000),
        }
    }

    /// Nanoseconds.
    pub(super) fn length_ns(&self) -> u64 {
        self.length_ns
    }

    /// A moment in units; what lies behind the end is at the end.
    pub(super) fn x(&self, ns: u64) -> u64 {
        let units = u128::from(ns) * u128::from(UNITS) / u128::from(self.length_ns);
        u64::try_from(units).unwrap_or(UNITS).min(UNITS)
    }

    /// The width of the buckets of this frame.
    pub(super) fn bucket_ns(&self) -> u64 {
        let fits = |ms: &u64| self.length_ns / (ms * 1_000_000) < BUCKETS_MAX;
        let longest = self.length_ns / BUCKETS_MAX + 1;
        BUCKETS_MS
            .into_iter()
            .find(fits)
            .map_or(longest, |ms| ms * 1_000_000)
    }

    /// How many buckets there are.
    pub(super) fn buckets(&self) -> usize {
        self.length_ns.div_ceil(self.bucket_ns()) as usize
    }

    /// The bucket of a moment.
    pub(super) fn bucket(&self, ns: u64) -> usize {
        ((ns / self.bucket_ns()) as usize).min(self.buckets() - 1)
    }

    /// Round moments to write beneath a chart: units and seconds.
    pub(super) fn ticks(&self) -> Vec<(u64, u64)> {
        const STEPS: [u64; 13] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 36_000];
        let seconds = self.length_ns / 1_000_000_000;
        let fits = |step: &u64| seconds / step <= 12;
        let step = STEPS.into_iter().find(fits).unwrap_or(seconds / 12 + 1);
        (0..=seconds / step)
            .map(|number| (self.x(number * step * 1_000_000_000), number * step))
            .collect()
    }
}
