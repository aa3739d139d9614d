//! The checkers. Each looks at the part of a history that it understands and gives a [`Verdict`].
//!
//! | checker | judges | needs |
//! |---|---|---|
//! | [`linearizable`] | registers, by searching an order that explains all answers | nothing; faster with values stored once |
//! | [`versions`] | registers, by the versions in the answers, which *are* the order if they are right | versions, values stored once |
//! | [`sessions`] | what one process may expect of its own reads and writes | versions |
//! | [`staleness`] | reads with an upper bound on their age | versions, timestamps |
//! | [`set`] | sets: elements lost, stale, duplicated, out of nowhere | nothing |
//! | [`counter`] | counters: the bounds of what a read may have found, and numbers given twice | nothing |
//! | [`scans`] | scans: order, rows twice, rows out of nowhere | nothing |
//! | [`append`] | transactions on lists, by what reads of the lists show | elements appended once |
//! | [`bank`] | transactions and scans that read all accounts of a bank | to know the sum |
//! | [`causality`] | the versions of all that one client wrote, over all keys | versions, to know the clients |
//!
//! `linearizable` does not trust versions: an answer's version is one more thing that an order has to
//! explain. `versions` needs no search and so no budget, but believes that a higher version is
//! later. A database that is wrong about both in the same way has to be wrong in the same way twice.
//!
//! A write of unknown outcome may take effect at any time after its invocation, or never. If an
//! answer shows it, it did.

mod append;
mod bank;
mod causality;
mod counter;
mod linearizable;
mod order;
mod scans;
mod sessions;
mod set;
mod staleness;
mod versions;

use std::collections::BTreeMap;

pub use append::append;
pub use bank::{Bank, bank};
pub use causality::causality;
pub use counter::counter;
pub use linearizable::{Budget, linearizable};
pub use scans::scans;
pub use sessions::sessions;
pub use set::set;
pub use staleness::staleness;
pub use versions::versions;

use crate::event::Call;
use crate::history::History;
use crate::operation::Operation;
use crate::verdict::Verdict;

/// A checker with everything but the history decided.
type Checker = fn(&History) -> Verdict;

/// All checkers that need nothing but the history, by name, with the default budget. Those of registers see transactions
/// and scans only if they are taken apart first: [`crate::Parts`].
pub fn all(history: &History) -> Vec<(&'static str, Verdict)> {
    let checkers: [(&str, Checker); 8] = [
        ("linearizable", |history| linearizable(history, Budget::default())),
        ("versions", versions),
        ("sessions", sessions),
        ("staleness", staleness),
        ("set", set),
        ("counter", counter),
        ("scans", scans),
        ("append", append),
    ];
    checkers
        .into_iter()
        .map(|(name, check)| (name, check(history)))
        .collect()
}

/// The operations of one kind by key, in the order of their invocations.
fn by_key(history: &History, kind: fn(&Call) -> bool) -> BTreeMap<&str, Vec<&Operation>> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history.operations().iter().filter(|one| kind(&one.call)) {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys
}
