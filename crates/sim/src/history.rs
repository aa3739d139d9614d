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
