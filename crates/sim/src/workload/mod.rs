//! Clients that put, get and compare-and-set a handful of keys, and note what they were told.
//!
//! The client library is the shipped one, with deadlines and promises drawn per process. Every value
//! is written once, so that a reader knows which write it saw. One more client asks groups for what is not
//! theirs ([`stray`]).

mod recorder;
mod stray;
mod value;
mod worker;

pub(crate) use recorder::Recorder;
pub(crate) use stray::Stray;
pub(crate) use worker::{Plan, key_name};
