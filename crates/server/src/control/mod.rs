//! The control plane: group 0 holds the shard map, and its leader makes the map true.
//!
//! Group 0 is an ordinary Raft group on at most five of the initial nodes, spread over their zones. Its state machine
//! ([`ControlState`], pure) applies [`ControlCommand`]s; each names the epoch it was decided on and
//! changes nothing at another one, so two leaders that decide at once cannot both succeed, and a step
//! repeated after a crash is a step not taken. The leader's reconcile loop looks at the state, takes
//! the next step ([`plan`]) and begins again: bootstrap, one data group after the other, slots. It may
//! die anywhere.
//!
//! The map is intent and hint. Nodes read it and start what it places on them ([`crate::store`]); a
//! data group itself decides what it owns. Nodes outside group 0 poll the map ([`follow`]). Directories
//! that join a cluster get their node ids from [`Registrar`]; they host nothing.
//!
//! A checkpoint of the state is one system row ([`checkpoint`]); restored from it, the machine publishes the map as if
//! it had applied the log.
//!
//! Replica ids come from one counter and are never reused; a group's preferred leader is its replica
//! with the lowest id, and [`balance`] brings leadership there when that is safe.

pub(crate) mod balance;
mod checkpoint;
#[cfg(test)]
mod checkpoint_tests;
pub(crate) mod clock_guard;
mod command;
pub(crate) mod follow;
mod kept;
mod machine;
mod plan;
pub(crate) mod reconcile;
mod registrar;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use kept::KeptControl;
pub(crate) use machine::ControlMachine;
pub(crate) use registrar::{RegisterError, Registrar};
pub(crate) use state::{ControlState, FIRST_GENERATION};

use command::{Change, ControlCommand};
