//! Sets that only grow: does every read hold what it must, and nothing it must not?
//!
//! An element is *known* from the first answer on that acknowledged it or showed it. A linearizable
//! read invoked after that must hold it. One that does not is *stale* if a read invoked later holds
//! the element again, else the element is *lost*. Whatever the level, no read holds an element
//! twice, or one that nobody had begun to add, or whose additions were all said not to happen.

use std::collections::{BTreeMap, BTreeSet};

use super::by_key;
use crate::event::{Call, Outcome};
use crate::history::History;
use crate::operation::Operation;
use crate::verdict::{Findings, Verdict};

/// Judges the sets. An element may be added more than once.
pub fn set(history: &History) -> Verdict {
    let mut findings = Findings::new("set");
    let kind = |call: &Call| matches!(call, Call::SetAdd { .. } | Call::SetRead { .. });
    for (key, operations) in by_key(history, kind) {
        findings.judged(operations.len());
        let reads: Vec<Read<'_>> = operations.iter().filter_map(|one| Read::new(one)).collect();
        let elements = collect_elements(&operations, &reads);
        for read in &reads {
            if let Some(element) = read.duplicated {
                let message = format!("{element:?} twice: {}", read.operation);
                findings.wrong(key, message, Some(read.operation.invoked.index));
            }
        }
        for (name, element) in elements {
            for (message, operation) in element.judge(name, &reads) {
                findings.wrong(key, message, Some(operation));
            }
        }
    }
    findings.verdict()
}

struct Read<'a> {
    operation: &'a Operation,
    elements: BTreeSet<&'a str>,
    duplicated: Option<&'a str>,
}

impl<'a> Read<'a> {
    fn new(operation: &'a Operation) -> Option<Self> {
        let Outcome::Elements(found) = &operation.outcome else {
            return None;
        };
        let mut elements = BTreeSet::new();
        let mut twice = found.iter().filter(|element| !elements.insert(element.as_str()));
        let duplicated = twice.next().map(String::as_str);
        elements.extend(found.iter().map(String::as_str));
        Some(Self {
            operation,
            elements,
            duplicated,
        })
    }
}

/// What is known of an element, by indexes of events.
struct Element {
    /// The first invocation of an addition that may have happened.
    added: u64,
    /// The first completion that acknowledged or showed it.
    known: u64,
    /// The last invocation of a read that held it.
    last_held: Option<u64>,
}

impl Element {
    const NEVER: Self = Self {
        added: u64::MAX,
        known: u64::MAX,
        last_held: None,
    };

    fn judge(&self, name: &str, reads: &[Read<'_>]) -> Vec<(String, u64)> {
        let mut wrong = Vec::new();
        for read in reads {
            let (invoked, ended) = (read.operation.invoked.index, read.operation.ended());
            let due = self.known < invoked && read.operation.is_linearizable();
            let what = match read.elements.contains(name) {
                true if self.added > ended => "which nobody had added",
                false if due && self.last_held > Some(invoked) => "is missing (stale)",
                false if due => "is missing (lost)",
                _ => continue,
            };
            wrong.push((format!("{name:?} {what}: {}", summary(read)), invoked));
        }
        wrong
    }
}

fn summary(read: &Read<'_>) -> String {
    let Operation { process, invoked, .. } = read.operation;
    let count = read.elements.len();
    format!(
        "read of {count} elements by process {process} at event {}",
        invoked.index
    )
}

fn collect_elements<'a>(operations: &[&'a Operation], reads: &[Read<'a>]) -> BTreeMap<&'a str, Element> {
    let mut elements: BTreeMap<&str, Element> = BTreeMap::new();
    for operation in operations.iter().filter(|one| one.may_have_written()) {
        if let Call::SetAdd { element } = &operation.call {
            let element = elements.entry(element).or_insert(Element::NEVER);
            element.added = element.added.min(operation.invoked.index);
            element.known = element.known.min(operation.ended());
        }
    }
    for read in reads {
        for name in &read.elements {
            let element = elements.entry(name).or_insert(Element::NEVER);
            element.known = element.known.min(read.operation.ended());
            element.last_held = element.last_held.max(Some(read.operation.invoked.index));
        }
    }
    elements
}
