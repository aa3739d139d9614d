//! Calls and returns, as porcupine wants them, one per line, fields separated by a space:
//!
//! ```text
//! call   <id> <client> put <key> <value>
//! call   <id> <client> delete <key>
//! call   <id> <client> cas <key> <expected version> <expected value> <value>
//! call   <id> <client> get|counter_read|set_read <key> <level>
//! call   <id> <client> counter_add <key> <amount>
//! call   <id> <client> set_add <key> <element>
//! return <id> <client> ok [<version>]            a write
//! return <id> <client> found <value> <version>   a get; without a version also counter_read and counter_add
//! return <id> <client> absent                    a get
//! return <id> <client> elements <element>...
//! return <id> <client> conflict <version>        0: absent
//! return <id> <client> unknown
//! ```
//!
//! Keys, values and elements are JSON strings, `-` stands for one that is not given, 0 for a version
//! that is not. Transactions and scans are left out; [`crate::Parts`] makes single reads and writes of them. Operations that certainly did not happen, and reads without an answer, are left out. Those that
//! may have happened return at the very end, because they may take effect until then: a model has to
//! take their return as saying nothing and to allow that they never happened.

use std::io::Write;

use crate::error::Error;
use crate::event::{Call, Level, Outcome};
use crate::history::History;
use crate::operation::Operation;

/// Writes a history as calls and returns.
pub fn plain(history: &History, mut output: impl Write) -> Result<(), Error> {
    let mut moments: Vec<(u64, usize, &Operation)> = Vec::new();
    for (id, operation) in history.operations().iter().enumerate() {
        if matches!(operation.call, Call::Txn { .. } | Call::Scan { .. }) {
            continue;
        }
        let unanswered = operation.outcome == Outcome::Unknown && !operation.call.is_write();
        if operation.outcome != Outcome::Failed && !unanswered {
            moments.push((operation.invoked.index, id, operation));
            moments.push((operation.ended(), id, operation));
        }
    }
    moments.sort_unstable_by_key(|(at, id, _)| (*at, *id));
    for (at, id, operation) in moments {
        let (process, key) = (operation.process, quote(&operation.key)?);
        if at == operation.invoked.index {
            let (name, arguments) = call(&operation.call)?;
            writeln!(output, "call {id} {process} {name} {key}{arguments}")?;
        } else {
            writeln!(output, "return {id} {process} {}", answer(&operation.outcome)?)?;
        }
    }
    output.flush()?;
    Ok(())
}

fn call(call: &Call) -> Result<(&'static str, String), Error> {
    Ok(match call {
        Call::Put { value } => ("put", format!(" {}", quote(value)?)),
        Call::Delete => ("delete", String::new()),
        Call::Cas { expected, value } => {
            let old = optional(expected.value.as_deref())?;
            let new = optional(value.as_deref())?;
            ("cas", format!(" {} {old} {new}", expected.version))
        }
        Call::Get { level } => ("get", name(*level)),
        Call::CounterAdd { amount } => ("counter_add", format!(" {amount}")),
        Call::CounterRead { level } => ("counter_read", name(*level)),
        Call::SetAdd { element } => ("set_add", format!(" {}", quote(element)?)),
        Call::SetRead { level } => ("set_read", name(*level)),
        Call::Txn { .. } | Call::Scan { .. } => ("", String::new()),
    })
}

fn answer(outcome: &Outcome) -> Result<String, Error> {
    Ok(match outcome {
        Outcome::Written {
            version: Some(version),
        } => format!("ok {version}"),
        Outcome::Written { version: None } => "ok".to_owned(),
        Outcome::Read(None) => "absent".to_owned(),
        Outcome::Read(Some(seen)) => format!("found {} {}", quote(&seen.value)?, seen.version.unwrap_or(0)),
        Outcome::Counted(number) | Outcome::Added(number) => format!("found {number}"),
        Outcome::Elements(elements) => {
            let mut text = "elements".to_owned();
            for element in elements {
                text.push(' ');
                text.push_str(&quote(element)?);
            }
            text
        }
        Outcome::Conflict { actual } => format!("conflict {actual}"),
        // Of transactions and scans nothing is written.
        Outcome::Done { .. }
        | Outcome::Rows(_)
        | Outcome::Refused { .. }
        | Outcome::Failed
        | Outcome::Unknown => "unknown".to_owned(),
    })
}

fn name(level: Level) -> String {
    match level {
        Level::Linearizable => " linearizable".to_owned(),
        Level::Session => " session".to_owned(),
        Level::Bounded { max_age_ns } => format!(" bounded:{max_age_ns}"),
        Level::Eventual => " eventual".to_owned(),
    }
}

fn optional(text: Option<&str>) -> Result<String, Error> {
    text.map_or_else(|| Ok("-".to_owned()), quote)
}

fn quote(text: &str) -> Result<String, Error> {
    Ok(serde_json::to_string(text).map_err(std::io::Error::from)?)
}
