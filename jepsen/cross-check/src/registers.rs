//! Registers: ours beside porcupine, which is a program of its own (`porcupine/`).

use std::path::Path;
use std::process::Command;

use atoll_history::check::{Budget, linearizable};
use atoll_history::{Call, Event, Expected, History, Level, Origin, Outcome, Phase, Seen, Verdict, export};
use fastrand::Rng;

const PROCESSES: u32 = 6;
const OPERATIONS: usize = 200;

/// A name, and what it does to a history; nothing if there is nowhere to do it.
type Plant = fn(&History) -> Option<History>;

pub(crate) const FAULTS: [(&str, Plant); 4] = [
    ("registers, a stale read", stale),
    ("registers, a write that was read had failed", dropped),
    ("registers, two reads are swapped", swapped),
    ("registers, two compare-and-sets of one version", doubled),
];

/// What ours says: right, wrong, or not decided.
pub(crate) fn ours(history: &History) -> Option<bool> {
    match linearizable(history, Budget::default()) {
        Verdict::Ok { .. } => Some(true),
        Verdict::Violation(_) => Some(false),
        Verdict::Unknown(_) => None,
    }
}

/// What porcupine says.
pub(crate) fn theirs(program: &Path, history: &History) -> Result<Option<bool>, String> {
    let path = std::env::temp_dir().join(format!("cross-check-{}.txt", std::process::id()));
    let mut text = Vec::new();
    export::plain(history, &mut text).map_err(|error| error.to_string())?;
    std::fs::write(&path, text).map_err(|error| error.to_string())?;
    let output = Command::new(program).arg(&path).output();
    std::fs::remove_file(&path).map_err(|error| error.to_string())?;
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.split_whitespace().last() {
        Some("ok") => Ok(Some(true)),
        Some("illegal") => Ok(Some(false)),
        Some("unknown") => Ok(None),
        _ => Err(format!(
            "porcupine: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

#[derive(Default)]
struct Register {
    version: u64,
    value: Option<String>,
}

enum State {
    Idle,
    Asked(Call),
    Served(Call, Outcome),
}

/// Of one correct register, of which some answers get lost.
pub(crate) fn history(seed: u64) -> History {
    let mut rng = Rng::with_seed(seed);
    let mut history = History::default();
    let mut register = Register::default();
    let mut versions = 0;
    let mut processes: Vec<State> = (0..PROCESSES).map(|_| State::Idle).collect();
    while history.operations().len() < OPERATIONS {
        let process = rng.u32(..PROCESSES);
        let Some(state) = processes.get_mut(process as usize) else {
            continue;
        };
        *state = match std::mem::replace(state, State::Idle) {
            State::Idle => {
                let value = history.events().len().to_string();
                let call = call(&mut rng, value, register.version);
                push(&mut history, process, &call, Phase::Invoke);
                State::Asked(call)
            }
            State::Asked(call) => {
                let served = rng.u32(..25) > 0;
                let outcome = served.then(|| serve(&call, &mut register, &mut versions));
                State::Served(call, outcome.unwrap_or(Outcome::Failed))
            }
            State::Served(call, outcome) => {
                let lost = rng.u32(..25) == 0;
                let answer = if lost { Outcome::Unknown } else { outcome };
                push(&mut history, process, &call, Phase::Complete(answer));
                State::Idle
            }
        };
    }
    history
}

fn call(rng: &mut Rng, value: String, version: u64) -> Call {
    match rng.u32(..100) {
        0..25 => Call::Put { value },
        25..45 => Call::Cas {
            // Often one that has passed.
            expected: Expected {
                version: version.saturating_sub(rng.u64(..3)),
                value: None,
            },
            value: Some(value),
        },
        45..50 => Call::Delete,
        _ => Call::Get {
            level: Level::Linearizable,
        },
    }
}

fn serve(call: &Call, register: &mut Register, versions: &mut u64) -> Outcome {
    match call {
        Call::Cas { expected, .. } if expected.version != register.version => {
            return Outcome::Conflict {
                actual: register.version,
            };
        }
        Call::Get { .. } => {
            let seen = register.value.clone().map(|value| Seen {
                value,
                version: Some(register.version),
            });
            return Outcome::Read(seen);
        }
        _ => {}
    }
    *versions += 1;
    register.value = call.stored().map(ToOwned::to_owned);
    register.version = if register.value.is_some() { *versions } else { 0 };
    Outcome::Written {
        version: Some(*versions),
    }
}

fn push(history: &mut History, process: u32, call: &Call, phase: Phase) {
    let index = history.events().len() as u64;
    let event = Event {
        index,
        time_ns: index * 1_000,
        process,
        key: "register".to_owned(),
        call: call.clone(),
        phase,
        origin: Origin::default(),
        error: None,
    };
    history.push(event).expect("a process does one thing at a time");
}

/// The history with other answers to some operations, by the index of their completion.
fn with(history: &History, changes: &[(u64, Outcome)]) -> History {
    let mut changed = History::default();
    for event in history.events() {
        let mut event = event.clone();
        if let Some((_, outcome)) = changes.iter().find(|(index, _)| *index == event.index) {
            event.phase = Phase::Complete(outcome.clone());
        }
        changed.push(event).expect("only answers were changed");
    }
    changed
}

/// Reads that found something: what, invocation, completion.
fn reads(history: &History) -> Vec<(&Seen, u64, u64)> {
    let read = |operation: &atoll_history::Operation| {
        let (invoked, ended) = (operation.invoked.index, operation.ended());
        (invoked, ended)
    };
    let mut all = Vec::new();
    for operation in history.operations() {
        if let Outcome::Read(Some(seen)) = &operation.outcome {
            let (invoked, ended) = read(operation);
            all.push((seen, invoked, ended));
        }
    }
    all
}

/// Two reads of which the later one, begun after the earlier one's answer, found what was not yet asked for then.
fn two_reads(history: &History) -> Option<[(Seen, u64); 2]> {
    let all = reads(history);
    let asked = |seen: &Seen| {
        let write = |one: &&atoll_history::Operation| one.call.stored() == Some(seen.value.as_str());
        history
            .operations()
            .iter()
            .find(write)
            .map_or(0, |write| write.invoked.index)
    };
    for (old, _, ended) in all.iter().skip(10) {
        let newer = all
            .iter()
            .find(|(new, invoked, _)| invoked > ended && asked(new) > *ended);
        if let Some((new, _, at)) = newer {
            return Some([((*old).clone(), *ended), ((*new).clone(), *at)]);
        }
    }
    None
}

/// What a read found that began after another found something newer.
fn stale(history: &History) -> Option<History> {
    let [(old, _), (new, at)] = two_reads(history)?;
    let again = reads(history)
        .into_iter()
        .find(|(seen, invoked, _)| *invoked > at && seen.version >= new.version)?;
    Some(with(history, &[(again.2, Outcome::Read(Some(old)))]))
}

fn swapped(history: &History) -> Option<History> {
    let [(old, early), (new, late)] = two_reads(history)?;
    Some(with(
        history,
        &[
            (early, Outcome::Read(Some(new))),
            (late, Outcome::Read(Some(old))),
        ],
    ))
}

fn dropped(history: &History) -> Option<History> {
    let all = reads(history);
    let read = |operation: &&atoll_history::Operation| {
        let stored = operation.call.stored();
        let written = matches!(operation.outcome, Outcome::Written { .. });
        written && all.iter().any(|(seen, ..)| Some(seen.value.as_str()) == stored)
    };
    let write = history.operations().iter().skip(20).find(read)?;
    Some(with(history, &[(write.ended(), Outcome::Failed)]))
}

/// A compare-and-set that was refused is said to have happened, although its expected version had been seen, and then
/// overwritten, before it began.
fn doubled(history: &History) -> Option<History> {
    let all = history.operations();
    for operation in all {
        let (Call::Cas { expected, .. }, Outcome::Conflict { .. }) = (&operation.call, &operation.outcome)
        else {
            continue;
        };
        let seen = all
            .iter()
            .filter(|one| one.outcome.version_shown() == Some(expected.version));
        let seen = seen
            .map(atoll_history::Operation::ended)
            .min()
            .unwrap_or(u64::MAX);
        let overwritten = all.iter().any(|write| {
            let written = write.outcome.version_written().is_some();
            written && write.invoked.index > seen && write.ended() < operation.invoked.index
        });
        if overwritten && expected.version > 0 {
            let version = Some(1_000_000);
            return Some(with(
                history,
                &[(operation.ended(), Outcome::Written { version })],
            ));
        }
    }
    None
}
