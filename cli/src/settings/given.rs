//! A value somebody gave, where, and what is wrong with it.

use std::fmt;

use super::field::{Field, Kind};

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    List(Vec<String>),
    Flag(bool),
    Number(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::List(items) => f.write_str(&items.join(",")),
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File { path: String, line: usize },
    Variable(&'static str),
    Option(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path} line {line}"),
            Self::Variable(name) | Self::Option(name) => f.write_str(name),
        }
    }
}

/// A value and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// Something that must be mended before a node starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The setting's name, or what stands in its place.
    pub(crate) setting: String,
    /// What is wrong and what is allowed.
    pub(crate) what: String,
    /// Where it was said.
    pub(crate) source: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.setting, self.what, self.source)
    }
}

/// Reads what a flag or a variable says.
pub(super) fn parse(field: Field, text: &str) -> Result<Value, String> {
    match field.kind() {
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::List(items.map(str::to_owned).collect()))
        }
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Flag(!field.negated())),
            "false" | "0" | "no" | "off" => Ok(Value::Flag(field.negated())),
            _ => Err(format!("'{text}' is neither true nor false")),
        },
        Kind::Number { least, most } => match text.parse() {
            Ok(number) => in_range(number, least, most),
            Err(_) => Err(format!("'{text}' is not a number from {least} to {most}")),
        },
        Kind::Choice(choices) => choice(text, choices),
    }
}

pub(super) fn in_range(number: u64, least: u64, most: u64) -> Result<Value, String> {
    if (least..=most).contains(&number) {
        Ok(Value::Number(number))
    } else {
        Err(format!("{number} is not a number from {least} to {most}"))
    }
}

pub(super) fn choice(text: &str, choices: &[&str]) -> Result<Value, String> {
    if choices.contains(&text) {
        Ok(Value::Text(text.to_owned()))
    } else {
        Err(format!("'{text}' is not one of {}", choices.join(", ")))
    }
}
