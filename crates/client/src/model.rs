//! What reads and writes give back.

use std::time::Duration;

use atoll_proto::v1;
use atoll_types::Version;
use bytes::Bytes;

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The bytes. They share memory with the network frame they came in, which may hold other replies
    /// too: copy a small value that is to be kept for long.
    pub bytes: Bytes,
    /// The version of the write that made it.
    pub version: Version,
}

/// A value and where it came from. See [`Client::read`](crate::Client::read).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The value; `None` if the key does not exist.
    pub value: Option<Value>,
    /// Which replica answered, and from what state.
    pub proof: Proof,
}

/// Which replica answered, and from what state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proof {
    /// The group that owns the key.
    pub group: u64,
    /// The group's incarnation.
    pub generation: u32,
    /// The replica that answered.
    pub replica: u64,
    /// The log entry up to which it had applied.
    pub applied_index: u64,
    /// Since which change of ownership the group has the key's slot.
    pub slot_epoch: u64,
    /// How old the state may be, at most: zero for linearizable reads; `None` if the replica does not
    /// know, which only [`Consistency::Eventual`](crate::Consistency::Eventual) and
    /// [`Consistency::Session`](crate::Consistency::Session) accept.
    pub age: Option<Duration>,
    /// The highest version the group had given out in that state.
    pub version: Version,
}

impl From<v1::Proof> for Proof {
    fn from(proof: v1::Proof) -> Self {
        Self {
            group: proof.group,
            generation: proof.generation,
            replica: proof.replica,
            applied_index: proof.applied_index,
            slot_epoch: proof.slot_epoch,
            age: (proof.age_ms != u64::MAX).then(|| Duration::from_millis(proof.age_ms)),
            version: Version(proof.version),
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Bytes,
    /// The value; empty where only keys were asked for.
    pub value: Bytes,
    /// The version of the write that made it.
    pub version: Version,
}

impl Row {
    /// Bytes of key and value.
    pub(crate) fn len(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// What became of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cas {
    /// The key had the expected version; the write got this one.
    Done(Version),
    /// The key had another version; nothing was changed.
    Conflict {
        /// The version found; `None` if the key does not exist.
        actual: Option<Version>,
    },
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All operations were applied, with this version.
    Done(Version),
    /// A guard did not hold; nothing was changed.
    Conflict {
        /// Position of the guard, counted in the order the guards were added.
        guard: usize,
        /// The version found; `None` for absent.
        actual: Option<Version>,
    },
}

/// A version from the wire, where 0 means absent.
pub(crate) fn present(version: u64) -> Option<Version> {
    (version != 0).then_some(Version(version))
}
