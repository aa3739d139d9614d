//! What a run says in the end: for people, and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use atoll_history::{Outcome, Verdict};
use serde_json::{Value, json};

use super::gate;
use crate::record::{Bound, Check, Conclusion, Record};

/// So many findings of one kind are shown; all of them are in the report.
const SHOWN_MAX: usize = 5;

/// How operations ended.
pub(super) struct Counts {
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    pub(super) unknown: usize,
}

pub(super) fn counts(record: &Record) -> Counts {
    let operations = record.history.operations();
    let unknown = operations
        .iter()
        .filter(|one| one.outcome == Outcome::Unknown)
        .count();
    let succeeded = operations
        .iter()
        .filter(|one| gate::succeeded(&one.outcome))
        .count();
    Counts {
        succeeded,
        failed: operations.len() - succeeded - unknown,
        unknown,
    }
}

/// The faults that were in place, by family.
pub(super) fn by_family(record: &Record) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for fault in &record.faults {
        *counts.entry(gate::family(fault)).or_default() += 1;
    }
    counts
}

/// One word.
pub(super) fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Pass => "pass",
        Conclusion::Violation => "violation",
        Conclusion::Unknown => "unknown",
    }
}

/// The summary for people.
pub fn text(record: &Record, dir: &Path) -> String {
    let conclusion = record.conclusion();
    let mut text = String::new();
    let counts = counts(record);
    let faults: Vec<String> = by_family(record)
        .iter()
        .map(|(family, count)| format!("{family} {count}"))
        .collect();
    let faults = if faults.is_empty() {
        "none".to_owned()
    } else {
        faults.join(", ")
    };
    let (word, length) = (word(conclusion).to_uppercase(), record.length().as_secs());
    let (workloads, nodes, seed) = (record.workloads.join(","), record.nodes, record.seed);
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{word}  {workloads}; {nodes} nodes, seed {seed}, {length} s, {}",
        record.program
    );
    let Counts {
        succeeded,
        failed,
        unknown,
    } = counts;
    let _ = writeln!(
        text,
        "  operations  {succeeded} ok, {failed} refused, {unknown} with an unknown outcome"
    );
    let _ = writeln!(text, "  faults      {faults}");
    for check in &record.checks {
        let _ = writeln!(text, "  check       {}: {}", check.name, said(check));
    }
    let unmet = record.gate.iter().filter(|demand| !demand.met());
    for demand in unmet {
        let title = match demand.bound {
            Bound::AtLeast => "too little",
            Bound::AtMost => "too much",
        };
        let (what, bound, wanted, was) = (&demand.what, demand.bound.words(), demand.wanted, demand.was);
        let _ = writeln!(text, "  {title:<11} {what}: {was:.1}, wanted {bound} {wanted:.1}");
        list(&mut text, "", &demand.details);
    }
    let found: Vec<String> = record.log_findings.iter().map(ToString::to_string).collect();
    list(&mut text, "in a log", &found);
    list(&mut text, "not judged", &record.spared);
    list(&mut text, "not done", &record.not_injected);
    let _ = writeln!(text, "  report      {}", dir.join("report.html").display());
    let _ = writeln!(text, "  repeat      {}", record.command);
    text
}

fn said(check: &Check) -> String {
    match &check.verdict {
        Verdict::Ok { judged } => format!("ok, {judged} judged"),
        Verdict::Unknown(open) => {
            let first = open.first().map_or("", |unknown| &unknown.reason);
            format!("unknown ({} times): {first}", open.len())
        }
        Verdict::Violation(found) => {
            let first = found
                .first()
                .map_or(String::new(), |one| format!("{} {}", one.key, one.message));
            format!("VIOLATED ({} times): {}", found.len(), first.trim())
        }
    }
}

fn list(text: &mut String, title: &str, lines: &[String]) {
    for line in lines.iter().take(SHOWN_MAX) {
        let _ = writeln!(text, "  {title:<11} {line}");
    }
    if lines.len() > SHOWN_MAX {
        let _ = writeln!(text, "  {:<11} … and {} more", "", lines.len() - SHOWN_MAX);
    }
}

