//! Transactions as Elle has them.

use std::io::Write;

use super::edn::{Processes, kind, quote};
use crate::error::Error;
use crate::event::{Call, Outcome, Phase};
use crate::history::History;
use crate::step::{Found, Step};

/// Writes the transactions on lists, and nothing else, for Elle's list-append checker and others that read its
/// histories. Elements that are numbers are written as numbers.
pub fn elle(history: &History, mut output: impl Write) -> Result<(), Error> {
    let mut processes = Processes::new(history);
    let mut index = 0;
    for event in history.events() {
        let process = processes.of(event);
        let Call::Txn { steps, .. } = &event.call else {
            continue;
        };
        if !steps.iter().all(Step::is_of_list) {
            continue;
        }
        let outcome = match &event.phase {
            Phase::Complete(outcome) => Some(outcome),
            Phase::Invoke => None,
        };
        writeln!(
            output,
            "{{:index {index}, :time {}, :process {process}, :type {}, :f :txn, :value {}}}",
            event.time_ns,
            kind(&event.phase),
            micro_operations(steps, outcome),
        )?;
        index += 1;
    }
    output.flush()?;
    Ok(())
}

/// As in Elle's histories, with what was found if it is known.
pub(super) fn micro_operations(steps: &[Step], outcome: Option<&Outcome>) -> String {
    let found: &[Found] = match outcome {
        Some(Outcome::Done { found, .. }) => found,
        _ => &[],
    };
    let all: Vec<String> = (0..)
        .zip(steps)
        .map(|(number, step)| micro_operation(step, found.get(number)))
        .collect();
    format!("[{}]", all.join(" "))
}

fn micro_operation(step: &Step, found: Option<&Found>) -> String {
    let key = quote(step.key());
    match (step, found) {
        (Step::Append { element, .. }, _) => format!("[:append {key} {}]", scalar(element)),
        (Step::Write { value, .. }, _) => {
            let value = value.as_deref().map_or_else(|| "nil".to_owned(), quote);
            format!("[:w {key} {value}]")
        }
        (_, Some(Found::Elements(elements))) => {
            let elements: Vec<String> = elements.iter().map(|element| scalar(element)).collect();
            format!("[:r {key} [{}]]", elements.join(" "))
        }
        (_, Some(Found::Value(Some(seen)))) => format!("[:r {key} {}]", quote(&seen.value)),
        _ => format!("[:r {key} nil]"),
    }
}

fn scalar(text: &str) -> String {
    let number = text
        .parse::<i64>()
        .ok()
        .filter(|number| number.to_string() == text);
    number.map_or_else(|| quote(text), |number| number.to_string())
}
