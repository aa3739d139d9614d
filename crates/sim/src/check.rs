//! Judges a history, key by key: is it linearizable, and is nothing lost that was acknowledged?
//!
//! Every value is unique and every answer carries the version of the write it saw, so no search is
//! needed: versions *are* the order. It remains to be checked that
//! - versions and writes belong together one to one, and no write shows that was said not to happen;
//! - the order agrees with real time: what began after an answer was there sees at least that
//!   answer's version, and a write gets a higher one. Reads of everything at the end, being ordinary
//!   operations of the history, thereby show that nothing acknowledged is missing;
//! - a compare-and-set follows its expected version with no write in between.
//!
//! A write of unknown outcome may have happened at any time from its call on, or never. If somebody
//! saw it, it happened, and counts in full.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Call, Operation, Outcome};

/// Everything wrong with a history. Nothing if it is in order.
pub fn check(history: &[Operation]) -> Vec<String> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys.into_iter()
        .flat_map(|(key, operations)| KeyHistory::new(key, operations).check())
        .collect()
}

struct KeyHistory<'a> {
    name: &'a str,
    operations: Vec<&'a Operation>,
    /// By value.
    writes: BTreeMap<u64, Write<'a>>,
    /// Versions that somebody saw or was given, with the value if it was seen.
    versions: BTreeMap<u64, Option<u64>>,
    violations: Vec<String>,
}

struct Write<'a> {
    operation: &'a Operation,
    version: Option<u64>,
}

impl<'a> KeyHistory<'a> {
    fn new(key: &'a str, operations: Vec<&'a Operation>) -> Self {
        let versions = BTreeMap::new();
        Self {
            name: key,
            operations,
            writes: BTreeMap::new(),
            versions,
            violations: Vec::new(),
        }
    }

    fn check(mut self) -> Vec<String> {
        self.collect_writes();
        self.match_reads();
        self.match_versions_without_value();
        self.follow_time();
        self.check_compare_and_sets();
        self.violations
    }

    fn wrong(&mut self, what: &str, operation: &Operation) {
        self.violations
            .push(format!("{}: {what}: {operation:?}", self.name));
    }

    fn collect_writes(&mut self) {
        for operation in self.operations.clone() {
            let Some(value) = operation.call.value() else {
                continue;
            };
            if self
                .writes
                .insert(
                    value,
                    Write {
                        operation,
                        version: None,
                    },
                )
                .is_some()
            {
                self.wrong("the test stored one value twice", operation);
            }
            if let Outcome::Written(version) = operation.outcome {
                self.assign(value, version, operation);
            }
        }
    }

    /// A write has one version and a version one write.
    fn assign(&mut self, value: u64, version: u64, seen_by: &Operation) {
        let write = self.writes.get_mut(&value).expect("the caller looked it up");
        if write.version.is_some_and(|known| known != version) {
            self.wrong("one write has two versions", seen_by);
            return;
        }
        write.version = Some(version);
        let known = self.versions.insert(version, Some(value)).flatten();
        if known.is_some_and(|known| known != value) {
            self.wrong("two writes have one version", seen_by);
        }
    }

    fn match_reads(&mut self) {
        for read in self.operations.clone() {
            let Outcome::Read { version, value } = read.outcome else {
                continue;
            };
            if version == 0 {
                continue;
            }
            let Some(write) = self.writes.get(&value).map(|write| write.operation) else {
                self.wrong("read a value that nobody wrote", read);
                continue;
            };
            if matches!(write.outcome, Outcome::Nothing | Outcome::Conflict(_)) {
                self.wrong("read a value whose write was said not to have happened", read);
            }
            if write.invoked > read.completed {
                self.wrong("read a value before it was written", read);
            }
            self.assign(value, version, read);
        }
    }

    /// Versions known from conflicts and guards alone must be those of unknown writes nobody read.
    fn match_versions_without_value(&mut self) {
        for operation in self.operations.clone() {
            let expected = match (operation.call, operation.outcome) {
                (Call::Cas { expected, .. }, Outcome::Written(_)) => expected,
                _ => 0,
            };
            let found = match operation.outcome {
                Outcome::Conflict(version) => version,
                _ => 0,
            };
            for version in [expected, found].into_iter().filter(|version| *version != 0) {
                self.versions.entry(version).or_default();
            }
        }
        let nameless = self.versions.values().filter(|value| value.is_none()).count();
        let unseen =
            |write: &&Write<'_>| write.version.is_none() && write.operation.outcome == Outcome::Unknown;
        let possible = self.writes.values().filter(unseen).count();
        if nameless > possible {
            let message = format!(
                "{}: {nameless} versions but {possible} writes that can be theirs",
                self.name
            );
            self.violations.push(message);
        }
    }

    /// The version that an operation proves, if any.
    fn proven(&self, operation: &Operation) -> Option<u64> {
        let seen = || self.writes.get(&operation.call.value()?)?.version;
        operation.outcome.version().or_else(seen)
    }

    fn follow_time(&mut self) {
        let mut events = Vec::new();
        for (number, operation) in self.operations.iter().enumerate() {
            events.push((operation.invoked, false, number, *operation));
            events.push((operation.completed, true, number, *operation));
        }
        events.sort_by_key(|(at, completed, number, _)| (*at, *completed, *number));
        // The highest version in an answer so far, and what it was when each operation began.
        let mut newest = 0;
        let mut floors = BTreeMap::new();
        for (_, completed, number, operation) in events {
            if !completed {
                floors.insert(number, newest);
                continue;
            }
            let Some(version) = self.proven(operation) else {
                continue;
            };
            let floor = floors.get(&number).copied().unwrap_or(0);
            let wrote = matches!(operation.outcome, Outcome::Written(_) | Outcome::Unknown);
            if version < floor || (wrote && version == floor) {
                self.wrong(
                    &format!("version {version} after {floor} was acknowledged"),
                    operation,
                );
            }
            // An unknown write may be later than its answer.
            if operation.outcome != Outcome::Unknown {
                newest = newest.max(version);
            }
        }
    }

    fn check_compare_and_sets(&mut self) {
        let mut used = BTreeSet::new();
        for operation in self.operations.clone() {
            let Call::Cas { expected, .. } = operation.call else {
                continue;
            };
            if operation.outcome == Outcome::Conflict(expected) {
                self.wrong("refused although the version was the expected one", operation);
            }
            let applied = !matches!(operation.outcome, Outcome::Conflict(_));
            let Some(version) = self.proven(operation).filter(|_| applied) else {
                continue;
            };
            if !used.insert(expected) {
                self.wrong("two compare-and-sets replaced the same version", operation);
            }
            if version <= expected || self.versions.range(expected + 1..version).next().is_some() {
                self.wrong("a compare-and-set overlooked a write", operation);
            }
        }
    }
}
