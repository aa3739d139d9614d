//! What a shard counts about itself. Monotonic since start; cheap enough for every entry.

use std::sync::atomic::{AtomicU64, Ordering};

const BUCKETS: usize = 13;

/// Counts of values in power-of-two buckets: bucket n holds values from 2^n up to, without, 2^(n+1).
#[derive(Debug, Default)]
pub(crate) struct Histogram([AtomicU64; BUCKETS]);

/// A copy of a [`Histogram`]'s buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HistogramCounts([u64; BUCKETS]);

impl Histogram {
    /// Counts a value; 0 counts as 1.
    pub(crate) fn record(&self, value: usize) {
        let bucket = (value.max(1).ilog2() as usize).min(BUCKETS - 1);
        if let Some(count) = self.0.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The buckets now.
    pub(crate) fn counts(&self) -> HistogramCounts {
        let mut counts = [0; BUCKETS];
        for (to, from) in counts.iter_mut().zip(&self.0) {
            *to = from.load(Ordering::Relaxed);
        }
        HistogramCounts(counts)
    }
}

impl HistogramCounts {
    /// Adds another histogram's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(&other.0) {
            *to += from;
        }
    }

    /// The median, to within its bucket: the bucket's lower bound plus the share of the bucket below
    /// the middle. 0 when nothing was counted.
    pub(crate) fn p50(&self) -> u64 {
        let total: u64 = self.0.iter().sum();
        let middle = total.div_ceil(2);
        let mut below = 0;
        for (bucket, &count) in self.0.iter().enumerate() {
            if count > 0 && below + count >= middle {
                let low = 1_u64 << bucket;
                return low + low * (middle - below).saturating_sub(1) / count;
            }
            below += count;
        }
        0
    }
}

/// A shard's counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Entries packed by this node's proposer.
    pub(crate) entries: AtomicU64,
    /// Commands in them.
    pub(crate) commands: AtomicU64,
    /// Read operations answered.
    pub(crate) reads: AtomicU64,
    /// Of them, those served while another replica led.
    pub(crate) follower_reads: AtomicU64,
    /// Read batches that waited for the read index.
    pub(crate) read_batches: AtomicU64,
    /// Reads that had to wait for a disk.
    pub(crate) cold_reads: AtomicU64,
    /// How many commands each entry carried.
    pub(crate) commands_per_entry: Histogram,
}

impl Counters {
    /// Adds to a counter.
    pub(crate) fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }

    /// Reads a counter.
    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_its_bucket() {
        let histogram = Histogram::default();
        assert_eq!(histogram.counts().p50(), 0);
        for value in [1, 1, 1, 40, 50, 60, 63, 5000] {
            histogram.record(value);
        }
        let p50 = histogram.counts().p50();
        assert!((32..64).contains(&p50), "{p50}");
        let mut sum = histogram.counts();
        sum.add(&histogram.counts());
        assert!((32..64).contains(&sum.p50()));
    }

    #[test]
    fn ones_only_are_one_and_huge_values_fit() {
        let histogram = Histogram::default();
        histogram.record(0);
        histogram.record(1);
        assert_eq!(histogram.counts().p50(), 1);
        histogram.record(usize::MAX);
        assert_eq!(histogram.counts().p50(), 1);
    }
}
