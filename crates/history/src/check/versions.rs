//! Do the versions make one order of the writes that agrees with real time, and does every answer
//! agree with that order?
//!
//! - Versions and writes belong together one to one, and no write shows that was said not to happen.
//! - What began after an answer was there sees at least that answer's version, and a write gets a
//!   higher one. Reads of everything at the end, being ordinary operations, thereby show that
//!   nothing acknowledged is missing.
//! - A compare-and-set follows its expected version with no write in between.
//!
//! Reads of weaker levels need not be up to date, but what they show did happen. No search, so
//! n log n; see [`super::linearizable`] for the checker that does not believe in versions.

use std::collections::BTreeMap;
use std::ops::Bound::Excluded;

use super::by_key;
use super::order::{Removals, Sighting, sighting};
use crate::event::{Call, Outcome};
use crate::history::History;
use crate::operation::Operation;
use crate::verdict::{Findings, Verdict};

/// Judges puts, deletes, compare-and-sets and gets by their versions. A key where a value was stored
/// twice, or where an answer lacks its version, is [`Verdict::Unknown`] unless something else is wrong.
pub fn versions(history: &History) -> Verdict {
    let mut findings = Findings::new("versions");
    for (key, operations) in by_key(history, Call::is_register) {
        findings.judged(operations.len());
        KeyVersions::new(key, &operations, &mut findings).check();
    }
    findings.verdict()
}

struct KeyVersions<'a, 'f> {
    key: &'a str,
    operations: &'a [&'a Operation],
    findings: &'f mut Findings,
    removals: Removals,
    /// By value.
    writes: BTreeMap<&'a str, Write<'a>>,
    /// The write of each version known: its invocation; `None` if only the version was seen.
    owners: BTreeMap<u64, Option<u64>>,
}

struct Write<'a> {
    operation: &'a Operation,
    version: Option<u64>,
}

