//! A node's settings: from flags, the environment, a file and defaults, the first of them that says one.
//!
//! `Field` is the list of settings. Each place is read as far as it can be (`file` for TOML), what is
//! wrong anywhere becomes a [`Problem`] that names the setting and where it came from, and all problems
//! are told at once. What is left is checked as a whole by the node's own rules ([`resolve`]).

mod field;
mod file;
mod flags;
mod given;
mod machine;
mod resolve;
#[cfg(test)]
mod tests;

pub(crate) use self::field::Field;
pub(crate) use self::flags::SettingFlags;
pub(crate) use self::given::{Problem, Value};
pub(crate) use self::resolve::{Resolved, failure, from_file};
