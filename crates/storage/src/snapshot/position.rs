//! What a snapshot is of.

use std::io;

use atoll_types::{LogId, Version};
use bytes::Bytes;

use crate::index::Below;
use crate::store::{Checkpoint, system_rows};

/// The point of a group's log that a durable checkpoint is of, and what holds there besides rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPosition {
    /// The last entry that is in it.
    pub applied: LogId,
    /// The group's last version there.
    pub version: Version,
    /// The membership there, opaque; at most 1 MiB.
    pub membership: Bytes,
    /// The entry that made it.
    pub membership_id: Option<LogId>,
}

impl SnapshotPosition {
    /// What a group begins with that has these files.
    pub(crate) fn checkpoint(&self, below: &Below) -> io::Result<Checkpoint> {
        Ok(Checkpoint {
            applied: self.applied,
            version: self.version,
            membership: self.membership.clone(),
            membership_id: self.membership_id,
            rows: system_rows(below).map_err(io::Error::other)?,
        })
    }
}
