//! Histories for checkers other than ours, so that no verdict depends on one program.

mod edn;
mod plain;

pub use edn::edn;
pub use plain::plain;
