//! Whole clusters in one thread, repeatable from a seed.
//!
//! The code under test is the shipped one: [`atoll_server::Node`] and [`atoll_client::Client`]. Only
//! what they stand on is simulated, all of it from crates/env: links that delay and break, disks that
//! forget what was not synced, time that moves only when nobody has anything left to do, randomness
//! that comes from the seed. So a failure found once can be looked at as often as needed.
//!
//! - One run is one current-thread runtime with paused time; nothing leaves its thread, and runs in
//!   several threads do not know of each other.
//! - A simulated process is an [`atoll_env::Scope`]: a crash drops all its tasks, its connections and
//!   what its disk had not made durable, in the same instant.
//! - The same seed gives the same [`smoke::Report::trace_hash`]. A test holds that, because a run that
//!   cannot be repeated finds errors that cannot be mended.
//! - What was seen is judged afterwards, by [`check`], from the operations' results alone; whatever
//!   else must never happen (a panic, a halt, replicas that differ) is a violation too.

pub mod check;
pub mod history;
mod panics;
pub mod smoke;
mod trace;
