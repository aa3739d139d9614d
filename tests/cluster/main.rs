//! Clusters of real processes of the shipped binary, on loopback, killed with real signals.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests: the outside world is what they are about, and a failure ends the test"
)]

mod client;
mod docs;
mod failover;
mod faults;
mod full_disk;
mod init;
mod kills;
mod places;
mod quota;
mod refusals;
mod retries;
mod scans;
mod sizes;
mod support;
mod tools;
mod unary;
mod upgrade;
