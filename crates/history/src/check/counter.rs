//! Counters: was what a read found possible?
//!
//! A linearizable read has every addition acknowledged before it was invoked, and may have any that
//! was invoked before it completed. The least it can have found is thus the sum of the former and of
//! the negative ones of the latter, the most likewise. A weaker read need not have any.
//!
//! An addition that was answered with the sum is a linearizable read too, which has the addition itself. If all
//! additions to a counter are positive, no two can have been answered with one sum.

use std::collections::BTreeMap;

use super::by_key;
use crate::event::{Call, Outcome};
use crate::history::History;
use crate::operation::Operation;
use crate::verdict::{Findings, Verdict};

/// Judges the counters, which start at 0.
pub fn counter(history: &History) -> Verdict {
    let mut findings = Findings::new("counter");
    let kind = |call: &Call| matches!(call, Call::CounterAdd { .. } | Call::CounterRead { .. });
    for (key, operations) in by_key(history, kind) {
        findings.judged(operations.len());
        let sums = Sums::new(&operations);
        for operation in &operations {
            let (Outcome::Counted(found) | Outcome::Added(found)) = operation.outcome else {
                continue;
            };
            let (least, most) = sums.bounds(operation);
            if !(least..=most).contains(&i128::from(found)) {
                let message = format!("must be between {least} and {most}: {operation}");
                findings.wrong(key, message, Some(operation.invoked.index));
            }
        }
        if let Some((one, other)) = answered_alike(&operations) {
            let message = format!("two additions were answered with one sum: {one} and {other}");
            findings.wrong(key, message, Some(other.invoked.index));
        }
    }
    findings.verdict()
}

/// Two additions with one answer, if that cannot be.
fn answered_alike<'a>(operations: &[&'a Operation]) -> Option<(&'a Operation, &'a Operation)> {
    let falls =
        |operation: &&&Operation| matches!(operation.call, Call::CounterAdd { amount } if amount <= 0);
    if operations.iter().any(|operation| falls(&operation)) {
        return None;
    }
    let mut answered: BTreeMap<i64, &Operation> = BTreeMap::new();
    operations.iter().find_map(|operation| match operation.outcome {
        Outcome::Added(sum) => answered.insert(sum, operation).map(|other| (other, *operation)),
        _ => None,
    })
}

/// Sums of additions up to an event.
#[derive(Default)]
struct Sums {
    /// Of positive additions, by invocation.
    raises: Running,
    /// Of negative additions, by invocation.
    falls: Running,
    /// Of acknowledged positive additions, by completion.
    sure_raises: Running,
    /// Of acknowledged negative additions, by completion.
    sure_falls: Running,
}

impl Sums {
    fn new(operations: &[&Operation]) -> Self {
        let mut sums = Self::default();
        for operation in operations.iter().filter(|operation| operation.may_have_written()) {
            let Call::CounterAdd { amount } = operation.call else {
                continue;
            };
            let (possible, sure) = if amount > 0 {
                (&mut sums.raises, &mut sums.sure_raises)
            } else {
                (&mut sums.falls, &mut sums.sure_falls)
            };
            possible.0.push((operation.invoked.index, amount.into()));
            if operation.ended() < u64::MAX {
                sure.0.push((operation.ended(), amount.into()));
            }
        }
        for running in [
            &mut sums.raises,
            &mut sums.falls,
            &mut sums.sure_raises,
            &mut sums.sure_falls,
        ] {
            running.add_up();
        }
        sums
    }

    fn bounds(&self, read: &Operation) -> (i128, i128) {
        let begin = if read.is_linearizable() {
            read.invoked.index
        } else {
            0
        };
        let end = read.ended();
        // It is among what was invoked before its answer; that it happened is sure.
        let own = match read.call {
            Call::CounterAdd { amount } => i128::from(amount),
            _ => 0,
        };
        let least = self.sure_raises.until(begin) + self.falls.until(end) + own.max(0);
        let most = self.sure_falls.until(begin) + self.raises.until(end) + own.min(0);
        (least, most)
    }
}

/// Amounts by event; after adding up, the sum until the event.
#[derive(Default)]
struct Running(Vec<(u64, i128)>);

impl Running {
    fn add_up(&mut self) {
        self.0.sort_unstable();
        let mut sum = 0;
        for (_, amount) in &mut self.0 {
            sum += *amount;
            *amount = sum;
        }
    }

    /// The sum of what was before an event.
    fn until(&self, event: u64) -> i128 {
        let count = self.0.partition_point(|(at, _)| *at < event);
        let last = count.checked_sub(1).and_then(|last| self.0.get(last));
        last.map_or(0, |(_, sum)| *sum)
    }
}
