//! What clients asked for and what they were told.

use std::time::Duration;

pub use atoll_history::{Call, Level, Outcome, Point, Seen};

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked: one thing after the other.
    pub who: String,
    /// The key.
    pub key: String,
    /// What was asked for. No two writes of a history store the same value.
    pub call: Call,
    /// When it was asked for. No two events are at the same index.
    pub invoked: Point,
    /// When the answer was there, on the same scale.
    pub completed: Point,
    /// The answer.
    pub outcome: Outcome,
    /// How old the replica that answered said its state was at most.
    pub age: Option<Duration>,
}

/// The version the key is shown to have had at some point of the operation.
pub fn version_shown(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Written { version } => *version,
        Outcome::Conflict { actual } => Some(*actual),
        Outcome::Read(seen) => Some(seen.as_ref().and_then(|seen| seen.version).unwrap_or(0)),
        Outcome::Counted(_) | Outcome::Elements(_) | Outcome::Failed | Outcome::Unknown => None,
    }
}
