//! Notes what was asked and what was answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_env::{Clock, Instant};
use atoll_history::{Call, Event, History, Origin, Outcome, Phase};
use parking_lot::Mutex;

use super::answer::Answer;

/// The most findings kept of each kind.
const FINDINGS_MAX: usize = 1_000;

/// What a run leaves beside its history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Things that are wrong and that no history shows.
    pub wrong: Vec<String>,
    /// Answers that said that stored bytes are damaged. Wrong unless a disk was spoiled.
    pub corrupt: Vec<String>,
    /// Keys that were read once more at the end.
    pub read_at_end: u64,
    /// Keys that could not be read at the end, with the error.
    pub unread_at_end: Vec<String>,
    /// By process, the client that it belongs to. A client's writes get versions above all that it has seen. A
    /// process that is missing has no client that knows of versions.
    pub clients: BTreeMap<u32, u32>,
}

/// How many operations ended so far, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They happened.
    pub succeeded: u64,
    /// They certainly did not.
    pub failed: u64,
    /// Nobody knows.
    pub unknown: u64,
}

/// Notes operations, each event under one lock. Clones share the notes.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    clock: Clock,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    history: History,
    notes: Notes,
    tally: Tally,
    events: u64,
    processes: u32,
    values: u64,
}

/// An operation that is under way. If it is dropped, nobody will ever know what became of it, and its process must
/// not be used again.
#[must_use = "an operation has to end"]
pub(super) struct Asked {
    process: u32,
    key: String,
    call: Call,
}

impl Recorder {
    /// Times will be since `began`, on `clock`.
    pub fn new(clock: Clock, began: Instant) -> Self {
        Self(Arc::new(Shared {
            clock,
            began,
            state: Mutex::default(),
        }))
    }

    /// Everything noted so far. Operations that are still open have an unknown outcome.
    pub fn history(&self) -> History {
        self.0.state.lock().history.clone()
    }

    /// What no history shows, so far.
    pub fn notes(&self) -> Notes {
        self.0.state.lock().notes.clone()
    }

    /// How many operations ended so far, without looking at each.
    pub fn tally(&self) -> Tally {
        self.0.state.lock().tally
    }

    /// Something is wrong that no history shows.
    pub fn wrong(&self, what: String) {
        note(&mut self.0.state.lock().notes.wrong, what);
    }

    /// A number for a process that has none yet; `client` is the number of its client, if it is one that gives its
    /// writes versions above all that it has seen.
    pub(super) fn process(&self, client: Option<u32>) -> u32 {
        let mut state = self.0.state.lock();
        let process = state.processes;
        state.processes += 1;
        if let Some(client) = client {
            state.notes.clients.insert(process, client);
        }
        process
    }

    /// A value that nobody has written yet.
    pub(super) fn value(&self) -> u64 {
        let mut state = self.0.state.lock();
        state.values += 1;
        state.values
    }

    pub(super) fn corrupt(&self, what: String) {
        note(&mut self.0.state.lock().notes.corrupt, what);
    }

    /// How many keys could not be read at the end, so far.
    pub(super) fn unread_at_end(&self) -> usize {
        self.0.state.lock().notes.unread_at_end.len()
    }

    /// A key was read at the end, or it could not be.
    pub(super) fn read_at_end(&self, unread: Option<String>) {
        let mut state = self.0.state.lock();
        match unread {
            None => state.notes.read_at_end += 1,
            Some(why) => note(&mut state.notes.unread_at_end, why),
        }
    }

    /// Notes that something is asked for. To be called before anything is sent.
    pub(super) fn begin(&self, process: u32, key: &str, call: Call) -> Asked {
        let asked = Asked {
            process,
            key: key.to_owned(),
            call,
        };
        self.push(&asked, Phase::Invoke, Origin::default(), None);
        asked
    }

    /// Notes the answer. To be called when everything is received.
    pub(super) fn end(&self, asked: &Asked, answer: Answer) -> Outcome {
        let Answer {
            outcome,
            origin,
            error,
        } = answer;
        self.0.state.lock().tally.count(&outcome);
        self.push(asked, Phase::Complete(outcome.clone()), origin, error);
        outcome
    }

    fn push(&self, asked: &Asked, phase: Phase, origin: Origin, error: Option<String>) {
        let mut state = self.0.state.lock();
        let event = Event {
            index: state.events,
            // Under the lock, so that times follow the order.
            time_ns: self.0.clock.now().since(self.0.began).as_nanos() as u64,
            process: asked.process,
            key: asked.key.clone(),
            call: asked.call.clone(),
            phase,
            origin,
            error,
        };
        state.events += 1;
        if let Err(problem) = state.history.push(event) {
            let what = format!("the recorder noted what cannot be: {problem}");
            note(&mut state.notes.wrong, what);
        }
    }
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Unknown => self.unknown += 1,
            Outcome::Failed | Outcome::Conflict { .. } | Outcome::Refused { .. } => self.failed += 1,
            _ => self.succeeded += 1,
        }
    }
}

fn note(list: &mut Vec<String>, what: String) {
    if list.len() < FINDINGS_MAX {
        list.push(what);
    }
}
