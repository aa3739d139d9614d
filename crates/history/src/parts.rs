//! Transactions and scans taken apart, for the checkers that know single registers.

use std::collections::BTreeMap;

use crate::error::Problem;
use crate::event::{Call, Event, Expected, Level, Outcome, Phase};
use crate::history::History;
use crate::step::{Found, Step};
use crate::verdict::Verdict;

/// A history in which every step of a transaction and every key of a scan is an operation of its own. That all
/// happened at one moment is lost; so what a checker finds wrong with the parts is wrong with the whole, but not the
/// other way round. Steps on lists are left out.
///
/// A process does one thing at a time, so parts have processes of their own: one for each process and key.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    history: History,
    /// By index of an event here, the index of the event that it is a part of.
    origins: Vec<u64>,
    processes: BTreeMap<(u32, String), u32>,
    free: u32,
}

impl Parts {
    /// Takes a history apart. Fails if there are too many parts.
    pub fn new(whole: &History) -> Result<Self, Problem> {
        let highest = whole.events().iter().map(|event| event.process).max();
        let mut parts = Self {
            free: highest.map_or(0, |process| process.saturating_add(1)),
            ..Self::default()
        };
        for event in whole.events() {
            parts.add(event)?;
        }
        Ok(parts)
    }

    /// The parts.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What a checker says of the parts, said of the whole: with the indexes of its events.
    #[must_use]
    pub fn of_whole(&self, verdict: Verdict) -> Verdict {
        let Verdict::Violation(mut found) = verdict else {
            return verdict;
        };
        for violation in &mut found {
            violation.operation = violation.operation.map(|index| self.origin(index));
            for index in &mut violation.prefix {
                *index = self.origin(*index);
            }
        }
        Verdict::Violation(found)
    }

    fn origin(&self, index: u64) -> u64 {
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        self.origins.get(position).copied().unwrap_or(index)
    }

    fn add(&mut self, event: &Event) -> Result<(), Problem> {
        match &event.call {
            Call::Txn { steps, level } => {
                let parts = (0..).zip(steps);
                let mut parts =
                    parts.filter_map(|(number, step)| Some((number, step, call_of(step, *level)?)));
                parts.try_for_each(|(number, step, call)| {
                    self.push_part(event, step.key(), &call, |whole| outcome_of(whole, number, &call))
                })
            }
            Call::Scan { keys, level, .. } => {
                let call = Call::Get { level: *level };
                for key in keys {
                    self.push_part(event, key, &call, |whole| row_of(whole, key))?;
                }
                Ok(())
            }
            _ => self.push(event.index, event.clone()),
        }
    }

    fn push_part(
        &mut self,
        event: &Event,
        key: &str,
        call: &Call,
        outcome: impl Fn(&Outcome) -> Outcome,
    ) -> Result<(), Problem> {
        let next = self.free;
        let process = *self
            .processes
            .entry((event.process, key.to_owned()))
            .or_insert(next);
        self.free += u32::from(process == next);
        let phase = match &event.phase {
            Phase::Invoke => Phase::Invoke,
            Phase::Complete(whole) => Phase::Complete(outcome(whole)),
        };
        let part = Event {
            process,
            key: key.to_owned(),
            call: call.clone(),
            phase,
            ..event.clone()
        };
        self.push(event.index, part)
    }

    fn push(&mut self, origin: u64, mut event: Event) -> Result<(), Problem> {
        event.index = self.origins.len() as u64;
        self.origins.push(origin);
        self.history.push(event)
    }
}

fn call_of(step: &Step, level: Level) -> Option<Call> {
    Some(match step.clone() {
        Step::Write {
            expected: Some(version),
            value,
            ..
        } => Call::Cas {
            expected: Expected { version, value: None },
            value,
        },
        Step::Write {
            value: Some(value), ..
        } => Call::Put { value },
        Step::Write { value: None, .. } => Call::Delete,
        Step::Read { .. } => Call::Get { level },
        Step::Append { .. } | Step::List { .. } => return None,
    })
}

fn outcome_of(whole: &Outcome, number: usize, call: &Call) -> Outcome {
    match whole {
        Outcome::Done { version, found } => match found.get(number) {
            Some(Found::Value(seen)) => Outcome::Read(seen.clone()),
            _ => Outcome::Written { version: *version },
        },
        Outcome::Refused { step, actual } if *step == number => Outcome::Conflict { actual: *actual },
        Outcome::Unknown if call.is_write() => Outcome::Unknown,
        // Of a read nothing is known either way.
        _ => Outcome::Failed,
    }
}

fn row_of(whole: &Outcome, key: &str) -> Outcome {
    match whole {
        Outcome::Rows(rows) => {
            let row = rows.iter().find(|(name, _)| name == key);
            Outcome::Read(row.map(|(_, seen)| seen.clone()))
        }
        _ => Outcome::Failed,
    }
}
