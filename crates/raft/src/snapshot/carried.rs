//! What openraft carries about as a snapshot.

use std::io;
use std::sync::Arc;

use openraft::RaftSnapshotBuilder;
use openraft::storage::Snapshot;

use super::{SnapshotStore, Staged};
use crate::types::{LeaderId, RaftLogId, StoredMembership, TypeConfig};

pub(crate) type SnapshotMeta = openraft::storage::SnapshotMeta<LeaderId, u64, ()>;
pub(crate) type RaftSnapshot = Snapshot<LeaderId, u64, (), Carried>;

/// The content of a snapshot.
pub(crate) enum Carried {
    /// The newest checkpoint here. It is opened when it is its turn to be sent, so that what waits pins nothing; then it
    /// may be a newer one, which covers the older.
    Here(Arc<dyn SnapshotStore>),
    /// One that was received, to be installed.
    Received(Staged),
}

/// "Builds" the newest durable checkpoint: openraft hears of it that way.
pub(crate) struct Newest {
    /// The newest entry that it has; `None`: there is none.
    pub(crate) id: Option<RaftLogId>,
    pub(crate) store: Arc<dyn SnapshotStore>,
}

impl Newest {
    /// As openraft wants it. Of one that is not received it looks at the id alone; what else there is to know is read when
    /// it is sent.
    pub(crate) fn snapshot(&self) -> Option<RaftSnapshot> {
        Some(RaftSnapshot {
            meta: SnapshotMeta {
                last_log_id: Some(self.id?),
                last_membership: StoredMembership::default(),
            },
            snapshot: Carried::Here(Arc::clone(&self.store)),
        })
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Newest {
    type SnapshotData = Carried;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "no checkpoint is durable yet");
        self.snapshot().ok_or_else(none)
    }
}
