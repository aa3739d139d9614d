//! Collects what the workers saw within the window.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_env::Instant;
use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::target::Outcome;

/// Latencies from a microsecond to ten minutes, to three digits.
const LATENCY_NS_MIN: u64 = 1_000;
const LATENCY_NS_MAX: u64 = 600_000_000_000;
const DIGITS: u8 = 3;

/// Shared by all workers: one lock, taken once per operation; with one client thread it is free.
pub(super) struct Recorder(Mutex<State>);

struct State {
    open: bool,
    start: Instant,
    last_success: Instant,
    recording: Recording,
    tick: (u64, u64),
}

/// What happened within the window.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    /// The window's length.
    pub(super) elapsed: Duration,
    /// Latencies of successful reads, in nanoseconds.
    pub(super) reads: Histogram<u64>,
    /// Latencies of successful writes, in nanoseconds.
    pub(super) writes: Histogram<u64>,
    /// Reads that found nothing; they count as successful.
    pub(super) missing: u64,
    /// Failures by kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// The longest time without a successful operation.
    pub(super) longest_gap: Duration,
    /// When it began, from the start of the window.
    pub(super) longest_gap_at: Duration,
}

impl Recorder {
    /// Records nothing until opened.
    pub(super) fn new(now: Instant) -> Self {
        let histogram = || {
            Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, DIGITS)
                .expect("the bounds are constants that fit each other")
        };
        let recording = Recording {
            elapsed: Duration::ZERO,
            reads: histogram(),
            writes: histogram(),
            missing: 0,
            errors: BTreeMap::new(),
            longest_gap: Duration::ZERO,
            longest_gap_at: Duration::ZERO,
        };
        Self(Mutex::new(State {
            open: false,
            start: now,
            last_success: now,
            recording,
            tick: (0, 0),
        }))
    }

    /// The window begins.
    pub(super) fn open(&self, now: Instant) {
        let mut state = self.0.lock();
        state.open = true;
        state.start = now;
        state.last_success = now;
    }

    /// The window ends; what comes later is not counted.
    pub(super) fn close(&self, now: Instant) -> Recording {
        let mut state = self.0.lock();
        state.open = false;
        state.success_at(now);
        state.recording.elapsed = now.since(state.start);
        state.recording.clone()
    }

    /// Takes the end of one operation.
    pub(super) fn record(&self, is_read: bool, begin: Instant, end: Instant, outcome: Outcome) {
        let mut state = self.0.lock();
        if !state.open {
            return;
        }
        if let Outcome::Failed(kind) = outcome {
            *state.recording.errors.entry(kind).or_default() += 1;
            state.tick.1 += 1;
            return;
        }
        state.success_at(end);
        state.tick.0 += 1;
        state.recording.missing += u64::from(outcome == Outcome::Missing);
        let latency = end.since(begin).as_nanos() as u64;
        let State {
            recording: Recording { reads, writes, .. },
            ..
        } = &mut *state;
        let histogram = if is_read { reads } else { writes };
        histogram.saturating_record(latency);
    }

    /// Successful and failed operations since the last call.
    pub(super) fn tick(&self) -> (u64, u64) {
        std::mem::take(&mut self.0.lock().tick)
    }
}

impl State {
    fn success_at(&mut self, now: Instant) {
        let gap = now.since(self.last_success);
        if gap > self.recording.longest_gap {
            self.recording.longest_gap = gap;
            self.recording.longest_gap_at = self.last_success.since(self.start);
        }
        self.last_success = self.last_success.max(now);
    }
}

impl Recording {
    /// Successful operations.
    pub(super) fn operations(&self) -> u64 {
        self.reads.len() + self.writes.len()
    }

    /// Latencies of reads and writes together.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        let mut all = self.reads.clone();
        all.add(&self.writes).expect("both have the same bounds");
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn only_the_window_counts() {
        let recorder = Recorder::new(at(0));
        recorder.record(true, at(0), at(1), Outcome::Done);
        recorder.open(at(1000));
        recorder.record(true, at(999), at(1001), Outcome::Done);
        recorder.record(true, at(1001), at(1002), Outcome::Missing);
        recorder.record(false, at(1002), at(1005), Outcome::Done);
        recorder.record(false, at(1002), at(1006), Outcome::Failed("deadline".to_owned()));
        assert_eq!(recorder.tick(), (3, 1));
        assert_eq!(recorder.tick(), (0, 0));
        let recording = recorder.close(at(2000));
        recorder.record(true, at(2000), at(2001), Outcome::Done);
        assert_eq!(
            (recording.reads.len(), recording.writes.len(), recording.missing),
            (2, 1, 1)
        );
        assert_eq!(recording.operations(), 3);
        assert_eq!(recording.elapsed, Duration::from_secs(1));
        assert_eq!(recording.errors.get("deadline"), Some(&1));
        let max = recording.latencies().max();
        assert!((2_990_000..3_010_000).contains(&max), "{max}");
    }

    #[test]
    fn the_longest_gap_may_be_at_either_end() {
        let recorder = Recorder::new(at(0));
        recorder.open(at(1000));
        recorder.record(false, at(1000), at(1300), Outcome::Done);
        recorder.record(false, at(1300), at(1400), Outcome::Done);
        // A failure is no success.
        recorder.record(
            false,
            at(1400),
            at(1500),
            Outcome::Failed("unavailable".to_owned()),
        );
        let recording = recorder.close(at(1900));
        assert_eq!(recording.longest_gap, Duration::from_millis(500));
        assert_eq!(recording.longest_gap_at, Duration::from_millis(400));
        let idle = Recorder::new(at(0));
        idle.open(at(1000));
        assert_eq!(idle.close(at(4000)).longest_gap, Duration::from_secs(3));
    }
}
