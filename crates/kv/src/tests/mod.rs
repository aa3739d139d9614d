//! The crate as a whole, against its promises.

mod checkpoint;
mod checkpoint_bytes;
mod codec;
mod compute;
mod history;
mod limits;
mod model;
mod packed;
mod plan;
mod rules;
mod sessions;
mod support;
