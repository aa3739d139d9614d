//! From a key to the node to ask.
//!
//! slot → group → leader, all of it hints: the shard map comes from any node, the leader from the map,
//! from redirects or from whoever answered last. A wrong hint costs a redirect. Nothing here decides
//! whether an answer is right; the group's own state does.

mod choose;
mod group;
mod router;
mod share;
mod table;

pub(crate) use choose::Choice;
pub(crate) use group::Group;
pub(crate) use router::{Router, Way};
pub(crate) use share::Share;
pub(crate) use table::Table;
