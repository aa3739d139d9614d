//! How directories become a cluster, exactly once, and how its nodes find each other.
//!
//! `init` may be called on any node, by several people at once, and may die anywhere. What makes that
//! safe is the order of durable steps:
//!
//! 1. Everyone of the wanted set is asked for its directory's uuid; the set is ordered by uuid and
//!    node ids are the positions.
//! 2. Each is asked, in that order, to *claim*: to promise itself durably to this set. A directory
//!    claims once, ever. The lowest uuid's claim decides the cluster id, so two inits of one set make
//!    one cluster; two that overlap meet at the first common directory, and one of them is refused.
//! 3. Once all hold the claim, each is *admitted*: it creates its journal and then its identity.
//! 4. Group 0 is initialized with exactly the set's control replicas, by the node with id 1 or, if
//!    that does nothing, by another of them.
//!
//! Whoever holds a claim greets the others of its set, and admits itself when all hold the claim or
//! one is admitted already: after step 2 the cluster completes without the caller. Before that,
//! repeating `init` with the same set continues where it stopped.
//!
//! [`Membership`] answers (and is all the durable state), [`Initiator`] asks, [`Greeter`] keeps
//! addresses current and compares wall clocks ([`Clocks`]). None of them knows Raft or the wire: calls go through [`crate::rpc::PeerClient`].

mod clocks;
mod greeter;
mod initiator;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use clocks::Clocks;
pub(crate) use greeter::Greeter;
pub(crate) use initiator::Initiator;
pub(crate) use standing::{Greeting, Membership, Standing, init_command};
