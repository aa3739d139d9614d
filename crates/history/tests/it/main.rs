//! The checkers against brute force and against planted violations; the file format; the exporters.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure ends the test"
)]

mod against_naive;
mod collections;
mod exports;
mod format;
mod generate;
mod hard;
mod naive;
mod planted;
mod planted_levels;
mod script;
mod transactions;
