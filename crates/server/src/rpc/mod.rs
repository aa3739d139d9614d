//! The node's face on the network: the only code of this crate that sees protobuf messages.
//!
//! [`Router`] sends each method to where it is answered: data to `KvService` once the node runs,
//! [`admin`], [`peer`] and [`discovery`] always, Raft streams to the Raft host. A node that is not part of a cluster
//! yet says so, and how to change it, instead of failing in some other way.

mod admin;
mod convert;
mod discovery;
mod error;
mod fields;
mod join;
mod kv;
mod map;
mod peer;
mod peer_client;
mod pipe;
mod router;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use kv::KvService;
pub(crate) use peer_client::PeerClient;
pub(crate) use router::Router;
