//! When to try again, as plain values: backoff, the retry budget, and the decision itself.

mod backoff;
mod budget;
mod decide;

pub(crate) use backoff::Backoff;
pub(crate) use budget::Budget;
pub(crate) use decide::{Effect, Facts, Fault, Next, decide};
