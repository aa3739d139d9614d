//! Is there an order of all operations on a key, consistent with real time, in which every answer is
//! what a register would have answered?
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the
//! memory of visited states of Lowe ("Testing for linearizability", 2017). Linearizability is local
//! (Herlihy and Wing, 1990), so each key is searched alone.
//!
//! The register holds nothing, or a value with a version. A write brings its version; that of a write
//! whose answer never came is open until an operation shows it. No two writes of a key have the same
//! version. Whether versions grow is not asked here but by [`super::versions`].
//!
//! What keeps the search small, and why nothing is missed:
//! - A read that fits the present state is placed at once, without alternative: placing it earlier
//!   than another order does changes no state and breaks no answer.
//! - If a value was stored by one write only, the write took effect before every answer that shows
//!   the value; so a write of unknown outcome *ends* at the first of them.
//! - A write of unknown outcome that no answer shows by its value may be left out, and if it is not,
//!   then something must look at what it left before the next write comes: otherwise leaving it out
//!   gives another order that explains the same. So it is placed only directly before an operation
//!   that looks at the state. If no operation can look at it at all, it is dropped beforehand.
//! - Of several such puts, or deletes, the one invoked first is tried alone: in any order where a later one
//!   stands here, the two can be exchanged.
//! - Versions, where known, say which write to try first. They never exclude one.
//!
//! The search is exponential in the worst case, so it has a budget. Keys take turns with growing
//! shares, so that one hard key does not hide a violation of another.

mod entries;
mod explain;
mod plan;
mod search;
mod state;

use super::by_key;
use crate::event::Call;
use crate::history::History;
use crate::operation::Operation;
use crate::verdict::{Findings, Verdict};
use plan::Plan;
use search::{Progress, Search};

/// How many steps each key gets in the first round, and how much more in each later one.
const FIRST_SHARE: u64 = 1_000;
const SHARE_GROWTH: u64 = 8;

/// How much a check may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Operations tried in some place, over all keys. Each may be remembered, with 16 bytes and what
    /// the hash table adds.
    pub steps: u64,
}

impl Default for Budget {
    /// 5 million steps: seconds, or a minute where very many writes are unknown, and some 200 MiB.
    fn default() -> Self {
        Self { steps: 5_000_000 }
    }
}

/// Judges puts, deletes, compare-and-sets and linearizable gets, key by key. Weaker reads are left
/// out. [`Verdict::Unknown`] names the keys that the budget did not suffice for.
pub fn linearizable(history: &History, budget: Budget) -> Verdict {
    let mut findings = Findings::new("linearizable");
    let mut open = Vec::new();
    for (key, mut operations) in by_key(history, Call::is_register) {
        operations.retain(|operation| operation.is_linearizable());
        findings.judged(operations.len());
        match Plan::new(&operations) {
            Ok(plan) => open.push((key, Search::new(plan), operations)),
            Err(message) => findings.wrong(key, message, None),
        }
    }
    let mut left = budget.steps;
    let mut share = FIRST_SHARE;
    while !open.is_empty() && left > 0 {
        open.retain_mut(|(key, search, operations)| {
            let granted = share.min(left);
            let progress = search.run(granted);
            left -= search.spent().min(left);
            report(&mut findings, key, &progress, operations);
            progress == Progress::Paused
        });
        share = share.saturating_mul(SHARE_GROWTH);
    }
    for (key, search, _) in &open {
        let steps = search.steps();
        findings.unknown(key, format!("undecided after {steps} steps"));
    }
    findings.verdict()
}

fn report(findings: &mut Findings, key: &str, progress: &Progress, operations: &[&Operation]) {
    if let Progress::Stuck(stuck) = progress {
        let (message, blocked, prefix) = explain::explain(stuck, operations);
        findings.not_linearizable(key, message, blocked, prefix);
    }
}
