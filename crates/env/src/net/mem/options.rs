//! What can be chosen about a network in memory.

use std::ops::Range;
use std::time::Duration;

/// How a [`MemNet`](super::MemNet) behaves.
#[derive(Clone, Debug)]
pub struct MemNetOptions {
    /// Decides delays and losses.
    pub seed: u64,
    /// How long a frame travels: an even draw, and not before the frame ahead of it. Tokio's time
    /// goes in steps of a millisecond, upwards.
    pub delay: Range<Duration>,
    /// How many of a million frames, requests and answers are lost.
    pub loss_per_million: u64,
    /// How many of a million of them take as long as `late` says instead.
    pub late_per_million: u64,
    /// How long those take.
    pub late: Range<Duration>,
    /// How many of a million requests, and frames of `copied_streams` to a server, arrive a second
    /// time, some time later and on another connection.
    pub copies_per_million: u64,
    /// Methods of streams whose frames may arrive twice: those that must bear it.
    pub copied_streams: Vec<&'static str>,
    /// How long a connection stalls at a lost frame before it breaks.
    pub stall: Duration,
    /// How long two nodes may be cut from each other before their connections break.
    pub give_up: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

impl Default for MemNetOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            delay: Duration::from_micros(100)..Duration::from_millis(3),
            loss_per_million: 0,
            late_per_million: 0,
            late: Duration::ZERO..Duration::from_secs(1),
            copies_per_million: 0,
            copied_streams: Vec::new(),
            stall: Duration::from_secs(1),
            give_up: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
        }
    }
}
