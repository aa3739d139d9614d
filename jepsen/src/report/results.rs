//! results.json and faults.json. Whole numbers that may exceed 2⁵³ are strings, as in histories.

use std::io;

use atoll_history::Verdict;
use serde_json::{Map, Value, json};

use super::outcome::Ending;
use super::summary::{Summary, Tally};
use crate::record::{Check, Conclusion, Demand, LogFinding, Record};

/// Findings of one checker that results.json repeats; `found` tells how many there are.
const FINDINGS_MAX: usize = 100;

/// The text of faults.json.
pub(super) fn faults(record: &Record) -> io::Result<String> {
    let fault = |fault: &crate::record::Fault| {
        json!({
            "name": fault.name,
            "what": fault.what,
            "nodes": fault.nodes,
            "begin_ns": fault.begin_ns,
            "end_ns": fault.end_ns,
        })
    };
    pretty(&Value::Array(record.faults.iter().map(fault).collect()))
}

/// The text of results.json.
pub(super) fn results(record: &Record) -> io::Result<String> {
    let summary = Summary::of(record);
    let demand = |demand: &Demand| {
        json!({
            "what": demand.what,
            "bound": demand.bound.words(),
            "wanted": demand.wanted,
            "was": demand.was,
            "met": demand.met(),
            "details": demand.details,
        })
    };
    let finding =
        |found: &LogFinding| json!({"node": found.node, "time_ns": found.time_ns, "line": found.line});
    let calls: Map<String, Value> = summary
        .calls
        .iter()
        .map(|(kind, tally)| (kind.clone(), operations(tally)))
        .collect();
    let by_name: Map<String, Value> = summary
        .faults
        .iter()
        .map(|(name, tally)| {
            let value = json!({"count": tally.count, "total_ns": tally.total_ns});
            ((*name).to_owned(), value)
        })
        .collect();
    let phase = |phase: &crate::record::Phase| json!({"name": phase.name, "begin_ns": phase.begin_ns, "end_ns": phase.end_ns});
    pretty(&json!({
        "conclusion": conclusion(record.conclusion()),
        "exit_code": record.conclusion().exit_code(),
        "sentence": summary.sentence(),
        "seed": record.seed.to_string(),
        "command": record.command,
        "program": record.program,
        "began_unix_ms": record.began_unix_ms,
        "length_ns": summary.frame.length_ns(),
        "nodes": record.nodes,
        "groups": record.groups,
        "workloads": record.workloads,
        "nemeses": record.nemeses,
        "phases": record.phases.iter().map(phase).collect::<Vec<_>>(),
        "checks": record.checks.iter().map(check).collect::<Vec<_>>(),
        "gate": record.gate.iter().map(demand).collect::<Vec<_>>(),
        "operations": operations(&summary.total),
        "calls": calls,
        "faults": by_name,
        "not_injected": record.not_injected,
        "not_judged": record.spared,
        "log_findings": record.log_findings.iter().map(finding).collect::<Vec<_>>(),
    }))
}

/// The word for a conclusion.
pub(super) fn conclusion(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Pass => "pass",
        Conclusion::Violation => "violation",
        Conclusion::Unknown => "unknown",
    }
}

fn operations(tally: &Tally) -> Value {
    let mut value = Map::new();
    value.insert("all".to_owned(), tally.all().into());
    for ending in Ending::ALL {
        value.insert(ending.name().to_owned(), tally.count(ending).into());
    }
    value.insert(
        "latency_ns".to_owned(),
        json!({
            "p50": tally.quantile_ns(50),
            "p95": tally.quantile_ns(95),
            "p99": tally.quantile_ns(99),
            "max": tally.max_ns(),
        }),
    );
    Value::Object(value)
}

fn check(check: &Check) -> Value {
    let mut value = json!({"name": check.name, "about": check.about});
    let (verdict, detail, list) = match &check.verdict {
        Verdict::Ok { judged } => ("ok", ("judged", json!(judged)), None),
        Verdict::Violation(found) => {
            let finding = |one: &atoll_history::Violation| {
                json!({
                    "checker": one.checker,
                    "key": one.key,
                    "message": one.message,
                    "operation": one.operation.map(|index| index.to_string()),
                    "prefix": one.prefix.len(),
                })
            };
            let findings: Vec<Value> = found.iter().take(FINDINGS_MAX).map(finding).collect();
            ("violation", ("found", json!(found.len())), Some(findings))
        }
        Verdict::Unknown(open) => {
            let finding = |one: &atoll_history::Unknown| json!({"checker": one.checker, "key": one.key, "reason": one.reason});
            let findings: Vec<Value> = open.iter().take(FINDINGS_MAX).map(finding).collect();
            ("unknown", ("found", json!(open.len())), Some(findings))
        }
    };
    if let Value::Object(fields) = &mut value {
        fields.insert("verdict".to_owned(), verdict.into());
        fields.insert(detail.0.to_owned(), detail.1);
        if let Some(list) = list {
            fields.insert("findings".to_owned(), Value::Array(list));
        }
    }
    value
}

fn pretty(value: &Value) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
