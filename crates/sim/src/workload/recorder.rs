//! Asks, and notes what was asked and what was answered.

use std::sync::Arc;

use atoll_client::{Bytes, Cas, Client, Error, ErrorKind, Value, Version};
use parking_lot::Mutex;

use super::value::{read, spell};
use crate::history::{Call, Operation, Outcome};
use crate::trace::Trace;
use crate::world::Violations;

/// Notes operations. Clones share the notes.
#[derive(Clone)]
pub(crate) struct Recorder {
    notes: Arc<Mutex<Notes>>,
    pub(super) trace: Trace,
    violations: Violations,
    /// Answers that say that the bytes asked for are damaged.
    corrupt: Violations,
}

#[derive(Default)]
struct Notes {
    events: u64,
    values: u64,
    history: Vec<Operation>,
}

impl Recorder {
    pub(crate) fn new(trace: Trace, violations: Violations) -> Self {
        Self {
            notes: Arc::default(),
            trace,
            violations,
            corrupt: Violations::default(),
        }
    }

    /// Everything noted.
    pub(crate) fn history(&self) -> Vec<Operation> {
        self.notes.lock().history.clone()
    }

    /// Answers that are right only where a disk spoiled bytes.
    pub(crate) fn corrupt(&self) -> Vec<String> {
        self.corrupt.lock().clone()
    }

    /// A value that no other write has.
    pub(crate) fn value(&self) -> u64 {
        let mut notes = self.notes.lock();
        notes.values += 1;
        notes.values
    }

    fn event(&self) -> u64 {
        let mut notes = self.notes.lock();
        notes.events += 1;
        notes.events
    }

    /// Runs one operation and notes it.
    pub(crate) async fn run(&self, who: &str, client: &Client, key: &str, call: Call) -> Outcome {
        let invoked = self.event();
        let answer = ask(client, key, call).await;
        let outcome = answer.unwrap_or_else(|error| self.judge(who, &error));
        let completed = self.event();
        self.trace.event(who, &format!("{key} {call:?}: {outcome:?}"));
        let (who, key) = (who.to_owned(), key.to_owned());
        self.notes.lock().history.push(Operation {
            who,
            key,
            call,
            invoked,
            completed,
            outcome,
        });
        outcome
    }

    /// Something is wrong that no history would show.
    pub(crate) fn wrong(&self, what: String) {
        self.violations.lock().push(what);
    }

    fn judge(&self, who: &str, error: &Error) -> Outcome {
        match error.kind() {
            ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::Deadline
            | ErrorKind::SessionExpired => Outcome::Nothing,
            ErrorKind::Unknown => Outcome::Unknown,
            ErrorKind::Corrupt => {
                self.corrupt.lock().push(format!("{who}: {error}"));
                Outcome::Nothing
            }
            _ => {
                self.violations.lock().push(format!("{who}: {error}"));
                Outcome::Unknown
            }
        }
    }
}

async fn ask(client: &Client, key: &str, call: Call) -> Result<Outcome, Error> {
    let key = Bytes::from(key.to_owned());
    Ok(match call {
        Call::Put { value } => Outcome::Written(client.put(key, spell(value)).await?.0),
        Call::Cas { expected, value } => {
            let expected = Some(Version(expected)).filter(|version| version.0 != 0);
            match client.compare_and_set(key, expected, spell(value)).await? {
                Cas::Done(version) => Outcome::Written(version.0),
                Cas::Conflict { actual } => Outcome::Conflict(actual.map_or(0, |version| version.0)),
            }
        }
        Call::Get => match client.get(key).await? {
            None => Outcome::Read { version: 0, value: 0 },
            Some(Value { bytes, version }) => Outcome::Read {
                version: version.0,
                value: read(&bytes),
            },
        },
    })
}
