//! The four ways in which an operation ends, as the report tells them apart.

use atoll_history::{Operation, Outcome};

use super::frame::Frame;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// Answered.
    Ok,
    /// A condition that did not hold, of a compare-and-set or a transaction: answered too, though a history calls it `fail`.
    Conflict,
    /// It certainly did not happen.
    Fail,
    /// It may have happened.
    Unknown,
}

/// An operation as a dot: where it is in time and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dot {
    /// Position among the history's operations.
    pub(super) position: usize,
    /// When it was asked for.
    pub(super) at_ns: u64,
    /// When it ended; if it never did, the end of the run.
    pub(super) end_ns: u64,
    /// How it ended.
    pub(super) ending: Ending,
}

impl Ending {
    /// All of them, in the order of every list and legend.
    pub(super) const ALL: [Self; 4] = [Self::Ok, Self::Conflict, Self::Fail, Self::Unknown];

    /// Its name, also in results.json and as a class of style.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }

    /// What it means.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Ok => "happened, with this answer",
            Self::Conflict => "refused: a condition did not hold",
            Self::Fail => "certainly did not happen",
            Self::Unknown => "may have happened, or may still, or not",
        }
    }

    /// Whether the cluster answered the question.
    pub(super) fn is_answer(self) -> bool {
        matches!(self, Self::Ok | Self::Conflict)
    }

    /// That of an outcome.
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Conflict { .. } | Outcome::Refused { .. } => Self::Conflict,
            Outcome::Failed => Self::Fail,
            Outcome::Unknown => Self::Unknown,
            _ => Self::Ok,
        }
    }
}

impl Dot {
    /// That of an operation.
    pub(super) fn of(position: usize, operation: &Operation, frame: &Frame) -> Self {
        let completed = operation.completed.map(|point| point.time_ns);
        Self {
            position,
            at_ns: operation.invoked.time_ns,
            end_ns: completed.unwrap_or_else(|| frame.length_ns()),
            ending: Ending::of(&operation.outcome),
        }
    }

    /// How long it took, or has been open.
    pub(super) fn latency_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.at_ns)
    }
}
