//! Many Raft groups on one journal and one transport.
//!
//! openraft is wrapped here and shows nowhere else: its type parameters, configuration, errors and
//! encodings end in this crate (docs/adr/0001-openraft.md). What this crate adds is what a database
//! with many groups per node needs around it: one proposer per group that packs waiting commands into
//! entries ([`Proposer`]), one read-index round for all waiting reads ([`ReadGate`]), one stream per
//! pair of nodes for all groups ([`RaftHost`]), a log on the node's shared journal, and settings under
//! which an acknowledged write cannot be lost.
//!
//! It knows commands only as bytes with a count of outcomes, nodes only as ids. Invariants:
//! - A proposal is tied to one leadership; group time counts only within it.
//! - A proposal ends as one of: outcomes, *did not happen*, *unknown*. The last two are never mixed.
//! - A replica takes calls only after it has re-applied what was committed before its restart.
//! - A log is purged up to what a durable checkpoint has and no further; whoever lacks what was purged gets a checkpoint.
//! - A leader that cannot read its state hands over to one that can, and a hand-over that nobody takes ends in an election.
//! - A follower whose node takes no commands refuses them before openraft sees them, and still votes and hears its leader.

mod elapsed;
mod error;
mod facts;
mod group;
mod host;
mod intake;
mod leaving;
mod log_store;
mod machine;
mod network;
mod options;
mod proposer;
mod read_gate;
mod responder;
mod runtime;
mod snapshot;
mod status;
mod transport;
mod types;
mod wire;

pub use error::{ProposeError, RaftError, ReadError};
pub use group::Group;
pub use host::RaftHost;
pub use machine::{Committed, Machine, Position};
pub use options::{KeepLog, RaftOptions};
pub use proposer::{Pack, Proposer};
pub use read_gate::{Read, ReadGate, ReadPoint};
pub use snapshot::{NoSnapshots, SnapshotSink, SnapshotSource, SnapshotStore, Staged};
pub use status::GroupStatus;
pub use transport::{Peers, TransportStats};
#[cfg(feature = "fuzzing")]
pub use wire::fuzzing;

#[cfg(test)]
mod tests;
