//! Judges what clients saw, with the checkers of [`atoll_history`], and one thing they do not look at:
//! versions order what one client did over all keys and groups.

use std::collections::BTreeMap;

use atoll_history::check::{Budget, linearizable, sessions, versions};
use atoll_history::{Call, Event, Expected, History, Level, Origin, Outcome, Phase, Seen, Verdict};

use crate::history::{self, Operation};

/// What the checkers found.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Everything wrong. A key that could not be decided is wrong too: it must never pass for right.
    pub violations: Vec<String>,
    /// How many operations each checker judged.
    pub judged: BTreeMap<&'static str, u64>,
}

/// Judges a history.
pub fn judge(operations: &[Operation]) -> Judgement {
    let mut judgement = Judgement::default();
    let history = match convert(operations) {
        Ok(history) => history,
        Err(problem) => {
            judgement.violations.push(problem);
            return judgement;
        }
    };
    judgement.take("linearizable", linearizable(&history, Budget::default()));
    judgement.take("versions in order", versions(&history));
    judgement.take("session guarantees", sessions(&history));
    judgement.causality(operations);
    judgement
}

impl Judgement {
    fn take(&mut self, name: &'static str, verdict: Verdict) {
        match verdict {
            Verdict::Ok { judged } => {
                self.judged.insert(name, judged as u64);
            }
            Verdict::Violation(found) => self.violations.extend(
                found
                    .into_iter()
                    .map(|one| format!("{}: {}: {}", one.checker, one.key, one.message)),
            ),
            Verdict::Unknown(open) => self.violations.extend(
                open.into_iter()
                    .map(|one| format!("{}: {} is undecided: {}", one.checker, one.key, one.reason)),
            ),
        }
    }

    /// A write's version is above every version that its client had seen before, of whatever key.
    fn causality(&mut self, operations: &[Operation]) {
        let mut events: Vec<(u64, bool, &Operation)> = Vec::new();
        for operation in operations {
            events.push((operation.invoked, false, operation));
            events.push((operation.completed, true, operation));
        }
        events.sort_by_key(|(at, completed, _)| (*at, *completed));
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        let mut floors: BTreeMap<u64, u64> = BTreeMap::new();
        let mut judged = 0;
        for (_, completed, operation) in events {
            let newest = seen.entry(client(&operation.who)).or_default();
            if !completed {
                floors.insert(operation.invoked, *newest);
                continue;
            }
            let floor = floors.remove(&operation.invoked).unwrap_or(0);
            let written = match operation.outcome {
                history::Outcome::Written(version) => Some(version),
                _ => None,
            };
            judged += u64::from(written.is_some());
            if let Some(version) = written.filter(|version| *version <= floor) {
                self.violations.push(format!(
                    "causality: version {version} after its client saw {floor}: {operation:?}"
                ));
            }
            *newest = (*newest).max(operation.outcome.version().unwrap_or(0));
        }
        self.judged.insert("causal versions", judged);
    }
}

/// The client that a worker belongs to.
fn client(who: &str) -> &str {
    who.split('.').next().unwrap_or(who)
}

fn convert(operations: &[Operation]) -> Result<History, String> {
    let mut processes: BTreeMap<&str, u32> = BTreeMap::new();
    let mut events = Vec::with_capacity(2 * operations.len());
    for operation in operations {
        let count = processes.len() as u32;
        let process = *processes.entry(&operation.who).or_insert(count);
        let event = |index: u64, phase: Phase| Event {
            index,
            time_ns: index,
            process,
            key: operation.key.clone(),
            call: call(operation.call),
            phase,
            origin: Origin::default(),
            error: None,
        };
        events.push(event(operation.invoked, Phase::Invoke));
        events.push(event(
            operation.completed,
            Phase::Complete(outcome(operation.outcome)),
        ));
    }
    events.sort_by_key(|event| event.index);
    let mut history = History::default();
    for event in events {
        history
            .push(event)
            .map_err(|problem| format!("the history is malformed: {problem:?}"))?;
    }
    Ok(history)
}

fn call(call: history::Call) -> Call {
    match call {
        history::Call::Put { value } => Call::Put {
            value: value.to_string(),
        },
        history::Call::Cas { expected, value } => Call::Cas {
            expected: Expected {
                version: expected,
                value: None,
            },
            value: Some(value.to_string()),
        },
        history::Call::Get => Call::Get {
            level: Level::Linearizable,
        },
    }
}

fn outcome(outcome: history::Outcome) -> Outcome {
    match outcome {
        history::Outcome::Written(version) => Outcome::Written {
            version: Some(version),
        },
        history::Outcome::Conflict(actual) => Outcome::Conflict { actual },
        history::Outcome::Read { version: 0, .. } => Outcome::Read(None),
        history::Outcome::Read { version, value } => Outcome::Read(Some(Seen {
            value: value.to_string(),
            version: Some(version),
        })),
        history::Outcome::Nothing => Outcome::Failed,
        history::Outcome::Unknown => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(who: &str, key: &str, at: u64, value: u64, version: u64) -> Operation {
        Operation {
            who: who.to_owned(),
            key: key.to_owned(),
            call: history::Call::Put { value },
            invoked: at,
            completed: at + 1,
            outcome: history::Outcome::Written(version),
        }
    }

    #[test]
    fn a_good_history_passes_and_every_operation_is_judged() {
        let good = [
            write("c1.0", "a", 1, 1, 10),
            write("c1.1", "b", 3, 2, 11),
            write("c2.0", "c", 5, 3, 4),
        ];
        let judgement = judge(&good);
        assert_eq!(judgement.violations, Vec::<String>::new());
        assert_eq!(judgement.judged["causal versions"], 3);
        assert_eq!(judgement.judged["linearizable"], 3);
    }

    #[test]
    fn versions_of_one_client_grow_over_all_keys() {
        // Another worker of the same client, another key: still after.
        let bad = judge(&[write("c1.0", "a", 1, 1, 10), write("c1.1", "b", 3, 2, 9)]);
        assert_eq!(bad.violations.len(), 1, "{bad:?}");
        assert!(bad.violations[0].starts_with("causality"));
        let mut beside = write("c1.1", "b", 1, 2, 9);
        (beside.invoked, beside.completed) = (0, 3);
        assert!(
            judge(&[write("c1.0", "a", 1, 1, 10), beside])
                .violations
                .is_empty()
        );
    }

    #[test]
    fn what_the_checkers_find_is_told() {
        let mut stale = write("c2.0", "a", 5, 3, 0);
        (stale.call, stale.outcome) = (
            history::Call::Get,
            history::Outcome::Read {
                version: 10,
                value: 1,
            },
        );
        let bad = judge(&[write("c1.0", "a", 1, 1, 10), write("c1.0", "a", 3, 2, 11), stale]);
        assert!(
            bad.violations.iter().any(|one| one.starts_with("linearizable")),
            "{bad:?}"
        );
        assert!(
            bad.violations.iter().any(|one| one.starts_with("versions")),
            "{bad:?}"
        );
    }
}
