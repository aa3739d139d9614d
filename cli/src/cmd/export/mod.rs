//! `atoll export`: every key of a range in a file that `atoll import` reads.
//!
//! Pages of a scan are written as they come, so memory is bounded by a page. A checkpoint names the last
//! key in the file and the file's length then; going on cuts the file there and scans from that key.

mod command;
mod range;

pub(crate) use self::command::Export;
