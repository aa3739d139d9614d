//! A violation in words.

use super::search::Stuck;
use crate::operation::Operation;

/// Message, operation that cannot be placed, order before it.
pub(super) fn explain(stuck: &Stuck, operations: &[&Operation]) -> (String, Option<u64>, Vec<u64>) {
    let order: Vec<&Operation> = stuck
        .order
        .iter()
        .filter_map(|position| operations.get(*position).copied())
        .collect();
    let blocked = stuck
        .blocked
        .and_then(|position| operations.get(position).copied());
    let writer = order.iter().rev().find(|operation| operation.may_have_written());
    let held = match writer {
        Some(write) => format!("after {write}"),
        None => "while nothing is stored".to_owned(),
    };
    let fits = blocked.map_or_else(String::new, |operation| format!("{operation} fits nowhere"));
    let message = format!(
        "no order explains the answers: of {} operations {} can be placed; {held}, {fits}",
        order.len() + stuck.missing,
        order.len()
    );
    let prefix = order.iter().map(|operation| operation.invoked.index).collect();
    (message, blocked.map(|operation| operation.invoked.index), prefix)
}
