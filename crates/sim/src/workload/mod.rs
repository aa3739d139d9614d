//! Clients that use a handful of keys, and note what they were told.
//!
//! Most keys are registers, written, removed, compared and read at every level by every way to a replica;
//! some are counters, some sets (appended to), some pairs that are written together. A scan is noted as one
//! read of each key. The client library is the shipped one, with deadlines and promises drawn per process.
//! Every value is written once, so that a reader knows which write it saw. One more client asks groups for
//! what is not theirs ([`stray`]).

mod ask;
mod recorder;
mod stray;
mod worker;

pub(crate) use ask::ask;
pub(crate) use recorder::Recorder;
pub(crate) use stray::Stray;
pub(crate) use worker::{COUNTERS, Plan, SETS, key_name};
