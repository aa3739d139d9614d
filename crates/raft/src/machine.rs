//! The state machine below openraft.

use std::io;

use atoll_env::{trouble, watch};
use atoll_storage::GroupLog;
use atoll_types::{LogId, Outcome};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use crate::facts;
use crate::types::{LeaderId, RaftLogId, StoredMembership, TypeConfig, log_id_in};

/// One committed entry.
#[derive(Clone, Copy)]
pub struct Committed<'a> {
    /// Its place in the log.
    pub id: LogId,
    /// The proposed bytes; empty unless `normal`.
    pub payload: &'a Bytes,
    /// False for the entries Raft makes for itself (a new leader's blank, membership).
    pub normal: bool,
    /// Where the bytes stand, for pointers to them.
    pub log: &'a GroupLog,
}

/// What a group replicates. Called for every committed entry in log order, on every replica, and
/// again from the first after a restart.
pub trait Machine: Send + Sync + 'static {
    /// Applies one entry; must depend on nothing but the entries. `outcomes` is there when a proposer
    /// waits on this replica; it gets one outcome per command. An error stops the replica: skipping an
    /// entry that others applied would make them differ for ever.
    fn apply(&mut self, entry: Committed<'_>, outcomes: Option<&mut Vec<Outcome>>) -> Result<(), String>;
}

/// openraft's side of a [`Machine`].
pub(crate) struct Applier {
    machine: Box<dyn Machine>,
    log: GroupLog,
    applied: watch::Sender<u64>,
    last: Option<RaftLogId>,
    membership: StoredMembership,
}

impl Applier {
    /// `applied` publishes the index up to which entries are applied, plus one (0: none).
    pub(crate) fn new(machine: Box<dyn Machine>, log: GroupLog, applied: watch::Sender<u64>) -> Self {
        Self {
            machine,
            log,
            applied,
            last: None,
            membership: StoredMembership::default(),
        }
    }

    fn apply_one(&mut self, (entry, responder): EntryResponder<TypeConfig>) -> io::Result<()> {
        let mut outcomes = Vec::new();
        let wanted = responder.is_some();
        let empty = Bytes::new();
        let (payload, normal) = match &entry.payload {
            EntryPayload::Normal(data) => (&data.payload, true),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                facts::voters(
                    &self.log,
                    log_id_in(&entry.log_id),
                    membership.voter_ids().count(),
                );
                (&empty, false)
            }
            EntryPayload::Blank => (&empty, false),
        };
        let committed = Committed {
            id: log_id_in(&entry.log_id),
            payload,
            normal,
            log: &self.log,
        };
        self.machine
            .apply(committed, wanted.then_some(&mut outcomes))
            .map_err(|error| io::Error::other(format!("entry {}: {error}", entry.log_id)))?;
        self.last = Some(entry.log_id);
        facts::applied(&self.log, log_id_in(&entry.log_id));
        self.applied.send_replace(entry.log_id.index + 1);
        if let Some(responder) = responder {
            responder.send(outcomes);
        }
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = ();
    type SnapshotBuilder = NoSnapshots;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, StoredMembership), io::Error> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(entry) = entries.try_next().await? {
            trouble::pause("raft: before an entry is applied").await;
            self.apply_one(entry)?;
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Self::SnapshotBuilder> {
        None
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        NoSnapshots
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<LeaderId, u64, ()>,
        _snapshot: Self::SnapshotData,
    ) -> Result<(), io::Error> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<LeaderId, u64, (), ()>>, io::Error> {
        Ok(None)
    }
}

/// Snapshots come with the checkpoint that allows purging; until then no log is ever purged, so no
/// replica can need one.
pub(crate) struct NoSnapshots;

impl RaftSnapshotBuilder<TypeConfig> for NoSnapshots {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<Snapshot<LeaderId, u64, (), ()>, io::Error> {
        Err(no_snapshots())
    }
}

fn no_snapshots() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "nothing is purged, so nothing needs a snapshot",
    )
}
