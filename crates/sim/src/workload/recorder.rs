//! Notes what was asked and what was answered.

use std::sync::Arc;

use atoll_client::{Error, ErrorKind};
use atoll_env::Clock;
use parking_lot::Mutex;

use super::ask::Answer;
use crate::history::{Call, Operation, Outcome, Point};
use crate::trace::Trace;
use crate::world::Violations;

/// Notes operations. Clones share the notes.
#[derive(Clone)]
pub(crate) struct Recorder {
    notes: Arc<Mutex<Notes>>,
    /// The one clock that is right.
    clock: Clock,
    pub(super) trace: Trace,
    violations: Violations,
    /// Answers that say that the bytes asked for are damaged everywhere.
    corrupt: Violations,
}

#[derive(Default)]
struct Notes {
    events: u64,
    values: u64,
    history: Vec<Operation>,
}

/// An operation that is under way.
pub(super) struct Asked {
    who: String,
    key: String,
    call: Call,
    invoked: Point,
}

impl Recorder {
    pub(crate) fn new(clock: Clock, trace: Trace, violations: Violations) -> Self {
        Self {
            notes: Arc::default(),
            clock,
            trace,
            violations,
            corrupt: Violations::default(),
        }
    }

    /// Everything noted.
    pub(crate) fn history(&self) -> Vec<Operation> {
        self.notes.lock().history.clone()
    }

    /// Answers that are right only if the disks of all replicas spoiled bytes.
    pub(crate) fn corrupt(&self) -> Vec<String> {
        self.corrupt.lock().clone()
    }

    /// A value that no other write has.
    pub(crate) fn value(&self) -> u64 {
        let mut notes = self.notes.lock();
        notes.values += 1;
        notes.values
    }

    fn now(&self) -> Point {
        let mut notes = self.notes.lock();
        notes.events += 1;
        Point {
            index: notes.events,
            time_ns: self.clock.now().as_nanos(),
        }
    }

    /// Notes that something is asked for.
    pub(super) fn begin(&self, who: &str, key: &str, call: Call) -> Asked {
        Asked {
            who: who.to_owned(),
            key: key.to_owned(),
            call,
            invoked: self.now(),
        }
    }

    /// Notes the answer.
    pub(super) fn end(&self, asked: Asked, answer: Answer) -> Outcome {
        let Asked {
            who,
            key,
            call,
            invoked,
        } = asked;
        let Answer { outcome, age } = answer;
        let completed = self.now();
        self.trace
            .event(&who, &format!("{key} {call:?}: {outcome:?} {age:?}"));
        self.notes.lock().history.push(Operation {
            who,
            key,
            call,
            invoked,
            completed,
            outcome: outcome.clone(),
            age,
        });
        outcome
    }

    /// Something is wrong that no history would show.
    pub(crate) fn wrong(&self, what: String) {
        self.violations.lock().push(what);
    }

    /// What an error says about what happened.
    pub(super) fn judge(&self, who: &str, error: &Error) -> Outcome {
        match error.kind() {
            ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::Deadline
            | ErrorKind::SessionExpired => Outcome::Failed,
            ErrorKind::Unknown => Outcome::Unknown,
            ErrorKind::Corrupt => {
                self.corrupt.lock().push(format!("{who}: {error}"));
                Outcome::Failed
            }
            _ => {
                self.violations.lock().push(format!("{who}: {error}"));
                Outcome::Unknown
            }
        }
    }
}
