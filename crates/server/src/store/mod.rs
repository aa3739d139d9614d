//! Which shards live on this node.
//!
//! The map places replicas; [`Keeper`] starts those placed here (those the journal holds at once, as
//! replaying needs no map), makes new groups ([`birth`]), and gives a group its slots when this node
//! leads it. [`Registry`] is where requests find a shard.

pub(crate) mod birth;
mod keeper;
mod registry;

pub(crate) use keeper::Keeper;
pub(crate) use registry::Registry;
