//! Judges what clients were told.
//!
//! The checkers are those of `atoll-history`; each looks at the operations that it understands, whichever workload did
//! them. Transactions and scans are taken apart for the checkers of registers, and looked at whole by their own. What
//! no history shows comes from the notes. Two things may be allowed for ([`Rules`]): clocks that were made to run at
//! another rate, and answers that stored bytes are damaged where a disk was spoiled.

use atoll_history::check::{self, Bank, Budget};
use atoll_history::{History, Parts, Unknown, Verdict, Violation};

use crate::record::Check;
use crate::workload::{Notes, bank};

/// Clocks of nodes may differ from the recorder's by this part anyway.
const DRIFT: f64 = 0.002;

/// Steps of the search for an order. What a minute at thousands of operations a second needs is a small part of it.
const BUDGET: Budget = Budget { steps: 20_000_000 };

/// What was done to nodes that changes what they may answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// By which part clocks of nodes were made slower, at most: 0.05 for 5 %.
    pub drift: f64,
    /// The nodes whose stored bytes were damaged.
    pub spoiled: Vec<u16>,
}

/// What each checker says. A checker that had nothing to judge is left out.
pub fn judge(history: &History, notes: &Notes, rules: &Rules) -> Vec<Check> {
    let history = history.stretched(rules.drift.max(DRIFT));
    let mut checks = Checks::default();
    match Parts::new(&history) {
        Ok(parts) => registers(&parts, &mut checks),
        Err(problem) => {
            let reason = format!("the history cannot be taken apart: {problem}");
            let verdict = unknown("registers", &[reason]);
            checks.add("registers", "The history is well-formed.", verdict);
        }
    }
    wholes(&history, notes, &mut checks);
    beside_history(notes, rules, &mut checks);
    checks.0
}

fn registers(parts: &Parts, checks: &mut Checks) {
    let all: [(_, _, Verdict); 4] = [
        (
            "linearizable",
            "One order of all operations on a key, in agreement with real time, explains every answer.",
            check::linearizable(parts.history(), BUDGET),
        ),
        (
            "versions",
            "Versions order the writes of a key as real time does, and every answer agrees with them.",
            check::versions(parts.history()),
        ),
        (
            "sessions",
            "Whoever reads in a session sees what it has seen and written before.",
            check::sessions(parts.history()),
        ),
        (
            "staleness",
            "No answer is older than was asked for, or than it says itself.",
            check::staleness(parts.history()),
        ),
    ];
    for (name, about, verdict) in all {
        checks.add(name, about, parts.of_whole(verdict));
    }
}

fn wholes(history: &History, notes: &Notes, checks: &mut Checks) {
    let banks = Bank {
        prefix: bank::PREFIX,
        accounts: bank::ACCOUNTS as usize,
        total: bank::TOTAL,
    };
    let all: [(_, _, Verdict); 6] = [
        (
            "causality",
            "A client's writes get versions above all that it has seen, over all keys and groups.",
            check::causality(history, &notes.clients),
        ),
        (
            "set",
            "Every acknowledged element is in every later read, once.",
            check::set(history),
        ),
        (
            "counter",
            "Every sum is possible, and no two increments were answered with one number.",
            check::counter(history),
        ),
        (
            "scans",
            "Rows of a scan are in order, none is there twice, none out of nowhere.",
            check::scans(history),
        ),
        (
            "bank",
            "Whoever reads all accounts at once sees the same sum, always.",
            check::bank(history, banks),
        ),
        (
            "append",
            "One order of all batches explains what was read of the lists, and agrees with real time.",
            check::append(history),
        ),
    ];
    for (name, about, verdict) in all {
        checks.add(name, about, verdict);
    }
}

/// What the recorder noted beside the history.
fn beside_history(notes: &Notes, rules: &Rules, checks: &mut Checks) {
    let wrong = notes.wrong.iter().map(|what| violation("answers", what));
    checks.always(
        "answers",
        "No answer breaks the rules of the interface.",
        verdict(wrong.collect(), 1),
    );
    let allowed = !rules.spoiled.is_empty();
    let corrupt = notes.corrupt.iter().filter(|_| !allowed);
    let corrupt = corrupt.map(|what| violation("intact", what)).collect();
    checks.always(
        "intact",
        "Nobody is told that stored bytes are damaged, unless a disk was spoiled.",
        verdict(corrupt, 1),
    );
    let read = if notes.unread_at_end.is_empty() {
        let judged = notes.read_at_end as usize;
        Verdict::Ok { judged }
    } else {
        unknown("final reads", &notes.unread_at_end)
    };
    checks.always(
        "final reads",
        "After everything is healed, every key can be read.",
        read,
    );
}

fn violation(checker: &'static str, message: &str) -> Violation {
    Violation {
        checker,
        key: String::new(),
        message: message.to_owned(),
        operation: None,
        prefix: Vec::new(),
    }
}

fn verdict(found: Vec<Violation>, judged: usize) -> Verdict {
    if found.is_empty() {
        return Verdict::Ok { judged };
    }
    Verdict::Violation(found)
}

fn unknown(checker: &'static str, reasons: &[String]) -> Verdict {
    let one = |reason: &String| Unknown {
        checker,
        key: String::new(),
        reason: reason.clone(),
    };
    Verdict::Unknown(reasons.iter().map(one).collect())
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &str, about: &'static str, verdict: Verdict) {
        if verdict != (Verdict::Ok { judged: 0 }) {
            self.always(name, about, verdict);
        }
    }

    fn always(&mut self, name: &str, about: &'static str, verdict: Verdict) {
        self.0.push(Check {
            name: name.to_owned(),
            about,
            verdict,
        });
    }
}
