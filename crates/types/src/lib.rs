//! Ids and vocabulary shared by every crate of Atoll.
//!
//! No I/O, no async, no clocks. Each id is a newtype, so that a slot can never be passed where a
//! group is meant; every bound of the system stands in [`limits`] and is checked against the others
//! at compile time.

mod codec;
mod id;
mod key;
pub mod limits;
mod log;
pub mod mutant;
mod outcome;
mod version;

pub use codec::Codec;
pub use id::{ClientId, ClusterId, Epoch, GroupGen, GroupId, GroupKey, NodeId, NodeUuid, ReplicaId, SlotId};
pub use key::{Key, KeyError};
pub use log::{LogId, Vote};
pub use mutant::Mutant;
pub use outcome::{Misfit, Outcome, Refusal};
pub use version::Version;
