//! A node: shards, control plane and RPC.
//!
//! [`Node::start`] opens a data directory and serves. What the directory is decides how far that goes
//! at once: a fresh one waits to be claimed by an `init`, an admitted one opens its journal and starts
//! every replica found there. From then on the shard map, which group 0 replicates, says what else
//! belongs here.
//!
//! | module | what it decides |
//! |---|---|
//! | `identity` | who this directory is, durably and once |
//! | `membership` | how directories become a cluster exactly once, and how nodes find each other |
//! | `control` | the shard map: group 0's state machine and the loop that makes the map true |
//! | `store` | which replicas run here |
//! | `shard` | one data group's replica: the one joint of kv, raft and storage |
//! | `state_backend` | what holds the rows of groups |
//! | `rpc` | the wire; generated messages are seen nowhere else |
//! | `crypt` | which files are encrypted, and under which key |
//! | `offline` | whether the directory of a node that does not run is sound, and what stands in it |
//! | `running`, `node` | putting the parts together and taking them apart in order |
//!
//! Invariants:
//! - A node votes only after its identity is durable, and never with a directory whose log is gone.
//! - Whoever is dialed for Raft has said that it is the node meant, in this cluster.
//! - The shard map is a hint here; a data group's own state decides what it serves.
//! - Nothing reaches beyond this machine unless the operator allowed unencrypted traffic.

mod address_book;
mod checkpoint;
mod codec;
mod config;
mod control;
mod crypt;
mod directory;
mod identity;
mod inspect;
mod membership;
mod memory;
mod node;
pub mod offline;
mod patience;
mod peers;
mod process;
mod reclaim;
mod room;
mod rpc;
mod running;
mod shard;
mod snapshots;
mod state_backend;
mod store;

pub use atoll_kv::{HistoryLimits, SessionLimits};
pub use atoll_raft::{GroupStatus, RaftOptions};
pub use atoll_storage::sealed::{KEY_TEXT_BYTES_MAX, KeyError, KeyRing};
pub use atoll_storage::{Compression, ScrubOptions, StoreOptions};
pub use config::{ConfigError, NodeConfig};
pub use inspect::{NodeView, ReplicaView};
pub use memory::MemoryShares;
pub use node::{Node, StartError};
pub use shard::ReplicaState;
pub use state_backend::StateBackend;
