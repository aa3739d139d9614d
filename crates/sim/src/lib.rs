//! Whole clusters in one thread, repeatable from a seed.
//!
//! The code under test is the shipped one: [`atoll_server::Node`] and [`atoll_client::Client`]. Only
//! what they stand on is simulated, all of it from crates/env: links that delay and break, disks that
//! forget what was not synced, time that moves only when nobody has anything left to do, randomness
//! that comes from the seed. So a failure found once can be looked at as often as needed.
//!
//! - `session` is one run: a cluster, clients, faults, healing, judgement. `scenario` draws what it is
//!   like and [`nemesis`] what goes wrong in it; `world` makes it so; `workload` are the clients.
//! - One run is one current-thread runtime with paused time; nothing leaves its thread, and runs in
//!   several threads do not know of each other.
//! - A simulated process is an [`atoll_env::Scope`]: a crash drops all its tasks, its connections and
//!   what its disk had not made durable, in the same instant.
//! - The same seed gives the same [`Report::trace_hash`]. A test holds that, because a run that
//!   cannot be repeated finds errors that cannot be mended.
//! - What clients saw is judged afterwards by [`judge`], from the operations' results alone; what
//!   replicas did is judged as it happens by `invariants`, from facts they tell
//!   ([`atoll_env::trouble`]). Whatever else must never happen (a panic, a halt without a reason, a
//!   replica that stops) is a violation too.
//! - `campaign` runs many seeds and adds up; `shrink` makes a failing run smaller.

pub mod campaign;
pub mod history;
mod invariants;
pub mod judge;
mod luck;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod nemesis;
mod panics;
mod scenario;
mod session;
mod shrink;
mod trace;
mod workload;
mod world;

pub use scenario::{Fault, Profile, Scenario};
pub use session::{Counts, Options, Report, run};
pub use shrink::shrink;
