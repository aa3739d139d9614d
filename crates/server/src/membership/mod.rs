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
//! # Joining a cluster that exists
//!
//! A fresh node whose `--join` leads to members of a cluster asks one of them to join. The steps again
//! are durable one after the other:
//!
//! 1. Group 0 commits the directory's uuid under the next node id. It looks the uuid up and gives the id
//!    in one and the same entry, so one uuid has one id, however often and wherever it is asked for; ids
//!    are never given again. Nothing else changes: no membership, no placement, no slot.
//! 2. The directory promises itself to that cluster and id (`JOIN`), under the same lock as a claim and
//!    only if it is still fresh. Of an `init` and a joining that meet, the first here wins, and the other
//!    is refused: one promise per directory, ever.
//! 3. Journal, then identity, as after an `init`. The node follows the map and passes calls on.
//!
//! A crash before 2 leaves a fresh directory, which asks again and is told the same id, or is claimed
//! by an `init`; then the id stays with a node that never comes, which hosts nothing and votes nowhere.
//! After 2 the next start goes on with 3 by itself and asks nobody.
//!
//! What could go wrong is a directory that comes back empty under a uuid that has voted. So group 0
//! refuses to answer for the uuid of an initial node, or of one that hosts a replica: without its log
//! such a node must not return under its id. And a node that greets with an id which the map gives to
//! another directory is refused.
//!
//! Zones are told with greetings. The claim holds those of the initial set, the first claim's for all,
//! because group 0's voters are chosen by them; later changes go into the map only.
//!
//! [`Membership`] answers (and is all the durable state), [`Initiator`] asks, [`Greeter`] keeps
//! addresses current and compares wall clocks ([`Clocks`]), [`Joiner`] asks to join. None of them knows Raft or the wire: calls go through [`crate::rpc::PeerClient`].

mod clocks;
mod greeter;
mod greeting;
mod initiator;
mod joiner;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use clocks::Clocks;
pub(crate) use greeter::Greeter;
pub(crate) use greeting::{Greeting, Standing, init_command};
pub(crate) use initiator::Initiator;
pub(crate) use joiner::{Joiner, Newcomer};
pub(crate) use standing::Membership;