impl<'a, 'f> KeyVersions<'a, 'f> {
    fn new(key: &'a str, operations: &'a [&'a Operation], findings: &'f mut Findings) -> Self {
        Self {
            key,
            operations,
            findings,
            removals: Removals::new(operations),
            writes: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    fn check(mut self) {
        if !self.collect_writes() {
            return;
        }
        self.match_reads();
        self.match_versions_without_value();
        self.follow_time();
        self.check_compare_and_sets();
    }

    fn wrong(&mut self, what: &str, operation: &Operation) {
        let message = format!("{what}: {operation}");
        self.findings
            .wrong(self.key, message, Some(operation.invoked.index));
    }

    /// Whether the key can be judged.
    fn collect_writes(&mut self) -> bool {
        for operation in self.operations {
            if let Some(reason) = self.collect(operation) {
                self.findings.unknown(self.key, format!("{reason}: {operation}"));
                return false;
            }
        }
        for operation in self.operations {
            if let Outcome::Written {
                version: Some(version),
            } = operation.outcome
            {
                self.own(version, operation, operation);
            }
        }
        true
    }

    /// Notes a write, or says why there can be no judgement.
    fn collect(&mut self, operation: &'a Operation) -> Option<&'static str> {
        let version = match sighting(operation) {
            Sighting::Unversioned => return Some("an answer without version"),
            Sighting::Version(version) => Some(version).filter(|_| operation.may_have_written()),
            Sighting::Absent | Sighting::Nothing => None,
        };
        let value = operation.call.stored()?;
        let twice = self.writes.insert(value, Write { operation, version }).is_some();
        twice.then_some("a value was to be stored twice")
    }

    /// A version has one write.
    fn own(&mut self, version: u64, write: &Operation, seen_by: &Operation) {
        let invoked = write.invoked.index;
        let known = self.owners.insert(version, Some(invoked)).flatten();
        if known.is_some_and(|known| known != invoked) {
            self.wrong("two writes have one version", seen_by);
        }
    }

    fn match_reads(&mut self) {
        for read in self.operations {
            let Outcome::Read(Some(seen)) = &read.outcome else {
                continue;
            };
            let (Some(version), Some(completed)) = (seen.version, read.completed) else {
                continue;
            };
            let Some(write) = self.writes.get_mut(seen.value.as_str()) else {
                self.wrong("read a value that nobody wrote", read);
                continue;
            };
            let operation = write.operation;
            let known = write.version.replace(version);
            if known.is_some_and(|known| known != version) {
                self.wrong("one write has two versions", read);
            }
            if !operation.may_have_written() {
                self.wrong("read a value whose write was said not to have happened", read);
            }
            if operation.invoked > completed {
                self.wrong("read a value before it was written", read);
            }
            self.own(version, operation, read);
        }
    }

    /// The version that a compare-and-set replaced or found, where a value must have been.
    fn looked_at(&self, operation: &Operation) -> Option<u64> {
        let version = match (&operation.call, &operation.outcome) {
            (_, Outcome::Conflict { actual }) => *actual,
            (Call::Cas { expected, .. }, _) if self.proven(operation).is_some() => expected.version,
            _ => 0,
        };
        Some(version).filter(|version| *version != 0)
    }

    /// Versions known from conditions alone must be those of unknown writes that nobody read.
    fn match_versions_without_value(&mut self) {
        let mut nameless: BTreeMap<u64, u64> = BTreeMap::new();
        for operation in self.operations {
            let Some(version) = self.looked_at(operation) else {
                continue;
            };
            if self.removals.has(version) {
                self.wrong("saw the version of a removal", operation);
                continue;
            }
            match self.owners.get(&version).copied().flatten() {
                Some(invoked) if invoked > operation.ended() => {
                    self.wrong("saw a version before it was written", operation);
                }
                Some(_) => {}
                None => {
                    let first = nameless.entry(version).or_insert(u64::MAX);
                    *first = operation.ended().min(*first);
                }
            }
        }
        self.find_unknown_writes(&nameless);
        for version in nameless.into_keys() {
            self.owners.insert(version, None);
        }
    }

    /// Each version needs a write of its own, invoked before the version was first seen.
    fn find_unknown_writes(&mut self, nameless: &BTreeMap<u64, u64>) {
        let unseen =
            |write: &&Write<'_>| write.version.is_none() && write.operation.outcome == Outcome::Unknown;
        let mut possible: Vec<u64> = self
            .writes
            .values()
            .filter(unseen)
            .map(|write| write.operation.invoked.index)
            .collect();
        possible.sort_unstable();
        let mut seen: Vec<u64> = nameless.values().copied().collect();
        seen.sort_unstable();
        for (needed, first_seen) in (1..).zip(seen) {
            let there = possible.partition_point(|invoked| *invoked < first_seen);
            if there < needed {
                let message = format!(
                    "{needed} versions seen before event {first_seen} but {there} writes that can be theirs"
                );
                self.findings.wrong(self.key, message, None);
                return;
            }
        }
    }

    /// The version that an operation proves the key to have had, if it is a value's or a write's.
    fn proven(&self, operation: &Operation) -> Option<u64> {
        match sighting(operation) {
            Sighting::Version(version) => Some(version),
            Sighting::Nothing if operation.outcome == Outcome::Unknown => {
                self.writes.get(operation.call.stored()?)?.version
            }
            _ => None,
        }
    }

    fn follow_time(&mut self) {
        let mut events = Vec::new();
        for (number, operation) in self.operations.iter().enumerate() {
            events.push((operation.invoked.index, number, *operation, false));
            // Without an end it says nothing about later operations, but others about it.
            events.push((operation.ended(), number, *operation, true));
        }
        events.sort_unstable_by_key(|(at, number, ..)| (*at, *number));
        // The highest version in an answer so far, and what it was when each operation began.
        let mut newest = 0;
        let mut floors = vec![0; self.operations.len()];
        for (_, number, operation, completed) in events {
            let floor = floors.get_mut(number).expect("a floor for each operation");
            if completed {
                let floor = *floor;
                let version = self.check_floor(operation, floor);
                newest = newest.max(version);
            } else {
                *floor = newest;
            }
        }
    }

    /// The version that later operations must see.
    fn check_floor(&mut self, operation: &Operation, floor: u64) -> u64 {
        let wrote = operation.may_have_written();
        if sighting(operation) == Sighting::Absent {
            if !operation.is_linearizable() {
                return 0;
            }
            let oldest = self.removals.oldest(floor, operation.ended());
            if oldest.is_none() {
                self.wrong(
                    &format!("absent after version {floor} was acknowledged"),
                    operation,
                );
            }
            return oldest.unwrap_or(0);
        }
        let Some(version) = self.proven(operation) else {
            return 0;
        };
        if operation.is_linearizable() && (version < floor || (wrote && version == floor)) {
            let what = format!("version {version} after {floor} was acknowledged");
            self.wrong(&what, operation);
        }
        version
    }

    fn check_compare_and_sets(&mut self) {
        for operation in self.operations {
            let Call::Cas { expected, .. } = &operation.call else {
                continue;
            };
            let expected_version = expected.version;
            if operation.outcome
                == (Outcome::Conflict {
                    actual: expected_version,
                })
                && expected.value.is_none()
            {
                self.wrong("refused although the version was the expected one", operation);
            }
            let applied = operation.may_have_written();
            let Some(version) = self.proven(operation).filter(|_| applied) else {
                continue;
            };
            if expected_version == 0 {
                self.check_creation(operation, version);
                continue;
            }
            // Of two that replaced the same version, the later one overlooked the other.
            let between = (Excluded(expected_version), Excluded(version));
            if version <= expected_version || self.owners.range(between).next().is_some() {
                self.wrong("a compare-and-set overlooked a write", operation);
            }
        }
    }

    /// What came before a write that expected nothing must be nothing or a removal.
    fn check_creation(&mut self, operation: &Operation, version: u64) {
        let previous = self
            .owners
            .range(..version)
            .next_back()
            .map(|(version, _)| *version);
        let removed = previous.is_none_or(|previous| self.removals.has(previous));
        if !removed && !self.removals.perhaps_before(operation.ended()) {
            self.wrong("a compare-and-set created what existed", operation);
        }
    }
}
