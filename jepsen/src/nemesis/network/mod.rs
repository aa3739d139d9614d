//! Faults of the network: [`Partition`] stops messages, [`Packet`] hampers them.
//!
//! Which directions of which links are hit is computed by pure functions (`cuts`, `scope`) from the nodes, who leads and
//! random numbers; laying them and taking them away again is all that the families do themselves. Each fault is an
//! overlay of its own, so any number may lie at the same time.

mod cuts;
mod flapping;
mod packet;
mod partition;
mod plan;
mod scope;
#[cfg(test)]
mod tests;

pub use self::packet::Packet;
pub use self::partition::Partition;
