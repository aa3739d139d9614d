//! Faults, planted into a history.

use std::collections::BTreeMap;

use atoll_history::{Call, Found, History, Operation, Outcome, Phase, Step};

type Plant = fn(&History) -> Option<History>;

pub(crate) const FAULTS: [(&str, Plant); 5] = [
    ("lists, a read misses an acknowledged append", missed),
    ("lists, an append is gone from all reads after the first", dropped),
    ("lists, two reads are swapped", swapped),
    ("lists, an element is there twice", doubled),
    ("lists, a read shows what failed", failed),
];

/// The lists that an operation read, with their position among its steps.
fn reads(operation: &Operation) -> Vec<(usize, &str, &[String])> {
    let (Call::Txn { steps, .. }, Outcome::Done { found, .. }) = (&operation.call, &operation.outcome) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (number, (step, found)) in steps.iter().zip(found).enumerate() {
        if let Found::Elements(elements) = found {
            all.push((number, step.key(), elements.as_slice()));
        }
    }
    all
}

/// The history with other answers for some lists, by the operation's invocation and the step.
fn with(history: &History, changes: &BTreeMap<(u64, usize), Vec<String>>) -> History {
    let mut changed = History::default();
    let mut open = BTreeMap::new();
    for event in history.events() {
        let mut event = event.clone();
        if event.phase == Phase::Invoke {
            open.insert(event.process, event.index);
        }
        let begun = open.get(&event.process).copied().unwrap_or(0);
        if let Phase::Complete(Outcome::Done { found, .. }) = &mut event.phase {
            for (number, found) in found.iter_mut().enumerate() {
                if let Some(elements) = changes.get(&(begun, number)) {
                    *found = Found::Elements(elements.clone());
                }
            }
        }
        changed.push(event).expect("only answers were changed");
    }
    changed
}

fn one(history: &History, operation: &Operation, step: usize, elements: Vec<String>) -> Option<History> {
    Some(with(
        history,
        &BTreeMap::from([((operation.invoked.index, step), elements)]),
    ))
}

/// When each element was acknowledged.
fn acknowledged(history: &History) -> BTreeMap<&str, u64> {
    let mut all = BTreeMap::new();
    for operation in history.operations() {
        if let (Call::Txn { steps, .. }, Outcome::Done { .. }) = (&operation.call, &operation.outcome) {
            for step in steps {
                if let Step::Append { element, .. } = step {
                    all.insert(element.as_str(), operation.ended());
                }
            }
        }
    }
    all
}

fn missed(history: &History) -> Option<History> {
    let known = acknowledged(history);
    for operation in history.operations().iter().skip(100) {
        for (step, _, elements) in reads(operation) {
            let Some((last, before)) = elements.split_last() else {
                continue;
            };
            let due = known
                .get(last.as_str())
                .is_some_and(|at| *at < operation.invoked.index);
            if due {
                return one(history, operation, step, before.to_vec());
            }
        }
    }
    None
}

fn dropped(history: &History) -> Option<History> {
    let known = acknowledged(history);
    let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
    for operation in history.operations() {
        for (_, _, elements) in reads(operation) {
            for element in elements {
                *readers.entry(element).or_default() += 1;
            }
        }
    }
    let gone = readers
        .iter()
        .find(|(element, readers)| **readers > 4 && known.contains_key(*element))?;
    let gone = *gone.0;
    let mut changes = BTreeMap::new();
    let mut first = true;
    for operation in history.operations() {
        for (step, _, elements) in reads(operation) {
            if !elements.iter().any(|element| element == gone) {
                continue;
            }
            if !std::mem::take(&mut first) {
                let left = elements
                    .iter()
                    .filter(|element| *element != gone)
                    .cloned()
                    .collect();
                changes.insert((operation.invoked.index, step), left);
            }
        }
    }
    Some(with(history, &changes))
}

fn swapped(history: &History) -> Option<History> {
    let known = acknowledged(history);
    for early in history.operations().iter().skip(50) {
        for (step, key, elements) in reads(early) {
            let later = history
                .operations()
                .iter()
                .filter(|later| later.invoked.index > early.ended());
            for (late, at, longer) in later.flat_map(|late| {
                let found = reads(late).into_iter().filter(|(_, name, _)| *name == key);
                found
                    .map(move |(at, _, longer)| (late, at, longer))
                    .collect::<Vec<_>>()
            }) {
                let more = longer
                    .get(elements.len())
                    .and_then(|element| known.get(element.as_str()));
                if more.is_some_and(|at| *at < late.invoked.index) {
                    let changes = BTreeMap::from([
                        ((early.invoked.index, step), longer.to_vec()),
                        ((late.invoked.index, at), elements.to_vec()),
                    ]);
                    return Some(with(history, &changes));
                }
            }
        }
    }
    None
}

fn doubled(history: &History) -> Option<History> {
    for operation in history.operations().iter().skip(100) {
        for (step, _, elements) in reads(operation) {
            if let Some(first) = elements.first() {
                let mut elements = elements.to_vec();
                elements.push(first.clone());
                return one(history, operation, step, elements);
            }
        }
    }
    None
}

/// Puts an element of a transaction that failed at the end of a list that was read.
fn failed(history: &History) -> Option<History> {
    for lost in history.operations() {
        let (Call::Txn { steps, .. }, Outcome::Failed) = (&lost.call, &lost.outcome) else {
            continue;
        };
        for step in steps {
            let Step::Append { key, element } = step else {
                continue;
            };
            let last = history.operations().iter().rev();
            let read = last.flat_map(|operation| {
                let found = reads(operation).into_iter().filter(|(_, name, _)| name == key);
                found
                    .map(move |(at, _, elements)| (operation, at, elements))
                    .collect::<Vec<_>>()
            });
            for (operation, at, elements) in read.take(1) {
                let mut elements = elements.to_vec();
                elements.push(element.clone());
                return one(history, operation, at, elements);
            }
        }
    }
    None
}
