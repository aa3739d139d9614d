//! What recovery says of a journal that is not what was written.

use atoll_types::ReplicaId;

/// A group whose log cannot be trusted.
#[derive(Clone, Debug)]
pub(crate) struct Quarantined {
    pub(crate) replica: ReplicaId,
    pub(crate) reason: String,
}

/// A place where the journal is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rot {
    /// The segment.
    pub(crate) segment: u32,
    /// Offset in its file.
    pub(crate) at: u32,
    pub(crate) what: String,
}

/// Places kept, at most: what comes behind says nothing new.
pub(super) const ROT_MAX: usize = 256;
