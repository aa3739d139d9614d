//! Is the answer of a scan a scan at all: rows in order, none twice, none of a key that has none?
//!
//! Whether each row was as told at some moment of the scan, and whether a row is missing, is for the checkers of
//! registers to say, which see each key of it as a read: [`crate::Parts`].

use std::collections::BTreeSet;

use crate::event::{Call, Outcome, Seen};
use crate::history::History;
use crate::verdict::{Findings, Verdict};

/// Judges the scans that were answered.
pub fn scans(history: &History) -> Verdict {
    let mut findings = Findings::new("scans");
    for operation in history.operations() {
        let (Call::Scan { keys, reverse, .. }, Outcome::Rows(rows)) = (&operation.call, &operation.outcome)
        else {
            continue;
        };
        findings.judged(1);
        let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let foreign = rows.iter().find(|(key, _)| !keys.contains(key.as_str()));
        let what = match foreign {
            Some((key, _)) => format!("has a row {key:?}, which nobody wrote"),
            None => match rows.windows(2).find(|pair| !follows(pair, *reverse)) {
                Some([(before, _), (after, _)]) if before == after => format!("has the row {after:?} twice"),
                Some([(before, _), (after, _)]) => format!("has the row {after:?} after {before:?}"),
                _ => continue,
            },
        };
        findings.wrong(
            &operation.key,
            format!("the scan {what}: {operation}"),
            Some(operation.invoked.index),
        );
    }
    findings.verdict()
}

fn follows(pair: &[(String, Seen)], reverse: bool) -> bool {
    match pair {
        [(before, _), (after, _)] if reverse => before > after,
        [(before, _), (after, _)] => before < after,
        _ => true,
    }
}
