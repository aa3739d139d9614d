//! Do bounded reads keep their bound: a read with a maximal age sees every write that was
//! acknowledged, or seen by anybody, at least that long before the read was invoked?
//!
//! If the answer tells how old the replica's state was, this is held against it too: the age must be
//! within the maximum, and writes older than the age must be seen. An eventual read is asked for no
//! bound, but is held to the age that its answer told, if it told one.

use super::by_key;
use super::order::{Removals, Sighting, sighting};
use crate::event::{Call, Level};
use crate::history::History;
use crate::operation::Operation;
use crate::verdict::{Findings, Verdict};

/// Judges the bounded gets, and the eventual ones that tell their age. A key where an answer lacks its version is [`Verdict::Unknown`] unless
/// something else is wrong, if it has bounded gets at all.
pub fn staleness(history: &History) -> Verdict {
    let mut findings = Findings::new("staleness");
    for (key, operations) in by_key(history, Call::is_register) {
        if !operations.iter().any(|operation| bound(operation).is_some()) {
            continue;
        }
        let unclear = |operation: &&&Operation| sighting(operation) == Sighting::Unversioned;
        if let Some(operation) = operations.iter().find(unclear) {
            findings.unknown(key, format!("an answer without version: {operation}"));
        }
        let acknowledged = Acknowledged::new(&operations);
        let removals = Removals::new(&operations);
        for operation in &operations {
            let Some(max_age_ns) = bound(operation) else {
                continue;
            };
            findings.judged(1);
            if let Some(what) = judge(operation, max_age_ns, &acknowledged, &removals) {
                let message = format!("{what}: {operation}");
                findings.wrong(key, message, Some(operation.invoked.index));
            }
        }
    }
    findings.verdict()
}

/// The greatest age that a read allows, or that its answer promised.
fn bound(operation: &Operation) -> Option<u64> {
    match operation.call.level() {
        Some(Level::Bounded { max_age_ns }) => Some(max_age_ns),
        Some(Level::Eventual) => operation.origin.age_ns,
        _ => None,
    }
}

fn judge(
    operation: &Operation,
    max_age_ns: u64,
    acknowledged: &Acknowledged,
    removals: &Removals,
) -> Option<String> {
    let seen = sighting(operation);
    if seen == Sighting::Nothing {
        return None;
    }
    let age_ns = operation.origin.age_ns.unwrap_or(max_age_ns);
    if age_ns > max_age_ns {
        return Some(format!("{age_ns} ns old, at most {max_age_ns} were asked for"));
    }
    let floor = acknowledged.until(operation.invoked.time_ns.checked_sub(age_ns)?);
    let fine = match seen {
        Sighting::Version(version) => version >= floor,
        Sighting::Absent => removals.oldest(floor, operation.ended()).is_some(),
        Sighting::Nothing | Sighting::Unversioned => true,
    };
    (!fine).then(|| format!("misses version {floor}, acknowledged more than {age_ns} ns before"))
}

/// The versions in answers, by time.
struct Acknowledged {
    /// Time of the answer, and the highest version in answers until then.
    newest: Vec<(u64, u64)>,
}

impl Acknowledged {
    fn new(operations: &[&Operation]) -> Self {
        let mut newest: Vec<(u64, u64)> = operations
            .iter()
            .filter_map(|operation| match sighting(operation) {
                Sighting::Version(version) => Some((operation.completed?.time_ns, version)),
                _ => None,
            })
            .collect();
        newest.sort_unstable();
        let mut highest = 0;
        for (_, version) in &mut newest {
            highest = highest.max(*version);
            *version = highest;
        }
        Self { newest }
    }

    /// The highest version in an answer that was there at a time; 0 if there was none.
    fn until(&self, time_ns: u64) -> u64 {
        let count = self.newest.partition_point(|(at, _)| *at <= time_ns);
        let last = count.checked_sub(1).and_then(|last| self.newest.get(last));
        last.map_or(0, |(_, version)| *version)
    }
}
