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
            stall: Duration::from_secs(1),
            give_up: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
        }
    }
}
