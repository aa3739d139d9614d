//! Breaks a real cluster in every way that is known to break databases, and says whether a promise was broken.
//!
//! A run starts real `atoll` processes, drives them with [`workload`]s, injects faults ([`nemesis`]) that are
//! decided by a seed, heals everything, requires that the cluster recovers, and judges what clients were told
//! with the checkers of `atoll-history`. What happened is kept in a [`record::Record`], from which the report is made.
//!
//! Data flows one way: [`options`] say what to do; [`net`] makes the links; the [`cluster`] starts processes on them;
//! nemeses and workloads act on both (the [`field`]); [`run`] leads through it; the [`judge`] looks at what was noted, and
//! the [`report`] is made of the record. Nothing here is part of what a node runs.
//!
//! Processes and time are real here: the same seed gives the same faults in the same order, but not the same history.

pub mod args;
pub mod cluster;
pub mod field;
pub mod interrupt;
pub mod judge;
pub mod mutants;
pub mod nemesis;
pub mod net;
pub mod options;
pub mod program;
pub mod record;
pub mod regression;
pub mod report;
pub mod run;
pub mod workload;
