//! `atoll bench`: a closed loop of operations against a running cluster.
//!
//! So many tasks each do one operation after the other, on as few threads as asked for, so that the
//! load generator's own cost is known and small. What is reported covers a window that begins after a
//! warm-up; CPU time is taken from the processes themselves, so that figures from a busy machine can
//! be told from those of a slow program.

mod command;
mod figures;
mod load;
mod plan;
mod recorder;
mod report;
mod scan;
mod target;

pub(crate) use self::command::Bench;
