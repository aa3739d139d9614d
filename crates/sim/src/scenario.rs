//! What a run is like, drawn from its seed.
//!
//! Swarm: every seed has some kinds of faults switched on and the others off, each with a rate of its
//! own. Runs that have everything all the time look alike, and one fault hides what another would
//! have shown.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_env::net::MemNetOptions;
use atoll_proto::method;

use crate::luck::Luck;

/// How wrong wall clocks may be where clients use several groups. Twice this and what clocks drift
/// apart in a run stays below the minute by which versions may be ahead.
const WALL_ERROR_MS_MAX: u64 = 8000;

/// A kind of fault that a run has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the names say it; crates/sim/src/nemesis says what each does"
)]
pub enum Fault {
    Crash,
    CrashLeader,
    Blackout,
    Pause,
    Slow,
    Shutdown,
    Transfer,
    Cut,
    OneWay,
    Halves,
    Bridge,
    Ring,
    Flap,
    ClientCut,
    BreakConnections,
    SlowLink,
    WriteErrors,
    SyncErrors,
    ReadErrors,
    FullDisk,
    Stalls,
    BitFlips,
    Misdirected,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Crash,
        Self::CrashLeader,
        Self::Blackout,
        Self::Pause,
        Self::Slow,
        Self::Shutdown,
        Self::Transfer,
        Self::Cut,
        Self::OneWay,
        Self::Halves,
        Self::Bridge,
        Self::Ring,
        Self::Flap,
        Self::ClientCut,
        Self::BreakConnections,
        Self::SlowLink,
        Self::WriteErrors,
        Self::SyncErrors,
        Self::ReadErrors,
        Self::FullDisk,
        Self::Stalls,
        Self::BitFlips,
        Self::Misdirected,
    ];

    /// True for faults that change or hide bytes without a word, or make them unreadable. Only one
    /// node of a run has such a disk: more could destroy every copy.
    pub fn spoils(self) -> bool {
        matches!(self, Self::ReadErrors | Self::BitFlips | Self::Misdirected)
    }
}

/// Which runs to draw from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Any mixture.
    #[default]
    Swarm,
    /// Three nodes, one data group, crashes and cuts: short, and eventful every time.
    Smoke,
    /// Any mixture in which the power goes often, while checkpoints and merges are small and frequent.
    Power,
    /// Any mixture in which processes end often, and find bytes of a disk changed.
    Rot,
}

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Data groups.
    pub groups: u32,
    /// Client processes.
    pub clients: usize,
    /// Tasks of each client process that ask one thing after the other.
    pub workers: usize,
    /// Keys they share.
    pub keys: usize,
    /// How long a worker rests between two operations, at most.
    pub rest: Duration,
    /// Kinds of faults.
    pub faults: BTreeSet<Fault>,
    /// Mean time between two faults of one kind, in milliseconds.
    pub gap_ms: u64,
    /// The node whose disk may spoil bytes.
    pub bad_disk: usize,
    /// Clocks run up to this part faster or slower than they should.
    pub drift: f64,
    /// Wall clocks are wrong by up to this, in milliseconds.
    pub wall_error_ms: u64,
    /// The network when nothing is cut.
    pub net: MemNetOptions,
    /// What disks write whole or not at all.
    pub sector_bytes: u64,
    /// The longest sync of a healthy disk.
    pub sync: Duration,
    /// Reads that have to wait, in a thousand.
    pub cold_reads_permille: u64,
    /// How often, of a million times, points in the product make trouble, at most.
    pub trouble_per_million: u64,
    /// How long such a point waits, at most.
    pub trouble_pause: Duration,
    /// Sessions expire after so much group time unused, and only a few are kept; none: they outlive the
    /// run.
    pub session_ttl: Option<Duration>,
    /// A group's rows in memory, and its entries since the last checkpoint, that make it write another one, in bytes.
    pub checkpoint_bytes: u64,
    /// Entries at the end of a log that are kept for followers although a checkpoint has them.
    pub keep_entries: u64,
    /// And newest segments of the journal whose entries are.
    pub keep_segments: u32,
    /// Bytes of the journal from which on values are moved out of its oldest segments.
    pub journal_budget: u64,
    /// Leaders refuse writes while their disk has less free, in bytes.
    pub disk_keep_free: u64,
    /// Files at rest are encrypted.
    pub sealed: bool,
}

