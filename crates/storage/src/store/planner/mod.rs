//! What maintenance does next, and what it leaves alone.
//!
//! The plan ([`Shape::plan`]) is arithmetic over what manifests say, as is the choice of the value files that are written anew
//! ([`garbage`]); what a disk refused to read a while ago
//! ([`Avoided`]) is no part of it until some minutes have passed.

mod avoided;
mod garbage;
mod plan;

pub(super) use avoided::Avoided;
pub(super) use garbage::{FileShape, file_bytes_wanted};
pub(super) use plan::{Need, Plan, RunShape, Shape, Urgency};
