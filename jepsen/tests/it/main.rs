//! The workloads against a cluster in memory, on time that runs only when everybody waits; and their judge, which has to
//! find what is done to their histories afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure ends the test"
)]

mod cluster;
mod seeded;
