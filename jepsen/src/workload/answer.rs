//! An answer as it is noted, and what errors say about what happened.

use atoll_client::{Error, ErrorKind, Proof, Value, Version};
use atoll_history::{Origin, Outcome, Seen, value};

use super::recorder::Recorder;

/// What came back.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) origin: Origin,
    /// The error as the client showed it.
    pub(super) error: Option<String>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            origin: Origin::default(),
            error: None,
        }
    }
}

impl Answer {
    /// Of an error of the shipped client. One that a correct database has no reason for is noted as wrong.
    pub(super) fn of(error: &Error, recorder: &Recorder, about: &str) -> Self {
        let outcome = match error.kind() {
            ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::Deadline
            | ErrorKind::SessionExpired => Outcome::Failed,
            ErrorKind::Unknown => Outcome::Unknown,
            ErrorKind::Corrupt => {
                recorder.corrupt(format!("{about}: {error}"));
                Outcome::Failed
            }
            _ => {
                recorder.wrong(format!("{about}: {error}"));
                Outcome::Unknown
            }
        };
        Self {
            error: Some(error.to_string()),
            ..outcome.into()
        }
    }
}

/// Where a read came from.
pub(super) fn origin(proof: &Proof) -> Origin {
    Origin {
        node: None,
        group: Some(proof.group),
        applied: Some(proof.applied_index),
        age_ns: proof.age.map(|age| age.as_nanos() as u64),
    }
}

pub(super) fn written(version: Version) -> Outcome {
    Outcome::Written {
        version: Some(version.0),
    }
}

pub(super) fn seen(found: &Value) -> Seen {
    Seen {
        value: value::read(&found.bytes).to_string(),
        version: Some(found.version.0),
    }
}
