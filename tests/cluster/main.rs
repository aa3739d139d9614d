//! Clusters of real processes of the shipped binary, on loopback, killed with real signals.

mod failover;
mod init;
mod refusals;
mod retries;
mod support;
