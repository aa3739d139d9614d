//! What a run is asked to do.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of one run, complete: the same options give the same schedule of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What clients do: names of workloads; several run side by side on different keys.
    pub workloads: Vec<String>,
    /// What is broken: families of faults (`partition`), or single variants (`partition/leader`). Empty: nothing.
    pub nemeses: Vec<String>,
    /// How long faults are injected.
    pub time: Duration,
    /// Decides every fault and every operation.
    pub seed: u64,
    /// How many nodes, 1 to 16.
    pub nodes: u16,
    /// Data groups.
    pub groups: u32,
    /// Operations per second all clients together aim at.
    pub rate: u32,
    /// Workers: each has one operation open at a time.
    pub concurrency: u32,
    /// How links are made.
    pub net: NetKind,
    /// The folder under which each run makes one of its own.
    pub store: PathBuf,
    /// The `atoll` program to start.
    pub binary: PathBuf,
    /// A deliberate bug to wake in every node; only a build with them has any.
    pub mutant: Option<String>,
}

/// How nodes and clients reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetKind {
    /// Through a proxy per ordered pair, in this process. Needs nothing.
    Proxy,
    /// Through a bridge between network namespaces, with packet filters. Needs root.
    Netns,
}
