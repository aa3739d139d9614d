//! Which operations matter around one that cannot be.

use std::collections::{BTreeMap, BTreeSet};

use atoll_history::{Operation, Outcome, Violation};

use crate::record::Record;

/// Operations that a drawing holds and an eye takes in.
const SHOWN_MAX: usize = 18;

/// The last of the order that was found: what matters most of it.
const TAIL: usize = 7;

/// What is shown of a violation.
pub(super) struct Focus<'a> {
    /// The operation that shows it.
    pub(super) blocked: &'a Operation,
    /// The chosen operations with `blocked`, in the order of their invocations.
    pub(super) shown: Vec<Shown<'a>>,
    /// How many operations could be put in order.
    pub(super) placed: usize,
    /// How many there are on this key.
    pub(super) all: usize,
    /// The last write of the order.
    pub(super) last_write: Option<&'a Operation>,
    /// Who wrote what `blocked` saw, if anybody did.
    pub(super) writer: Option<&'a Operation>,
}

/// An operation that is shown.
pub(super) struct Shown<'a> {
    pub(super) operation: &'a Operation,
    /// Its place in the order that was found, from 1.
    pub(super) place: Option<usize>,
    /// The higher, the less it matters.
    rank: (usize, u64),
}

impl<'a> Focus<'a> {
    /// What to show; nothing if the violation names no operation.
    pub(super) fn of(
        record: &'a Record,
        by_index: &BTreeMap<u64, &'a Operation>,
        violation: &Violation,
    ) -> Option<Self> {
        let blocked = *by_index.get(&violation.operation?)?;
        let operations = record.history.operations().iter();
        // What is about several keys at once has a key of its own, and is in the order of each of them.
        let order_of: BTreeSet<u64> = violation.prefix.iter().copied().collect();
        let key: Vec<&Operation> = operations
            .filter(|one| {
                one.key == blocked.key || one.key == violation.key || order_of.contains(&one.invoked.index)
            })
            .collect();
        let order: Vec<&Operation> = violation
            .prefix
            .iter()
            .filter_map(|index| by_index.get(index).copied())
            .collect();
        let mut focus = Self {
            blocked,
            shown: Vec::new(),
            placed: order.len(),
            all: key.len(),
            last_write: order.iter().rev().find(|one| one.may_have_written()).copied(),
            writer: writer(blocked, &key),
        };
        focus.choose(&key, &order);
        Some(focus)
    }

    fn choose(&mut self, key: &[&'a Operation], order: &[&'a Operation]) {
        let places: BTreeMap<u64, usize> = order
            .iter()
            .enumerate()
            .map(|(place, one)| (one.invoked.index, place + 1))
            .collect();
        let mut ranked: Vec<(usize, u64, &Operation)> = key
            .iter()
            .filter(|one| one.invoked == self.blocked.invoked || says_something(one))
            .map(|one| {
                let place = places.get(&one.invoked.index).copied();
                let distance = one.invoked.index.abs_diff(self.blocked.invoked.index);
                (self.rank(one, place), distance, *one)
            })
            .collect();
        ranked.sort_unstable_by_key(|(rank, distance, one)| (*rank, *distance, one.invoked));
        ranked.truncate(SHOWN_MAX);
        ranked.sort_unstable_by_key(|(_, _, one)| one.invoked);
        self.shown = ranked
            .into_iter()
            .map(|(rank, distance, operation)| Shown {
                operation,
                rank: (rank, distance),
                place: places.get(&operation.invoked.index).copied(),
            })
            .collect();
    }

    /// Leaves out what matters least.
    pub(super) fn drop_least(&mut self) {
        let least = self.shown.iter().map(|shown| shown.rank).max();
        self.shown.retain(|shown| Some(shown.rank) != least);
    }

    /// How little an operation matters.
    fn rank(&self, one: &Operation, place: Option<usize>) -> usize {
        let blocked = self.blocked;
        let is = |other: Option<&Operation>| other.is_some_and(|other| other.invoked == one.invoked);
        let overlaps = one.invoked.index < blocked.ended() && blocked.invoked.index < one.ended();
        let late = one.invoked.index > blocked.ended();
        if one.invoked == blocked.invoked || is(self.last_write) || is(self.writer) {
            0
        } else if place.is_some_and(|place| place + TAIL > self.placed) {
            1
        } else if (overlaps && place.is_some()) || self.is_session(one) {
            2
        } else if late {
            4
        } else {
            3
        }
    }

    /// Without an order a checker has looked at what one process was told before.
    fn is_session(&self, one: &Operation) -> bool {
        self.placed == 0
            && one.process == self.blocked.process
            && one.invoked.index < self.blocked.invoked.index
    }
}

/// Not what certainly did not happen, nor a read without an answer.
fn says_something(operation: &Operation) -> bool {
    match operation.outcome {
        Outcome::Failed => false,
        Outcome::Unknown => operation.call.is_write(),
        _ => true,
    }
}

fn writer<'a>(reader: &Operation, key: &[&'a Operation]) -> Option<&'a Operation> {
    let Outcome::Read(Some(seen)) = &reader.outcome else {
        return None;
    };
    let wrote = |one: &&&Operation| one.may_have_written() && one.call.stored() == Some(&seen.value);
    key.iter().find(wrote).copied()
}