impl Scenario {
    /// The one of this seed.
    pub fn draw(seed: u64, profile: Profile) -> Self {
        let luck = Luck::new(seed, "scenario");
        let mut scenario = Self {
            nodes: if luck.percent(20) { 5 } else { 3 },
            groups: luck.between(1..4) as u32,
            clients: luck.between(2..5) as usize,
            workers: luck.between(1..4) as usize,
            keys: luck.pick(&[3, 10, 30]),
            rest: luck.pick(&[10, 40, 150].map(Duration::from_millis)),
            faults: draw_faults(&luck),
            gap_ms: luck.between(1000..8000),
            bad_disk: 1 + luck.between(0..3) as usize,
            drift: luck.pick(&[0.0, 0.01, 0.2]),
            wall_error_ms: luck.pick(&[0, 1000, 600_000, 7_200_000]),
            net: draw_net(&luck),
            sector_bytes: luck.pick(&[512, 4096]),
            sync: luck.millis(1..7),
            cold_reads_permille: luck.between(0..2) * 100,
            trouble_per_million: luck.pick(&[0, 1000, 20_000]),
            trouble_pause: luck.pick(&[20, 300, 2000].map(Duration::from_millis)),
            session_ttl: luck
                .pick(&[None, None, Some(1), Some(5)])
                .map(Duration::from_secs),
            checkpoint_bytes: luck.pick(&[1 << 30, 256 << 10, 64 << 10, 16 << 10]),
            keep_entries: luck.pick(&[10_000, 100, 10, 0]),
            keep_segments: luck.pick(&[4, 1]),
            journal_budget: luck.pick(&[1 << 30, 256 << 10, 32 << 10]),
            disk_keep_free: luck.pick(&[0, 0, 16 << 20]),
            sealed: luck.percent(25),
        };
        match profile {
            Profile::Swarm => {}
            Profile::Smoke => scenario.make_smoke(),
            Profile::Power => scenario.make_dark(),
            Profile::Rot => scenario.make_rotten(),
        }
        if scenario.groups > 1 {
            // A client carries versions from group to group, and a leader refuses those far ahead of
            // its own clock: clocks further apart than that are a cluster out of order.
            scenario.wall_error_ms = scenario.wall_error_ms.min(WALL_ERROR_MS_MAX);
        }
        scenario
    }

    fn make_smoke(&mut self) {
        (self.nodes, self.groups) = (3, 1);
        (self.clients, self.workers, self.keys) = (3, 4, 10);
        self.rest = Duration::from_millis(10);
        self.faults = BTreeSet::from([
            Fault::Crash,
            Fault::CrashLeader,
            Fault::Blackout,
            Fault::Cut,
            Fault::OneWay,
        ]);
        self.gap_ms = 1000;
        self.trouble_per_million = 0;
        self.session_ttl = None;
        self.checkpoint_bytes = 32 << 10;
        self.net.late_per_million = 0;
    }

    fn make_dark(&mut self) {
        self.faults.extend([Fault::Blackout, Fault::Crash, Fault::Stalls]);
        self.gap_ms = self.gap_ms.min(1500);
        self.checkpoint_bytes = 16 << 10;
        self.journal_budget = 32 << 10;
        self.trouble_per_million = 20_000;
        self.disk_keep_free = 0;
    }

    fn make_rotten(&mut self) {
        self.faults
            .extend([Fault::BitFlips, Fault::Crash, Fault::CrashLeader]);
        self.gap_ms = self.gap_ms.min(700);
        // What is looked for stands in plain frames of the newest segment.
        self.sealed = false;
    }

    /// True if the run has this kind of fault.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

fn draw_faults(luck: &Luck) -> BTreeSet<Fault> {
    // Some runs have one kind only: what it does alone.
    if luck.percent(15) {
        return BTreeSet::from([luck.pick(&Fault::ALL)]);
    }
    let share = luck.between(10..70);
    Fault::ALL
        .into_iter()
        .filter(|fault| {
            // What ends processes is needed most often: without it there is no recovery to test.
            let basic = matches!(fault, Fault::Crash | Fault::CrashLeader | Fault::Cut);
            luck.percent(if basic { share.max(50) } else { share })
        })
        .collect()
}

fn draw_net(luck: &Luck) -> MemNetOptions {
    MemNetOptions {
        seed: luck.bits64(),
        delay: Duration::from_micros(100)..luck.millis(2..10),
        loss_per_million: luck.pick(&[0, 500, 5000]),
        late_per_million: luck.pick(&[0, 0, 1000, 10_000]),
        late: Duration::from_millis(50)..luck.millis(100..3000),
        copies_per_million: luck.pick(&[0, 5000, 50_000]),
        copied_streams: vec![method::RAFT],
        give_up: luck.millis(500..10_000),
        ..MemNetOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_every_kind_is_drawn() {
        let mut seen = BTreeSet::new();
        let (mut five, mut alone, mut several, mut sealed) = (0, 0, 0, 0);
        for seed in 0..300 {
            let scenario = Scenario::draw(seed, Profile::Swarm);
            assert!(!scenario.faults.is_empty() || seed > 0);
            five += usize::from(scenario.nodes == 5);
            alone += usize::from(scenario.faults.len() == 1);
            several += usize::from(scenario.groups > 1);
            sealed += usize::from(scenario.sealed);
            seen.extend(scenario.faults);
        }
        assert_eq!(seen, BTreeSet::from(Fault::ALL));
        assert!(
            five > 20 && alone > 20 && several > 100 && sealed > 30,
            "{five} {alone} {several} {sealed}"
        );
    }
}
