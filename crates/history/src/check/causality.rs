//! Do versions order what one client did, over all keys? A client that tells the database the highest version that
//! it has seen gets higher ones for all its later writes, whatever their keys.

use std::collections::BTreeMap;

use crate::history::History;
use crate::operation::Operation;
use crate::verdict::{Findings, Verdict};

/// Judges writes whose answers told their versions. `clients` says which client a process belongs to; processes
/// that are not named there belong to no client with this promise.
pub fn causality(history: &History, clients: &BTreeMap<u32, u32>) -> Verdict {
    let mut findings = Findings::new("causality");
    let mut events: Vec<(u64, usize, &Operation, u32)> = Vec::new();
    for (number, operation) in history.operations().iter().enumerate() {
        let Some(client) = clients.get(&operation.process) else {
            continue;
        };
        events.push((operation.invoked.index, number, operation, *client));
        if let Some(completed) = operation.completed {
            events.push((completed.index, number, operation, *client));
        }
    }
    events.sort_unstable_by_key(|(at, ..)| *at);
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    let mut floors: BTreeMap<usize, u64> = BTreeMap::new();
    for (at, number, operation, client) in events {
        let newest = seen.entry(client).or_default();
        if at == operation.invoked.index {
            floors.insert(number, *newest);
            continue;
        }
        let floor = floors.remove(&number).unwrap_or(0);
        let written = operation.outcome.version_written();
        findings.judged(usize::from(written.is_some()));
        if let Some(version) = written.filter(|version| *version <= floor) {
            let message = format!("version {version} after its client saw {floor}: {operation}");
            findings.wrong(&operation.key, message, Some(operation.invoked.index));
        }
        *newest = (*newest).max(operation.outcome.highest_version());
    }
    findings.verdict()
}
