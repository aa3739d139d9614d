//! Jepsen's EDN: one map per line, values as `[key value]`, as jepsen.independent has them.
//!
//! Versions become values where a model needs it: Knossos' cas-register compares values. A
//! compare-and-set names the value of its expected version if any answer shows it. Where none does,
//! it is written as a plain write, which asks for less and so accuses nobody. Removing is writing
//! `nil`, and a key starts as `nil`. Reads of weaker levels have names of their own, for no model asks
//! them to be up to date.
//!
//! A transaction is a list of micro-operations as Elle has them: `[:append k v]`, `[:r k v]`, `[:w k v]`. Conditions of
//! its writes are left out. For a file with nothing else than Elle's list-append in it, see [`super::elle`].
//!
//! A Jepsen process is done with once it did not get an answer; ours goes on. After every `:info` it
//! thus goes on under a new number, equal modulo the number of processes.

use std::collections::BTreeMap;
use std::io::Write;

use super::txn;
use crate::error::Error;
use crate::event::{Call, Event, Expected, Level, Outcome, Phase, Seen};
use crate::history::History;

/// Writes a history for Knossos, Elle and other readers of Jepsen's histories.
pub fn edn(history: &History, mut output: impl Write) -> Result<(), Error> {
    let values = values_by_version(history);
    let mut processes = Processes::new(history);
    for event in history.events() {
        let process = processes.of(event);
        let (f, value) = function(event, &values);
        write!(
            output,
            "{{:index {}, :time {}, :process {process}, :type {}, :f {f}, :value [{} {value}]",
            event.index,
            event.time_ns,
            kind(&event.phase),
            quote(&event.key),
        )?;
        write_details(event, &mut output)?;
        output.write_all(b"}\n")?;
    }
    output.flush()?;
    Ok(())
}

/// The numbers that processes go on under.
pub(super) struct Processes {
    count: u64,
    infos: BTreeMap<u32, u64>,
}

impl Processes {
    pub(super) fn new(history: &History) -> Self {
        let numbers = history.events().iter().map(|event| u64::from(event.process));
        Self {
            count: 1 + numbers.max().unwrap_or(0),
            infos: BTreeMap::new(),
        }
    }

    /// To be asked for each event in turn.
    pub(super) fn of(&mut self, event: &Event) -> u64 {
        let infos = self.infos.entry(event.process).or_default();
        let process = u64::from(event.process) + *infos * self.count;
        *infos += u64::from(event.phase == Phase::Complete(Outcome::Unknown));
        process
    }
}

pub(super) fn kind(phase: &Phase) -> &'static str {
    match phase {
        Phase::Invoke => ":invoke",
        Phase::Complete(Outcome::Unknown) => ":info",
        Phase::Complete(Outcome::Failed | Outcome::Conflict { .. } | Outcome::Refused { .. }) => ":fail",
        Phase::Complete(_) => ":ok",
    }
}

/// By key and version.
type Values<'a> = BTreeMap<(&'a str, u64), &'a str>;

fn values_by_version(history: &History) -> Values<'_> {
    let mut values = Values::new();
    for operation in history.operations() {
        let (version, value) = match &operation.outcome {
            Outcome::Read(Some(seen)) => (seen.version, Some(seen.value.as_str())),
            Outcome::Written { version } => (*version, operation.call.stored()),
            _ => continue,
        };
        if let (Some(version), Some(value)) = (version, value) {
            values.insert((&operation.key, version), value);
        }
    }
    values
}

fn function(event: &Event, values: &Values<'_>) -> (&'static str, String) {
    let outcome = match &event.phase {
        Phase::Complete(outcome) => Some(outcome),
        Phase::Invoke => None,
    };
    match &event.call {
        Call::Put { value } => (":write", quote(value)),
        Call::Delete => (":write", "nil".to_owned()),
        Call::Cas { expected, value } => {
            let new = value.as_deref().map_or_else(|| "nil".to_owned(), quote);
            match old_value(&event.key, expected, values) {
                Some(old) => (":cas", format!("[{old} {new}]")),
                None => (":write", new),
            }
        }
        Call::CounterAdd { amount } => (":add", amount.to_string()),
        Call::SetAdd { element } => (":add", quote(element)),
        Call::Get { level } | Call::CounterRead { level } | Call::SetRead { level } => {
            (read_name(*level), answer(outcome))
        }
        Call::Txn { steps, .. } => (":txn", txn::micro_operations(steps, outcome)),
        Call::Scan { .. } => (":scan", answer(outcome)),
    }
}

fn old_value(key: &str, expected: &Expected, values: &Values<'_>) -> Option<String> {
    if expected.version == 0 {
        return Some("nil".to_owned());
    }
    let shown = values.get(&(key, expected.version)).copied();
    expected.value.as_deref().or(shown).map(quote)
}

fn read_name(level: Level) -> &'static str {
    match level {
        Level::Linearizable => ":read",
        Level::Session => ":read-session",
        Level::Bounded { .. } => ":read-bounded",
        Level::Eventual => ":read-eventual",
    }
}

fn answer(outcome: Option<&Outcome>) -> String {
    match outcome {
        Some(Outcome::Read(Some(seen))) => quote(&seen.value),
        Some(Outcome::Counted(number)) => number.to_string(),
        Some(Outcome::Rows(rows)) => {
            let row = |(key, seen): &(String, Seen)| format!("[{} {}]", quote(key), quote(&seen.value));
            format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(" "))
        }
        Some(Outcome::Elements(elements)) => {
            let elements: Vec<String> = elements.iter().map(|element| quote(element)).collect();
            format!("[{}]", elements.join(" "))
        }
        _ => "nil".to_owned(),
    }
}

fn write_details(event: &Event, output: &mut impl Write) -> Result<(), Error> {
    let version = match &event.phase {
        Phase::Complete(Outcome::Written { version } | Outcome::Done { version, .. }) => *version,
        Phase::Complete(Outcome::Read(Some(seen))) => seen.version,
        Phase::Complete(Outcome::Conflict { actual }) => Some(*actual),
        _ => None,
    };
    if let Some(version) = version {
        write!(output, ", :version {version}")?;
    }
    if let Call::Cas { expected, .. } = &event.call {
        write!(output, ", :expected {}", expected.version)?;
    }
    if let Some(node) = event.origin.node {
        write!(output, ", :node {node}")?;
    }
    if let Some(error) = &event.error {
        write!(output, ", :error {}", quote(error))?;
    }
    Ok(())
}

/// An EDN string. EDN knows fewer escapes than JSON, but takes other control characters as they are.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
