//! Histories written down by hand.

use std::collections::BTreeMap;

use atoll_history::{Call, Event, Expected, History, Level, Origin, Outcome, Phase, Seen};

/// An operation on the key `k` from one moment to another. Moments are indexes, and tens of
/// nanoseconds. No two events are at the same moment.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) process: Option<u32>,
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
    pub(crate) age_ns: Option<u64>,
}

impl Op {
    pub(crate) fn by(mut self, process: u32) -> Self {
        self.process = Some(process);
        self
    }

    pub(crate) fn aged(mut self, age_ns: u64) -> Self {
        self.age_ns = Some(age_ns);
        self
    }
}

pub(crate) fn op(from: u64, to: u64, call: Call, outcome: Outcome) -> Op {
    Op {
        from,
        to,
        process: None,
        call,
        outcome,
        age_ns: None,
    }
}

pub(crate) fn put(value: &str) -> Call {
    let value = value.to_owned();
    Call::Put { value }
}

pub(crate) fn cas(version: u64, value: &str) -> Call {
    Call::Cas {
        expected: Expected { version, value: None },
        value: Some(value.to_owned()),
    }
}

pub(crate) fn get(level: Level) -> Call {
    Call::Get { level }
}

pub(crate) fn written(version: u64) -> Outcome {
    Outcome::Written {
        version: Some(version),
    }
}

pub(crate) fn saw(version: u64, value: &str) -> Outcome {
    Outcome::Read(Some(Seen {
        value: value.to_owned(),
        version: Some(version),
    }))
}

pub(crate) const ABSENT: Outcome = Outcome::Read(None);

pub(crate) fn conflict(actual: u64) -> Outcome {
    Outcome::Conflict { actual }
}

/// The events of operations on one key. Who is not given a process gets one that is free.
pub(crate) fn events(key: &str, operations: &[Op]) -> Vec<Event> {
    let mut moments: BTreeMap<u64, (usize, bool)> = BTreeMap::new();
    for (number, operation) in operations.iter().enumerate() {
        assert!(moments.insert(operation.from, (number, false)).is_none());
        assert!(moments.insert(operation.to, (number, true)).is_none());
    }
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    let mut processes = BTreeMap::new();
    let mut events = Vec::new();
    for (index, (number, completes)) in moments {
        let operation = &operations[number];
        let free = (100..200).find(|process| !open.contains_key(process));
        let process = *processes
            .entry(number)
            .or_insert(operation.process.or(free).unwrap());
        let phase = if completes {
            open.remove(&process);
            Phase::Complete(operation.outcome.clone())
        } else {
            open.insert(process, number);
            Phase::Invoke
        };
        events.push(Event {
            index,
            time_ns: index * 10,
            process,
            key: key.to_owned(),
            call: operation.call.clone(),
            phase,
            origin: Origin {
                age_ns: operation.age_ns,
                ..Origin::default()
            },
            error: None,
        });
    }
    events
}

pub(crate) fn from_events(events: impl IntoIterator<Item = Event>) -> History {
    let mut history = History::default();
    for event in events {
        history.push(event).unwrap();
    }
    history
}

pub(crate) fn history(operations: &[Op]) -> History {
    from_events(events("k", operations))
}