/// The summary for programs.
pub fn json(record: &Record, dir: &Path) -> Value {
    let conclusion = record.conclusion();
    let counts = counts(record);
    let check = |check: &Check| json!({ "name": check.name, "verdict": verdict(&check.verdict), "said": said(check) });
    let demand = |demand: &crate::record::Demand| json!({ "what": demand.what, "bound": demand.bound.words(), "wanted": demand.wanted, "was": demand.was, "met": demand.met() });
    json!({
        "conclusion": word(conclusion),
        "exit_code": conclusion.exit_code(),
        "workloads": record.workloads,
        "nemeses": record.nemeses,
        "seed": record.seed.to_string(),
        "nodes": record.nodes,
        "program": record.program,
        "seconds": record.length().as_secs_f64(),
        "operations": { "ok": counts.succeeded, "fail": counts.failed, "info": counts.unknown },
        "faults": by_family(record),
        "checks": record.checks.iter().map(check).collect::<Vec<_>>(),
        "gate": record.gate.iter().map(demand).collect::<Vec<_>>(),
        "log_findings": record.log_findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "not_judged": record.spared,
        "not_injected": record.not_injected,
        "folder": dir.display().to_string(),
        "report": dir.join("report.html").display().to_string(),
        "command": record.command,
    })
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok { .. } => "ok",
        Verdict::Violation(_) => "violation",
        Verdict::Unknown(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use atoll_history::{History, Unknown, Violation};

    use super::*;
    use crate::record::{Demand, Fault, LogFinding};

    fn record(verdict: Verdict, met: bool) -> Record {
        Record {
            workloads: vec!["register".to_owned()],
            nemeses: vec!["kill".to_owned()],
            seed: 1,
            nodes: 3,
            groups: 2,
            program: "atoll 0.1.0".to_owned(),
            command: "atoll verify --seed 1".to_owned(),
            began_unix_ms: 0,
            history: History::default(),
            faults: vec![Fault {
                name: "kill/one".to_owned(),
                what: "kill node 1".to_owned(),
                nodes: vec![1],
                begin_ns: 0,
                end_ns: 1,
            }],
            leaders: Vec::new(),
            phases: Vec::new(),
            checks: vec![Check {
                name: "register".to_owned(),
                about: "",
                verdict,
            }],
            gate: vec![Demand::at_least("rate", 2.0, if met { 2.0 } else { 1.0 })],
            not_injected: Vec::new(),
            spared: vec!["node 2 is behind".to_owned()],
            log_findings: Vec::new(),
            last_words: Vec::new(),
        }
    }

    fn violation() -> Verdict {
        Verdict::Violation(vec![Violation {
            checker: "linearizable",
            key: "r-1".to_owned(),
            message: "nobody wrote it".to_owned(),
            operation: None,
            prefix: Vec::new(),
        }])
    }

    fn unknown() -> Verdict {
        Verdict::Unknown(vec![Unknown {
            checker: "linearizable",
            key: "r-1".to_owned(),
            reason: "too long".to_owned(),
        }])
    }

    #[test]
    fn exit_codes_tell_the_conclusion() {
        let code = |verdict, met| record(verdict, met).conclusion().exit_code();
        assert_eq!(code(Verdict::Ok { judged: 3 }, true), 0);
        assert_eq!(code(Verdict::Ok { judged: 3 }, false), 2);
        assert_eq!(code(unknown(), true), 2);
        assert_eq!(code(violation(), true), 1);
        assert_eq!(code(violation(), false), 1);
        let mut panicked = record(Verdict::Ok { judged: 3 }, true);
        panicked.log_findings.push(LogFinding {
            node: 1,
            time_ns: None,
            line: "panicked at".to_owned(),
            before: Vec::new(),
            after: Vec::new(),
        });
        assert_eq!(panicked.conclusion().exit_code(), 1);
        let mut unchecked = record(Verdict::Ok { judged: 3 }, true);
        unchecked.checks.clear();
        assert_eq!(unchecked.conclusion().exit_code(), 2);
    }

    #[test]
    fn people_are_told_what_was_wrong_and_how_to_repeat_it() {
        let text = text(&record(violation(), false), &PathBuf::from("store/x"));
        for part in [
            "VIOLATION  register",
            "nobody wrote it",
            "rate: 1.0, wanted at least 2.0",
            "not judged  node 2 is behind",
            "kill 1",
            "store/x/report.html",
            "atoll verify --seed 1",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }

    #[test]
    fn programs_are_told_the_same() {
        let value = json(&record(unknown(), true), &PathBuf::from("store/x"));
        assert_eq!(value["conclusion"], "unknown");
        assert_eq!(value["exit_code"], 2);
        assert_eq!(value["checks"][0]["verdict"], "unknown");
        assert_eq!(value["faults"]["kill"], 1);
        assert_eq!(value["gate"][0]["met"], true);
        assert_eq!(value["gate"][0]["bound"], "at least");
        assert_eq!(value["not_judged"][0], "node 2 is behind");
    }
}
