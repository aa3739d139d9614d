//! What maintenance does next, and what it leaves alone.
//!
//! The plan ([`Shape::plan`]) is arithmetic over what manifests say; what a disk refused to read a while ago
//! ([`Avoided`]) is no part of it until some minutes have passed.

mod avoided;
mod plan;

pub(super) use avoided::Avoided;
pub(super) use plan::{FileShape, Need, Plan, RunShape, Shape, Urgency};
