//! What the checkers are to find out, in the simplest words: all orders, all pairs, all choices.

pub(crate) mod collections;
pub(crate) mod linearizable;
pub(crate) mod reads;
pub(crate) mod versions;

use atoll_history::{Level, Operation, Outcome, Verdict};

/// A verdict without its reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ok,
    Violation,
    Unknown,
}

impl From<&Verdict> for Kind {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Ok { .. } => Self::Ok,
            Verdict::Violation(_) => Self::Violation,
            Verdict::Unknown(_) => Self::Unknown,
        }
    }
}

/// What an answer shows: a version, absence (0), or a gap in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    Version(u64),
    Absent,
    Gap,
}

pub(crate) fn shown(op: &Operation) -> Shown {
    match &op.outcome {
        Outcome::Written {
            version: Some(version),
        } => Shown::Version(*version),
        Outcome::Written { version: None } => Shown::Gap,
        Outcome::Read(None) | Outcome::Conflict { actual: 0 } => Shown::Absent,
        Outcome::Read(Some(seen)) => seen.version.map_or(Shown::Gap, Shown::Version),
        Outcome::Conflict { actual } => Shown::Version(*actual),
        _ => Shown::Nothing,
    }
}

pub(crate) fn happened_or_may_have(op: &Operation) -> bool {
    op.call.is_write() && matches!(op.outcome, Outcome::Written { .. } | Outcome::Unknown)
}

/// The index by which an operation certainly took effect, if it did.
pub(crate) fn end(op: &Operation) -> u64 {
    if op.outcome == Outcome::Unknown {
        return u64::MAX;
    }
    op.completed.map_or(u64::MAX, |point| point.index)
}

pub(crate) fn is_weak(op: &Operation) -> bool {
    op.call.level().is_some_and(|level| level != Level::Linearizable)
}

/// Which versions the key may have had when an operation found it absent. A removal of unknown
/// version may have had any; those that matter are the ones in the history.
pub(crate) fn absences(op: &Operation, all: &[Operation]) -> Vec<u64> {
    let removals = all
        .iter()
        .filter(|other| other.call.removes() && happened_or_may_have(other));
    let mut choices = vec![0];
    for removal in removals.filter(|removal| removal.invoked.index < end(op)) {
        match shown(removal) {
            Shown::Version(version) => choices.push(version),
            _ => choices.extend(all.iter().filter_map(|other| match shown(other) {
                Shown::Version(version) => Some(version),
                _ => None,
            })),
        }
    }
    choices
}

/// Whether one choice for each can be made so that all are content.
pub(crate) fn some_choice(options: &[Vec<u64>], content: &dyn Fn(&[u64]) -> bool) -> bool {
    fn go(options: &[Vec<u64>], chosen: &mut Vec<u64>, content: &dyn Fn(&[u64]) -> bool) -> bool {
        let Some(next) = options.get(chosen.len()) else {
            return content(chosen);
        };
        next.iter().any(|option| {
            chosen.push(*option);
            let found = go(options, chosen, content);
            chosen.pop();
            found
        })
    }
    go(options, &mut Vec::new(), content)
}
