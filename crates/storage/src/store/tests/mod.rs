//! Checkpoints against a model: on sound disks, on disks that crash at every operation, fail and rot.

mod closing;
mod crash;
mod damage;
pub(crate) mod disk;
mod faults;
mod filed;
mod look;
mod memory;
mod merging;
mod model;
mod plaintext;
mod process;
mod script;
mod scrub;
mod snapshots;
mod space;
mod threads;
mod world;

use model::{Model, Op};
use process::simulate;
use world::Node;
