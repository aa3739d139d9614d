//! The JSON of one event: one flat object, 64-bit numbers as strings.

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::event::{Call, Event, Expected, Level, Origin, Outcome, Phase, Seen};
use crate::number::{optional_text, text};
use crate::step::{Found, Step};
use crate::step_line::{FoundLine, RowLine, StepLine};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    #[serde(with = "text")]
    index: u64,
    #[serde(with = "text")]
    time: u64,
    process: u32,
    r#type: Type,
    operation: Name,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// What a read of a set found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    version: Option<u64>,
    /// The condition of a compare-and-set.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    expected: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected_value: Option<String>,
    /// The version that did not fit the condition; makes a `fail` a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    actual: Option<u64>,
    /// What the counter was after an addition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<String>,
    /// Of transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepLine>>,
    /// What each step of a transaction found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<Vec<FoundLine>>,
    /// The step whose condition did not hold, with `actual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<usize>,
    /// What a scan may find.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reverse: Option<bool>,
    /// What a scan found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<RowLine>>,
    /// Of reads; linearizable if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<LevelName>,
    /// Nanoseconds; of bounded reads.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    max_age: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    node: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    group: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    applied: Option<u64>,
    /// Nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    age: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    Invoke,
    Ok,
    Fail,
    Info,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Put,
    Delete,
    Cas,
    Get,
    CounterAdd,
    CounterRead,
    SetAdd,
    SetRead,
    Txn,
    Scan,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LevelName {
    Linearizable,
    Session,
    Bounded,
    Eventual,
}

impl Line {
    pub(crate) fn parse(text: &[u8]) -> Result<Event, Problem> {
        serde_json::from_slice::<Self>(text)?.event()
    }

    fn event(mut self) -> Result<Event, Problem> {
        let call = self.take_call()?;
        let phase = self.take_phase()?;
        self.must_be_used_up()?;
        let origin = Origin {
            node: self.node,
            group: self.group,
            applied: self.applied,
            age_ns: self.age,
        };
        Ok(Event {
            index: self.index,
            time_ns: self.time,
            process: self.process,
            key: self.key,
            call,
            phase,
            origin,
            error: self.error,
        })
    }

    fn take_call(&mut self) -> Result<Call, Problem> {
        let value = |line: &mut Self| line.value.take().ok_or(Problem::Missing("value"));
        Ok(match self.operation {
            Name::Put => Call::Put { value: value(self)? },
            Name::Delete => Call::Delete,
            Name::Cas => Call::Cas {
                expected: Expected {
                    version: self.expected.take().ok_or(Problem::Missing("expected"))?,
                    value: self.expected_value.take(),
                },
                value: self.value.take(),
            },
            Name::Get => Call::Get {
                level: self.take_level()?,
            },
            Name::CounterAdd => Call::CounterAdd {
                amount: self.take_number()?,
            },
            Name::CounterRead => Call::CounterRead {
                level: self.take_level()?,
            },
            Name::SetAdd => Call::SetAdd {
                element: value(self)?,
            },
            Name::SetRead => Call::SetRead {
                level: self.take_level()?,
            },
            Name::Txn => Call::Txn {
                steps: self.take_steps()?,
                level: self.take_level()?,
            },
            Name::Scan => Call::Scan {
                keys: self.keys.take().ok_or(Problem::Missing("keys"))?,
                reverse: self.reverse.take().unwrap_or(false),
                level: self.take_level()?,
            },
        })
    }

    fn take_steps(&mut self) -> Result<Vec<Step>, Problem> {
        let steps = self.steps.take().ok_or(Problem::Missing("steps"))?;
        steps.into_iter().map(StepLine::step).collect()
    }

    fn take_level(&mut self) -> Result<Level, Problem> {
        Ok(match self.level.take() {
            None | Some(LevelName::Linearizable) => Level::Linearizable,
            Some(LevelName::Session) => Level::Session,
            Some(LevelName::Bounded) => Level::Bounded {
                max_age_ns: self.max_age.take().ok_or(Problem::Missing("max_age"))?,
            },
            Some(LevelName::Eventual) => Level::Eventual,
        })
    }

    fn take_number(&mut self) -> Result<i64, Problem> {
        let text = self.value.take().ok_or(Problem::Missing("value"))?;
        text.parse().map_err(|_| Problem::Misplaced("value"))
    }

