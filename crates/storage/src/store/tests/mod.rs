//! Checkpoints against a model: on sound disks, on disks that crash at every operation, fail and rot.

mod closing;
mod crash;
mod damage;
mod faults;
mod look;
mod model;
mod process;
mod script;
mod threads;
mod world;

use model::{Model, Op};
use process::simulate;
use world::Node;
