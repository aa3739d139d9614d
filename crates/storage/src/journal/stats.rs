//! Counters of the journal, cheap enough to be always on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the journal did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Syncs of frames.
    pub syncs: u64,
    /// Frames written.
    pub batches: u64,
    /// Bytes written, padding included.
    pub bytes: u64,
    /// Log entries made durable.
    pub entries_synced: u64,
    /// Records made durable, entries included.
    pub records: u64,
    /// Median of entries made durable by one sync, over syncs that had any.
    pub entries_per_sync_p50: u64,
    /// 99th percentile of what a write and its sync took, in microseconds.
    pub sync_us_p99: u64,
    /// Median of the same.
    pub sync_us_p50: u64,
    /// Writes with their syncs that took longer than [`SLOW_SYNC`].
    pub slow_syncs: u64,
    /// Segments on disk.
    pub segments: u64,
    /// Segments that were freed.
    pub segments_freed: u64,
    /// Segments that were begun in the file of a freed one, which saves writing its zeros.
    pub segments_recycled: u64,
}

/// A disk that takes longer than this for a sync holds up elections.
pub const SLOW_SYNC: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(crate) struct Stats {
    batches: AtomicU64,
    bytes: AtomicU64,
    entries: AtomicU64,
    records: AtomicU64,
    entries_per_sync: Histogram,
    sync_us: Histogram,
    slow_syncs: AtomicU64,
    segments_recycled: AtomicU64,
}

impl Stats {
    pub(crate) fn note_batch(&self, bytes: usize, records: usize, entries: u32, took: Duration) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.entries.fetch_add(u64::from(entries), Ordering::Relaxed);
        self.sync_us
            .add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if took > SLOW_SYNC {
            self.slow_syncs.fetch_add(1, Ordering::Relaxed);
        }
        if entries > 0 {
            self.entries_per_sync.add(u64::from(entries));
        }
    }

    pub(crate) fn note_recycled(&self) {
        self.segments_recycled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, segments: usize, segments_freed: u64) -> JournalStats {
        let batches = self.batches.load(Ordering::Relaxed);
        JournalStats {
            syncs: batches,
            batches,
            bytes: self.bytes.load(Ordering::Relaxed),
            entries_synced: self.entries.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            entries_per_sync_p50: self.entries_per_sync.quantile(0.5),
            sync_us_p99: self.sync_us.quantile(0.99),
            sync_us_p50: self.sync_us.quantile(0.5),
            slow_syncs: self.slow_syncs.load(Ordering::Relaxed),
            segments: segments as u64,
            segments_freed,
            segments_recycled: self.segments_recycled.load(Ordering::Relaxed),
        }
    }
}

/// Counts by size, in buckets an eighth of a power of two wide.
struct Histogram([AtomicU64; Histogram::BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Self::BUCKETS])
    }
}

impl Histogram {
    const BUCKETS: usize = 8 * 33;

    fn add(&self, value: u64) {
        let value = value.min(u64::from(u32::MAX));
        if let Some(bucket) = self.0.get(Self::bucket_of(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Values below 8 have a bucket each; above, the three bits after the leading one choose.
    fn bucket_of(value: u64) -> usize {
        if value < 8 {
            return value as usize;
        }
        let power = value.ilog2();
        (8 * (power - 2) + ((value >> (power - 3)) & 7) as u32) as usize
    }

    fn lower_bound(bucket: usize) -> u64 {
        if bucket < 8 {
            return bucket as u64;
        }
        (8 + (bucket as u64 % 8)) << (bucket / 8 - 1)
    }

    fn quantile(&self, quantile: f64) -> u64 {
        let counts: Vec<u64> = self
            .0
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        let mut left = (total as f64 * quantile).ceil().max(1.0);
        for (bucket, count) in counts.iter().enumerate() {
            left -= *count as f64;
            if left <= 0.0 {
                return Self::lower_bound(bucket);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_an_eighth_wide_and_in_order() {
        for value in (0..70_000).chain([u64::from(u32::MAX)]) {
            let bucket = Histogram::bucket_of(value);
            assert!(bucket < Histogram::BUCKETS);
            assert!(Histogram::lower_bound(bucket) <= value && value < Histogram::lower_bound(bucket + 1));
            assert!(value - Histogram::lower_bound(bucket) <= value / 8);
        }
    }

    #[test]
    fn quantiles() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        for value in 1..=100 {
            histogram.add(value);
        }
        assert_eq!(histogram.quantile(0.5), 48);
        assert_eq!(histogram.quantile(0.99), 96);
        assert_eq!(histogram.quantile(1.0), 96);
    }
}
