//! Transactions and scans: what is wrong is found, what is right is not, and files bring all of it back.

mod appended;
mod banks;
mod files;
mod scanned;

use std::collections::BTreeMap;

use atoll_history::check::{Bank, append, bank, causality, counter, linearizable, scans, versions};
use atoll_history::{Call, Event, Found, History, Level, Origin, Outcome, Parts, Phase, Seen, Step, Verdict};

const LEVEL: Level = Level::Linearizable;

/// One operation after another, or beside another if its end is given later.
#[derive(Default)]
struct Script {
    history: History,
    index: u64,
}

impl Script {
    fn event(&mut self, process: u32, key: &str, call: &Call, phase: Phase) {
        self.index += 1;
        let event = Event {
            index: 10 * self.index,
            time_ns: self.index,
            process,
            key: key.to_owned(),
            call: call.clone(),
            phase,
            origin: Origin::default(),
            error: None,
        };
        self.history.push(event).unwrap();
    }

    fn begin(&mut self, process: u32, key: &str, call: &Call) {
        self.event(process, key, call, Phase::Invoke);
    }

    fn end(&mut self, process: u32, key: &str, call: &Call, outcome: Outcome) {
        self.event(process, key, call, Phase::Complete(outcome));
    }

    fn one(&mut self, process: u32, key: &str, call: &Call, outcome: Outcome) {
        self.begin(process, key, call);
        self.end(process, key, call, outcome);
    }
}

fn found(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Ok { judged } => {
            assert!(*judged > 0, "nothing was judged");
            Vec::new()
        }
        Verdict::Violation(found) => found.iter().map(|one| one.message.clone()).collect(),
        Verdict::Unknown(open) => panic!("{open:?}"),
    }
}

fn txn(steps: Vec<Step>) -> Call {
    Call::Txn { steps, level: LEVEL }
}

fn appends(pairs: &[(&str, &str)]) -> Call {
    let step = |(key, element): &(&str, &str)| Step::Append {
        key: (*key).to_owned(),
        element: (*element).to_owned(),
    };
    txn(pairs.iter().map(step).collect())
}

fn lists(keys: &[&str]) -> Call {
    let step = |key: &&str| Step::List {
        key: (*key).to_owned(),
    };
    txn(keys.iter().map(step).collect())
}

fn done(steps: usize) -> Outcome {
    Outcome::Done {
        version: None,
        found: vec![Found::Nothing; steps],
    }
}

fn listed(lists: &[&[&str]]) -> Outcome {
    let elements =
        |list: &&[&str]| Found::Elements(list.iter().map(|element| (*element).to_owned()).collect());
    Outcome::Done {
        version: None,
        found: lists.iter().map(elements).collect(),
    }
}

fn seen(value: &str, version: u64) -> Seen {
    Seen {
        value: value.to_owned(),
        version: Some(version),
    }
}

fn read_accounts(count: usize) -> Call {
    let step = |number| Step::Read {
        key: format!("b/{number}"),
    };
    txn((0..count).map(step).collect())
}

fn transfer(expected: [u64; 2], values: [&str; 2]) -> Call {
    let step = |(number, (expected, value)): (usize, (u64, &str))| Step::Write {
        key: format!("b/{number}"),
        expected: Some(expected),
        value: Some(value.to_owned()),
    };
    txn(expected.into_iter().zip(values).enumerate().map(step).collect())
}

fn balances(values: &[Option<Seen>]) -> Outcome {
    Outcome::Done {
        version: None,
        found: values.iter().cloned().map(Found::Value).collect(),
    }
}

fn check_budget() -> atoll_history::check::Budget {
    atoll_history::check::Budget::default()
}

fn scan(reverse: bool) -> Call {
    Call::Scan {
        keys: ["a", "b", "c"].map(ToOwned::to_owned).to_vec(),
        reverse,
        level: LEVEL,
    }
}

fn rows(rows: &[(&str, &str, u64)]) -> Outcome {
    Outcome::Rows(
        rows.iter()
            .map(|(key, value, version)| ((*key).to_owned(), seen(value, *version)))
            .collect(),
    )
}
