//! Judges what clients saw, with the checkers of [`atoll_history`].

use std::collections::BTreeMap;

use atoll_history::check::{Budget, causality, counter, linearizable, sessions, set, staleness, versions};
use atoll_history::{Event, History, Origin, Phase, Verdict};

use crate::history::Operation;

/// What the checkers found.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Everything wrong. A key that could not be decided is wrong too: it must never pass for right.
    pub violations: Vec<String>,
    /// How many operations each checker judged.
    pub judged: BTreeMap<&'static str, u64>,
}

/// Judges a history. Clocks of replicas may have run slower than the history's by the part `drift`.
pub fn judge(operations: &[Operation], drift: f64) -> Judgement {
    let mut judgement = Judgement::default();
    let (history, clients) = match convert(operations) {
        Ok((history, clients)) => (history.stretched(drift), clients),
        Err(problem) => {
            judgement.violations.push(problem);
            return judgement;
        }
    };
    judgement.take("linearizable", linearizable(&history, Budget::default()));
    judgement.take("versions in order", versions(&history));
    judgement.take("session guarantees", sessions(&history));
    judgement.take("ages", staleness(&history));
    judgement.take("counters", counter(&history));
    judgement.take("sets", set(&history));
    judgement.take("causal versions", causality(&history, &clients));
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
}

/// The client that a worker belongs to.
fn client(who: &str) -> &str {
    who.split('.').next().unwrap_or(who)
}

/// The history, and by process the number of its client.
fn convert(operations: &[Operation]) -> Result<(History, BTreeMap<u32, u32>), String> {
    let mut processes: BTreeMap<&str, u32> = BTreeMap::new();
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut clients = BTreeMap::new();
    let mut events = Vec::with_capacity(2 * operations.len());
    for operation in operations {
        let count = processes.len() as u32;
        let process = *processes.entry(&operation.who).or_insert(count);
        let count = numbers.len() as u32;
        clients.insert(process, *numbers.entry(client(&operation.who)).or_insert(count));
        let event = |point: atoll_history::Point, phase: Phase| Event {
            index: point.index,
            time_ns: point.time_ns,
            process,
            key: operation.key.clone(),
            call: operation.call.clone(),
            phase,
            origin: Origin {
                age_ns: operation.age.map(|age| age.as_nanos() as u64),
                ..Origin::default()
            },
            error: None,
        };
        events.push(event(operation.invoked, Phase::Invoke));
        events.push(event(
            operation.completed,
            Phase::Complete(operation.outcome.clone()),
        ));
    }
    events.sort_by_key(|event| event.index);
    let mut history = History::default();
    for event in events {
        history
            .push(event)
            .map_err(|problem| format!("the history is malformed: {problem:?}"))?;
    }
    Ok((history, clients))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use atoll_history::{Call, Level, Outcome, Point, Seen};

    use super::*;

    fn at(index: u64) -> Point {
        Point {
            index,
            time_ns: index,
        }
    }

    fn write(who: &str, key: &str, index: u64, value: u64, version: u64) -> Operation {
        Operation {
            who: who.to_owned(),
            key: key.to_owned(),
            call: Call::Put {
                value: value.to_string(),
            },
            invoked: at(index),
            completed: at(index + 1),
            outcome: Outcome::Written {
                version: Some(version),
            },
            age: None,
        }
    }

    fn read(index: u64, level: Level, version: u64, value: u64, age: u64) -> Operation {
        Operation {
            call: Call::Get { level },
            outcome: Outcome::Read(Some(Seen {
                value: value.to_string(),
                version: Some(version),
            })),
            age: Some(Duration::from_nanos(age)),
            ..write("c2.0", "a", index, 0, 0)
        }
    }

    #[test]
    fn a_good_history_passes_and_every_operation_is_judged() {
        let good = [
            write("c1.0", "a", 1, 1, 10),
            write("c1.1", "b", 3, 2, 11),
            write("c2.0", "c", 5, 3, 4),
        ];
        let judgement = judge(&good, 0.0);
        assert_eq!(judgement.violations, Vec::<String>::new());
        assert_eq!(judgement.judged["causal versions"], 3);
        assert_eq!(judgement.judged["linearizable"], 3);
    }

    #[test]
    fn versions_of_one_client_grow_over_all_keys() {
        // Another worker of the same client, another key: still after.
        let bad = judge(&[write("c1.0", "a", 1, 1, 10), write("c1.1", "b", 3, 2, 9)], 0.0);
        assert_eq!(bad.violations.len(), 1, "{bad:?}");
        assert!(bad.violations[0].starts_with("causality"));
        let mut beside = write("c1.1", "b", 0, 2, 9);
        beside.completed = at(3);
        assert!(
            judge(&[write("c1.0", "a", 1, 1, 10), beside], 0.0)
                .violations
                .is_empty()
        );
    }

    #[test]
    fn what_the_checkers_find_is_told() {
        let stale = read(5, Level::Linearizable, 10, 1, 0);
        let writes = [write("c1.0", "a", 1, 1, 10), write("c1.0", "a", 3, 2, 11)];
        let bad = judge(&[writes.as_slice(), &[stale]].concat(), 0.0);
        assert!(
            bad.violations.iter().any(|one| one.starts_with("linearizable")),
            "{bad:?}"
        );
        assert!(
            bad.violations.iter().any(|one| one.starts_with("versions")),
            "{bad:?}"
        );
    }

    #[test]
    fn an_age_is_held_to_as_a_slow_clock_tells_it() {
        let writes = [write("c1.0", "a", 1, 1, 10), write("c1.0", "a", 101, 2, 11)];
        // The second write was acknowledged 98 before the read.
        let bounded = |age, max_age_ns| read(200, Level::Bounded { max_age_ns }, 10, 1, age);
        let violations =
            |read: Operation, drift| judge(&[writes.as_slice(), &[read]].concat(), drift).violations;
        assert_eq!(violations(bounded(99, 99), 0.0), Vec::<String>::new());
        assert_eq!(violations(bounded(90, 99), 0.0).len(), 1, "younger than it is");
        assert_eq!(
            violations(bounded(99, 90), 0.0).len(),
            1,
            "older than was asked for"
        );
        assert_eq!(violations(bounded(80, 80), 0.2), Vec::<String>::new());
        assert_eq!(violations(bounded(70, 70), 0.2).len(), 1);
    }
}
