//! `atoll import`: many records, checked.
//!
//! Records flow from a feed (file, pipe, or made up from a seed) through a window of operations in
//! flight. Memory is bounded by the window, not by the input. Two records of the same key are never
//! in flight together, so the last line of a key wins, as if lines were written one by one. Writing a
//! record twice leaves the same value, so an outcome that is unknown is simply written again and a
//! failed import can be repeated from the beginning.

mod command;
mod drive;
mod resume;
mod verify;

pub(crate) use self::command::{Import, parse_in_flight, parse_value_size};
