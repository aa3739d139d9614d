//! Lists that transactions append to and read: is there an order of all transactions that explains what was read and
//! agrees with real time? (Kingsbury and Alvaro, "Elle", 2020.)
//!
//! A list shows its own history: whoever reads it sees which appends came before, and in which order. So no search is
//! needed: a transaction comes before another
//! - *ww* if its element stands directly before the other's in a list;
//! - *wr* if the other read its element;
//! - *rw* if it read a list without the element that the other appended;
//! - *real time* if its answer was there before the other was asked for.
//!
//! A circle of these contradicts every order. Lists that contradict themselves or each other are told first: an element
//! twice, one that nobody appended or whose transaction certainly did not happen, two reads of which neither begins
//! with the other, a transaction that does not see its own appends.
//!
//! Every element of a list may be appended once only. Transactions are judged by the key of their events, as if
//! nothing connected those of one key with those of another: lists of different keys have different names.

mod graph;
mod lists;

use std::collections::BTreeMap;

use crate::event::Call;
use crate::history::History;
use crate::operation::Operation;
use crate::step::Step;
use crate::verdict::{Findings, Verdict};
use graph::Graph;
use lists::Lists;

/// Judges transactions that append to lists and read them, as strictly serializable.
pub fn append(history: &History) -> Verdict {
    let mut findings = Findings::new("append");
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history.operations() {
        if steps(operation).iter().any(Step::is_of_list) {
            keys.entry(&operation.key).or_default().push(operation);
        }
    }
    for (key, operations) in keys {
        findings.judged(operations.len());
        let lists = match Lists::new(&operations) {
            Ok(lists) => lists,
            Err((message, operation)) => {
                let operation = operation.and_then(|number| operations.get(number));
                findings.wrong(key, message, operation.map(|operation| operation.invoked.index));
                continue;
            }
        };
        let graph = Graph::new(&operations, &lists);
        if let Some((message, first)) = graph.circle(&operations) {
            findings.wrong(key, message, Some(first));
        }
    }
    findings.verdict()
}

fn steps(operation: &Operation) -> &[Step] {
    match &operation.call {
        Call::Txn { steps, .. } => steps,
        _ => &[],
    }
}
