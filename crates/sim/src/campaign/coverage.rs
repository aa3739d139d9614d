//! What a campaign must have reached to mean anything.

use super::Totals;

/// Faults and states of which a campaign needs each at least once.
pub const MUST_HAPPEN: &[&str] = &[
    "crashes of a process",
    "crashes that lose all un-synced bytes",
    "crashes that tear",
    "blackouts",
    "pauses",
    "slow nodes",
    "shutdowns",
    "leaderships handed over",
    "cuts",
    "slow links",
    "broken connections",
    "frames lost",
    "frames late",
    "requests delivered twice",
    "raft frames delivered twice",
    "read errors",
    "write errors",
    "sync errors",
    "disk full",
    "misdirected writes",
    "bits flipped",
    "sync stalls",
    "troubles in the product",
    "processes that ended by themselves",
    "a leader crashed",
    "a leader crashed between append and flush",
    "a leader crashed with uncommitted entries",
    "a follower cut entries of a deposed leader",
    "a follower got a read index from its leader",
    "an ambiguous write was sent again",
    "a client followed a redirect",
    "a session expired and another took its place",
    "entries were read back from the disk",
    "recovery found rot",
    "a replica was kept in quarantine",
    "a read that met damaged bytes was taken to another replica",
    "a checkpoint was written",
    "a replica began with a checkpoint",
    "runs were merged",
    "a log was purged",
    "segments were let go",
    "values were moved",
    "a snapshot was sent",
    "a snapshot was installed",
    "rows that an entry looks at were read ahead",
];

/// What of it was not reached.
pub fn missing(totals: &Totals) -> Vec<&'static str> {
    let happened = |name: &&str| totals.faults.contains_key(name) || totals.reached.contains_key(name);
    MUST_HAPPEN
        .iter()
        .copied()
        .filter(|name| !happened(name))
        .collect()
}
