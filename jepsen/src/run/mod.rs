//! The course of a run: warm-up, faults, recovery, final reads; then the judgement.
//!
//! `schedule` decides every fault before anything starts. `course` leads through a run: `stage` makes the cluster and its
//! clients, `scene` goes through the phases, `judgement` says what came of it; `possible` sorts out beforehand what cannot be injected; `faults` begins and mends what the schedule says and notes what really
//! was in place; `logs` looks for what nodes must not have written; `gate` says whether all this was a test.
//! `summary` is what is shown in the end, [`matrix`] is many runs one after the other.
//!
//! Whatever happens, everything is healed, all processes are stopped, and what was noted until then is judged and
//! written: a run that was interrupted says so and is no pass.

mod course;
mod faults;
mod folder;
mod gate;
mod judgement;
mod logs;
mod matrix;
mod possible;
mod progress;
mod scene;
mod schedule;
mod stage;
mod summary;

pub use course::{Ended, Failed, run};
pub(crate) use matrix::sterner;
pub use matrix::{Matrix, matrix};
pub use progress::Progress;
pub use summary::{json, text};
