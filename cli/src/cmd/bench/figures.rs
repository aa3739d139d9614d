//! CPU time and batching, from the processes themselves.

use std::collections::BTreeMap;

use atoll_proto::v1::Counters;
use rustix::time::{ClockId, clock_gettime};

use super::recorder::Recording;

/// Everything that is reported.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// What the workers saw.
    pub(super) recording: Recording,
    /// CPU time of this process within the window.
    pub(super) client_cpu_us: u64,
    /// What each server counted within the window. Servers that were down or restarted are left out.
    pub(super) nodes: BTreeMap<u64, Counters>,
}

/// A reading of this process' CPU time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpu(u64);

impl Cpu {
    /// User and system time of all threads so far.
    pub(super) fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Self(time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000)
    }

    /// Microseconds since an earlier reading.
    pub(super) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What each node did between two readings. A node that was restarted counts from 0 again and is left
/// out, as is one that is missing in either reading.
pub(super) fn nodes(
    before: &BTreeMap<u64, Counters>,
    after: &BTreeMap<u64, Counters>,
) -> BTreeMap<u64, Counters> {
    let both = after
        .iter()
        .filter_map(|(node, after)| Some((*node, before.get(node)?, after)));
    both.filter_map(|(node, before, after)| Some((node, difference(before, after)?)))
        .collect()
}

/// Medians are as the server has them; it does not know of our window.
fn difference(before: &Counters, after: &Counters) -> Option<Counters> {
    Some(Counters {
        entries: after.entries.checked_sub(before.entries)?,
        commands: after.commands.checked_sub(before.commands)?,
        syncs: after.syncs.checked_sub(before.syncs)?,
        entries_synced: after.entries_synced.checked_sub(before.entries_synced)?,
        bytes_synced: after.bytes_synced.checked_sub(before.bytes_synced)?,
        peer_frames: after.peer_frames.checked_sub(before.peer_frames)?,
        peer_messages: after.peer_messages.checked_sub(before.peer_messages)?,
        read_rounds: after.read_rounds.checked_sub(before.read_rounds)?,
        reads: after.reads.checked_sub(before.reads)?,
        cpu_us: after.cpu_us.checked_sub(before.cpu_us)?,
        follower_reads: after.follower_reads.checked_sub(before.follower_reads)?,
        forwarded: after.forwarded.checked_sub(before.forwarded)?,
        redirected: after.redirected.checked_sub(before.redirected)?,
        overloaded: after.overloaded.checked_sub(before.overloaded)?,
        block_cache_hits: after.block_cache_hits.checked_sub(before.block_cache_hits)?,
        block_cache_misses: after.block_cache_misses.checked_sub(before.block_cache_misses)?,
        row_cache_hits: after.row_cache_hits.checked_sub(before.row_cache_hits)?,
        row_cache_misses: after.row_cache_misses.checked_sub(before.row_cache_misses)?,
        ..*after
    })
}

impl Figures {
    /// CPU microseconds of all measured servers.
    pub(super) fn servers_cpu_us(&self) -> u64 {
        self.nodes.values().map(|counters| counters.cpu_us).sum()
    }

    /// Divides by the number of successful operations.
    pub(super) fn per_operation(&self, amount: u64) -> f64 {
        ratio(amount, self.recording.operations())
    }

    /// Median number of commands in a log entry.
    pub(super) fn commands_per_entry_p50(&self) -> u64 {
        weighted_median(
            self.nodes
                .values()
                .map(|node| (node.commands_per_entry_p50, node.entries)),
        )
    }

    /// Median number of log entries in a disk sync.
    pub(super) fn entries_per_sync_p50(&self) -> u64 {
        weighted_median(
            self.nodes
                .values()
                .map(|node| (node.entries_per_sync_p50, node.syncs)),
        )
    }

    /// Mean commands in an entry, within the window.
    pub(super) fn commands_per_entry_mean(&self) -> f64 {
        ratio(self.sum(|node| node.commands), self.sum(|node| node.entries))
    }

    /// Mean entries in a sync, within the window.
    pub(super) fn entries_per_sync_mean(&self) -> f64 {
        ratio(self.sum(|node| node.entries_synced), self.sum(|node| node.syncs))
    }

    /// Mean reads that share a round of asking the followers, within the window.
    pub(super) fn reads_per_round_mean(&self) -> f64 {
        ratio(self.sum(|node| node.reads), self.sum(|node| node.read_rounds))
    }

    /// Reads served by replicas that did not lead; calls passed on to another node; refusals that named
    /// another node.
    pub(super) fn detours(&self) -> [(&'static str, u64); 3] {
        [
            ("on_followers", self.sum(|node| node.follower_reads)),
            ("forwarded", self.sum(|node| node.forwarded)),
            ("redirected", self.sum(|node| node.redirected)),
        ]
    }

    fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.nodes.values().map(of).sum()
    }
}

fn ratio(amount: u64, count: u64) -> f64 {
    if count == 0 {
        0.0
    } else {
        amount as f64 / count as f64
    }
}

/// The value at which half of the weight is reached; 0 without any weight.
fn weighted_median(values: impl Iterator<Item = (u64, u64)>) -> u64 {
    let mut values: Vec<_> = values
        .filter(|&(value, weight)| value > 0 && weight > 0)
        .collect();
    values.sort_unstable();
    let half = values.iter().map(|&(_, weight)| weight).sum::<u64>().div_ceil(2);
    let mut seen = 0;
    let at_half = values.into_iter().find(|&(_, weight)| {
        seen += weight;
        seen >= half
    });
    at_half.map_or(0, |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(cpu_us: u64, entries: u64) -> Counters {
        Counters {
            cpu_us,
            entries,
            ..Counters::default()
        }
    }

    #[test]
    fn only_nodes_seen_twice_and_not_restarted_count() {
        let before = BTreeMap::from([
            (1, counters(100, 5)),
            (2, counters(100, 5)),
            (3, counters(100, 5)),
        ]);
        let after = BTreeMap::from([(1, counters(350, 9)), (2, counters(7, 1)), (4, counters(1, 1))]);
        let nodes = nodes(&before, &after);
        assert_eq!(nodes.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!((nodes[&1].cpu_us, nodes[&1].entries), (250, 4));
    }

    #[test]
    fn medians_weigh_what_nodes_did() {
        assert_eq!(weighted_median([(10, 1), (40, 100), (90, 2)].into_iter()), 40);
        assert_eq!(weighted_median([(0, 50), (7, 1)].into_iter()), 7);
        assert_eq!(weighted_median([(0, 0)].into_iter()), 0);
        assert_eq!(weighted_median(std::iter::empty()), 0);
    }

    #[test]
    fn cpu_time_goes_forward() {
        let before = Cpu::now();
        let mut sum = 0_u64;
        while Cpu::now().since(before) == 0 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(Cpu::now().since(before) > 0);
    }
}
