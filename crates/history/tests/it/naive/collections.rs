//! Sets and counters, from their definitions.

use atoll_history::{Call, Operation, Outcome};

use super::{end, happened_or_may_have, is_weak};

pub(crate) fn is_set(all: &[Operation]) -> bool {
    let holds = |read: &Operation, element: &str| match &read.outcome {
        Outcome::Elements(found) => found.iter().filter(|found| *found == element).count(),
        _ => 0,
    };
    let names: Vec<&str> = all
        .iter()
        .flat_map(|op| match (&op.call, &op.outcome) {
            (Call::SetAdd { element }, _) => vec![element.as_str()],
            (_, Outcome::Elements(found)) => found.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        })
        .collect();
    let adds = |op: &Operation, name: &str| {
        happened_or_may_have(op) && matches!(&op.call, Call::SetAdd { element } if element == name)
    };
    let proves = |op: &Operation, name: &str| end(op) < u64::MAX && (adds(op, name) || holds(op, name) > 0);
    let reads = all.iter().filter(|op| matches!(op.outcome, Outcome::Elements(_)));
    reads.into_iter().all(|read| {
        names.iter().all(|name| match holds(read, name) {
            0 => {
                is_weak(read)
                    || !all
                        .iter()
                        .any(|op| proves(op, name) && end(op) < read.invoked.index)
            }
            1 => all
                .iter()
                .any(|op| adds(op, name) && op.invoked.index < end(read)),
            _ => false,
        })
    })
}

/// Whether every read lies between the least and the most that some choice of additions gives.
pub(crate) fn is_counter(all: &[Operation]) -> bool {
    all.iter().all(|read| {
        let Outcome::Counted(found) = read.outcome else {
            return true;
        };
        let (mut sure, mut perhaps) = (0, Vec::new());
        for op in all.iter().filter(|op| happened_or_may_have(op)) {
            let Call::CounterAdd { amount } = op.call else {
                continue;
            };
            if end(op) < read.invoked.index && !is_weak(read) {
                sure += amount;
            } else if op.invoked.index < end(read) {
                perhaps.push(amount);
            }
        }
        let sums: Vec<i64> = (0..1_u32 << perhaps.len())
            .map(|choice| {
                let chosen = perhaps
                    .iter()
                    .enumerate()
                    .filter(|(bit, _)| choice >> bit & 1 == 1);
                sure + chosen.map(|(_, amount)| amount).sum::<i64>()
            })
            .collect();
        *sums.iter().min().unwrap() <= found && found <= *sums.iter().max().unwrap()
    })
}
