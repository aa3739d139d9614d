//! The settings file: TOML without tables, one key per setting.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::field::{Field, Kind};
use super::given::{Given, Problem, Source, Value, choice, in_range};

/// Reads all of a file that can be read; the rest is problems, each with its line.
pub(super) fn read(path: &str, text: &str) -> (BTreeMap<Field, Given>, Vec<Problem>) {
    let at = |offset: usize| Source::File {
        path: path.to_owned(),
        line: line_of(text, offset),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| Problem {
            setting: "file".to_owned(),
            what: error.message().to_owned(),
            source: at(error.span().map_or(0, |span| span.start)).to_string(),
        })
        .collect();
    let broken: Vec<usize> = errors
        .iter()
        .filter_map(|error| Some(line_of(text, error.span()?.start)))
        .collect();
    let mut given = BTreeMap::new();
    for (key, value) in table.get_ref() {
        // What the parser made of a line that it complained of is its guess.
        if broken.contains(&line_of(text, key.span().start)) {
            continue;
        }
        let (name, source): (&str, _) = (key.get_ref(), at(key.span().start));
        let read = match Field::named(name) {
            Some(field) => convert(field, value.get_ref()).map(|value| (field, value)),
            None => Err(unknown(name)),
        };
        match read {
            Ok((field, value)) => {
                given.insert(field, Given { value, source });
            }
            Err(what) => problems.push(Problem {
                setting: name.to_owned(),
                what,
                source: source.to_string(),
            }),
        }
    }
    (given, problems)
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

fn unknown(name: &str) -> String {
    let hyphens = name.replace('_', "-");
    if Field::named(&hyphens).is_some() {
        return format!("there is no such setting; it is written {hyphens}");
    }
    let known: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
    format!("there is no such setting; known are {}", known.join(", "))
}

fn convert(field: Field, value: &DeValue<'_>) -> Result<Value, String> {
    match (field.kind(), value) {
        (Kind::Text, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Kind::Choice(choices), DeValue::String(text)) => choice(text, choices),
        (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Number { least, most }, DeValue::Integer(number)) => {
            let digits = number.as_str().replace('_', "");
            match u64::from_str_radix(&digits, number.radix()) {
                Ok(number) => in_range(number, least, most),
                Err(_) => Err(format!(
                    "{} is not a number from {least} to {most}",
                    number.as_str()
                )),
            }
        }
        (Kind::List, DeValue::Array(items)) => {
            let text = |item: &DeValue<'_>| match item {
                DeValue::String(text) => Ok(text.to_string()),
                _ => Err("its items are strings, for example [\"a:7401\", \"b:7401\"]".to_owned()),
            };
            let items: Result<_, String> = items.iter().map(|item| text(item.get_ref())).collect();
            items.map(Value::List)
        }
        (kind, _) => Err(format!("{} is expected", expected(kind))),
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Choice(_) => "a string in quotes",
        Kind::List => "a list of strings, for example [\"a:7401\", \"b:7401\"],",
        Kind::Flag => "true or false",
        Kind::Number { .. } => "a whole number without quotes",
    }
}
