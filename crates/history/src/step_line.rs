//! The JSON of the steps of a transaction, of what they found, and of rows.

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::event::Seen;
use crate::number::optional_text;
use crate::step::{Found, Step};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepLine {
    r#do: Name,
    key: String,
    /// Of a write and an append; a write without removes the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    expected: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Write,
    Read,
    Append,
    List,
}

impl StepLine {
    pub(crate) fn of(step: &Step) -> Self {
        let (r#do, value, expected) = match step {
            Step::Write { expected, value, .. } => (Name::Write, value.clone(), *expected),
            Step::Read { .. } => (Name::Read, None, None),
            Step::Append { element, .. } => (Name::Append, Some(element.clone()), None),
            Step::List { .. } => (Name::List, None, None),
        };
        let key = step.key().to_owned();
        Self {
            r#do,
            key,
            value,
            expected,
        }
    }

    pub(crate) fn step(self) -> Result<Step, Problem> {
        let Self {
            r#do,
            key,
            value,
            expected,
        } = self;
        if expected.is_some() && r#do != Name::Write {
            return Err(Problem::Misplaced("expected"));
        }
        match (r#do, value) {
            (Name::Write, value) => Ok(Step::Write { key, expected, value }),
            (Name::Append, Some(element)) => Ok(Step::Append { key, element }),
            (Name::Append, None) => Err(Problem::Missing("value")),
            (Name::Read, None) => Ok(Step::Read { key }),
            (Name::List, None) => Ok(Step::List { key }),
            (Name::Read | Name::List, Some(_)) => Err(Problem::Misplaced("value")),
        }
    }
}

/// Nothing, a value with its version, or elements.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FoundLine {
    /// Of a register: whether it existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
}

impl FoundLine {
    pub(crate) fn of(found: &Found) -> Self {
        match found {
            Found::Nothing => Self::default(),
            Found::Value(seen) => Self {
                exists: Some(seen.is_some()),
                value: seen.as_ref().map(|seen| seen.value.clone()),
                version: seen.as_ref().and_then(|seen| seen.version),
                values: None,
            },
            Found::Elements(elements) => Self {
                values: Some(elements.clone()),
                ..Self::default()
            },
        }
    }

    pub(crate) fn found(self) -> Result<Found, Problem> {
        let Self {
            exists,
            value,
            version,
            values,
        } = self;
        match (exists, value, version, values) {
            (None, None, None, None) => Ok(Found::Nothing),
            (None, None, None, Some(elements)) => Ok(Found::Elements(elements)),
            (Some(false), None, None, None) => Ok(Found::Value(None)),
            (Some(true), Some(value), version, None) => Ok(Found::Value(Some(Seen { value, version }))),
            _ => Err(Problem::Misplaced("found")),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowLine {
    key: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    version: Option<u64>,
}

impl RowLine {
    pub(crate) fn of((key, seen): &(String, Seen)) -> Self {
        Self {
            key: key.clone(),
            value: seen.value.clone(),
            version: seen.version,
        }
    }

    pub(crate) fn row(self) -> (String, Seen) {
        let Self { key, value, version } = self;
        (key, Seen { value, version })
    }
}
