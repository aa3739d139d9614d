//! `atoll dev`: a cluster on this machine.
//!
//! Every node is a real child process of the same executable, so that what is tried here (killing a
//! node, filling a disk, reading a log) is what happens in production. The parent only starts, waits,
//! tells and stops; it holds the write end of each child's standard input and never writes to it, so
//! that children notice when the parent is gone, however it went.

mod child;
mod cluster;
mod command;
mod layout;
mod ready;

pub(crate) use self::command::Dev;
