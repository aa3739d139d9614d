//! Histories of a correct database of lists, of which some answers get lost.

use std::collections::BTreeMap;

use atoll_history::{Call, Event, Found, History, Level, Origin, Outcome, Phase, Step};
use fastrand::Rng;

const PROCESSES: u32 = 6;
const OPERATIONS: usize = 300;

enum State {
    Idle,
    Asked(Call),
    /// Served, or not at all.
    Served(Call, Option<Outcome>),
}

pub(crate) fn history(seed: u64) -> History {
    let mut rng = Rng::with_seed(seed);
    let mut history = History::default();
    let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut processes: Vec<State> = (0..PROCESSES).map(|_| State::Idle).collect();
    let mut elements = 0;
    while history.operations().len() < OPERATIONS {
        let process = rng.u32(..PROCESSES);
        let Some(state) = processes.get_mut(process as usize) else {
            continue;
        };
        *state = match std::mem::replace(state, State::Idle) {
            State::Idle => {
                let call = call(&mut rng, &mut elements);
                push(&mut history, process, &call, Phase::Invoke);
                State::Asked(call)
            }
            State::Asked(call) => {
                let outcome = (rng.u32(..20) > 0).then(|| serve(&call, &mut lists));
                State::Served(call, outcome)
            }
            State::Served(call, outcome) => {
                let lost = rng.u32(..20) == 0;
                let unserved = Outcome::Failed;
                let answer = if lost {
                    Outcome::Unknown
                } else {
                    outcome.unwrap_or(unserved)
                };
                push(&mut history, process, &call, Phase::Complete(answer));
                State::Idle
            }
        };
    }
    history
}

fn call(rng: &mut Rng, elements: &mut u64) -> Call {
    let reads = rng.bool();
    let mut steps = Vec::new();
    let first = rng.u32(..4);
    for number in 0..1 + rng.u32(..3) {
        let key = format!("list {}", (first + number) % 4);
        *elements += 1;
        let element = elements.to_string();
        steps.push(if reads {
            Step::List { key }
        } else {
            Step::Append { key, element }
        });
    }
    Call::Txn {
        steps,
        level: Level::Linearizable,
    }
}

fn serve(call: &Call, lists: &mut BTreeMap<String, Vec<String>>) -> Outcome {
    let Call::Txn { steps, .. } = call else {
        return Outcome::Failed;
    };
    let mut found = Vec::new();
    for step in steps {
        let list = lists.entry(step.key().to_owned()).or_default();
        found.push(match step {
            Step::Append { element, .. } => {
                list.push(element.clone());
                Found::Nothing
            }
            _ => Found::Elements(list.clone()),
        });
    }
    Outcome::Done { version: None, found }
}

pub(crate) fn push(history: &mut History, process: u32, call: &Call, phase: Phase) {
    let index = history.events().len() as u64;
    let event = Event {
        index,
        time_ns: index * 1_000,
        process,
        key: "lists".to_owned(),
        call: call.clone(),
        phase,
        origin: Origin::default(),
        error: None,
    };
    history.push(event).expect("a process does one thing at a time");
}
