//! Histories for checkers other than ours, so that no verdict depends on one program.

mod edn;
mod plain;
mod txn;

pub use edn::edn;
pub use plain::plain;
pub use txn::elle;