    fn take_phase(&mut self) -> Result<Phase, Problem> {
        let outcome = match self.r#type {
            Type::Invoke => return Ok(Phase::Invoke),
            Type::Info => Outcome::Unknown,
            Type::Fail => match (self.actual.take(), self.refused.take()) {
                (Some(actual), Some(step)) => Outcome::Refused { step, actual },
                (Some(actual), None) => Outcome::Conflict { actual },
                (None, Some(_)) => return Err(Problem::Missing("actual")),
                (None, None) => Outcome::Failed,
            },
            Type::Ok => self.take_answer()?,
        };
        Ok(Phase::Complete(outcome))
    }

    fn take_answer(&mut self) -> Result<Outcome, Problem> {
        Ok(match self.operation {
            Name::Get => Outcome::Read(self.value.take().map(|value| Seen {
                value,
                version: self.version.take(),
            })),
            Name::CounterRead => Outcome::Counted(self.take_number()?),
            Name::SetRead => Outcome::Elements(self.values.take().ok_or(Problem::Missing("values"))?),
            Name::CounterAdd if self.sum.is_some() => {
                let sum = self.sum.take().unwrap_or_default();
                Outcome::Added(sum.parse().map_err(|_| Problem::Misplaced("sum"))?)
            }
            Name::Txn => Outcome::Done {
                version: self.version.take(),
                found: self.take_found()?,
            },
            Name::Scan => {
                let rows = self.rows.take().ok_or(Problem::Missing("rows"))?;
                Outcome::Rows(rows.into_iter().map(RowLine::row).collect())
            }
            Name::Put | Name::Delete | Name::Cas | Name::CounterAdd | Name::SetAdd => Outcome::Written {
                version: self.version.take(),
            },
        })
    }

    fn take_found(&mut self) -> Result<Vec<Found>, Problem> {
        let found = self.found.take().ok_or(Problem::Missing("found"))?;
        found.into_iter().map(FoundLine::found).collect()
    }

    /// A field that was written down but means nothing is a recorder's mistake, and could hide what
    /// a checker should see.
    fn must_be_used_up(&self) -> Result<(), Problem> {
        let left = [
            ("value", self.value.is_some()),
            ("values", self.values.is_some()),
            ("version", self.version.is_some()),
            ("expected", self.expected.is_some()),
            ("expected_value", self.expected_value.is_some()),
            ("actual", self.actual.is_some()),
            ("sum", self.sum.is_some()),
            ("steps", self.steps.is_some()),
            ("found", self.found.is_some()),
            ("refused", self.refused.is_some()),
            ("keys", self.keys.is_some()),
            ("reverse", self.reverse.is_some()),
            ("rows", self.rows.is_some()),
            ("level", self.level.is_some()),
            ("max_age", self.max_age.is_some()),
        ];
        match left.iter().find(|(_, left)| *left) {
            Some((name, _)) => Err(Problem::Misplaced(name)),
            None => Ok(()),
        }
    }

    pub(crate) fn of(event: &Event) -> Self {
        let mut line = Self {
            index: event.index,
            time: event.time_ns,
            process: event.process,
            r#type: Type::Invoke,
            operation: Name::Put,
            key: event.key.clone(),
            value: None,
            values: None,
            version: None,
            expected: None,
            expected_value: None,
            actual: None,
            sum: None,
            steps: None,
            found: None,
            refused: None,
            keys: None,
            reverse: None,
            rows: None,
            level: None,
            max_age: None,
            node: event.origin.node,
            group: event.origin.group,
            applied: event.origin.applied,
            age: event.origin.age_ns,
            error: event.error.clone(),
        };
        line.put_call(&event.call);
        if let Phase::Complete(outcome) = &event.phase {
            line.put_outcome(outcome);
        }
        line
    }

    fn put_call(&mut self, call: &Call) {
        self.operation = match call {
            Call::Put { .. } => Name::Put,
            Call::Delete => Name::Delete,
            Call::Cas { .. } => Name::Cas,
            Call::Get { .. } => Name::Get,
            Call::CounterAdd { .. } => Name::CounterAdd,
            Call::CounterRead { .. } => Name::CounterRead,
            Call::SetAdd { .. } => Name::SetAdd,
            Call::SetRead { .. } => Name::SetRead,
            Call::Txn { .. } => Name::Txn,
            Call::Scan { .. } => Name::Scan,
        };
        match call {
            Call::Put { value } | Call::SetAdd { element: value } => self.value = Some(value.clone()),
            Call::CounterAdd { amount } => self.value = Some(amount.to_string()),
            Call::Cas { expected, value } => {
                self.value.clone_from(value);
                self.expected = Some(expected.version);
                self.expected_value.clone_from(&expected.value);
            }
            Call::Delete => {}
            Call::Get { level } | Call::CounterRead { level } | Call::SetRead { level } => {
                self.put_level(*level);
            }
            Call::Txn { steps, level } => {
                self.steps = Some(steps.iter().map(StepLine::of).collect());
                self.put_level(*level);
            }
            Call::Scan { keys, reverse, level } => {
                self.keys = Some(keys.clone());
                self.reverse = Some(*reverse);
                self.put_level(*level);
            }
        }
    }

    fn put_level(&mut self, level: Level) {
        self.level = match level {
            Level::Linearizable => None,
            Level::Session => Some(LevelName::Session),
            Level::Bounded { max_age_ns } => {
                self.max_age = Some(max_age_ns);
                Some(LevelName::Bounded)
            }
            Level::Eventual => Some(LevelName::Eventual),
        };
    }

    fn put_outcome(&mut self, outcome: &Outcome) {
        self.r#type = match outcome {
            Outcome::Conflict { .. } | Outcome::Refused { .. } | Outcome::Failed => Type::Fail,
            Outcome::Unknown => Type::Info,
            _ => Type::Ok,
        };
        match outcome {
            Outcome::Written { version } => self.version = *version,
            Outcome::Read(Some(seen)) => {
                self.value = Some(seen.value.clone());
                self.version = seen.version;
            }
            Outcome::Counted(value) => self.value = Some(value.to_string()),
            Outcome::Elements(values) => self.values = Some(values.clone()),
            Outcome::Conflict { actual } => self.actual = Some(*actual),
            Outcome::Added(sum) => self.sum = Some(sum.to_string()),
            Outcome::Done { version, found } => {
                self.version = *version;
                self.found = Some(found.iter().map(FoundLine::of).collect());
            }
            Outcome::Rows(rows) => self.rows = Some(rows.iter().map(RowLine::of).collect()),
            Outcome::Refused { step, actual } => {
                self.refused = Some(*step);
                self.actual = Some(*actual);
            }
            Outcome::Read(None) | Outcome::Failed | Outcome::Unknown => {}
        }
    }
}
