//! The state machine below openraft.

use std::io;

use atoll_env::{trouble, watch};
use atoll_storage::GroupLog;
use atoll_types::{LogId, Mutant, Outcome, mutant};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use crate::types::{LeaderId, RaftLogId, StoredMembership, TypeConfig, log_id_in, log_id_out};
use crate::{RaftError, facts, wire};

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

/// A point of the log, with what Raft itself must know there besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last entry applied; `None` before the first.
    pub applied: Option<LogId>,
    /// The entry that made the membership that holds there.
    pub membership_id: Option<LogId>,
    /// That membership, in this crate's own encoding; empty: none yet.
    pub membership: Bytes,
}

/// What a group replicates. Called for every committed entry in log order, on every replica, and after a restart
/// again from the one behind the machine's own checkpoint.
pub trait Machine: Send + Sync + 'static {
    /// What the machine had applied when it last made a checkpoint that a restart can rely on. Asked once, before the
    /// first entry.
    fn restored(&self) -> Position {
        Position::default()
    }

    /// Whether the machine wants to make a checkpoint where it stands now. Asked after every entry.
    fn wants_checkpoint(&self) -> bool {
        false
    }

    /// Makes a checkpoint, or begins to: of everything applied up to this position, which is that of the entry just
    /// applied. What it says in [`Machine::restored`] after a restart must be durable as a whole.
    fn checkpoint(&mut self, position: Position) {
        debug_assert!(false, "not asked for: {position:?}");
    }

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
    /// `applied` publishes the index up to which entries are applied, plus one (0: none). Fails if the log is not
    /// that of the machine's checkpoint.
    pub(crate) fn new(
        machine: Box<dyn Machine>,
        log: GroupLog,
        applied: watch::Sender<u64>,
    ) -> Result<Self, RaftError> {
        let mut restored = machine.restored();
        if mutant::is(Mutant::CheckpointTooFar) {
            let next = restored.applied.and_then(|id| log.log_id_at(id.index + 1));
            restored.applied = next.or(restored.applied);
        }
        if let Some(applied) = restored.applied {
            check_log(&log, applied)?;
        }
        let membership = restored_membership(&restored)?;
        applied.send_replace(restored.applied.map_or(0, |id| id.index + 1));
        Ok(Self {
            machine,
            log,
            applied,
            last: restored.applied.map(log_id_out),
            membership,
        })
    }

    fn position(&self) -> Position {
        Position {
            applied: self.last.as_ref().map(log_id_in),
            membership_id: self.membership.log_id().as_ref().map(log_id_in),
            membership: wire::encode_membership(self.membership.membership()),
        }
    }

    fn apply_one(&mut self, (entry, responder): EntryResponder<TypeConfig>) -> io::Result<()> {
        let next = self.last.as_ref().map_or(0, |last| last.index + 1);
        if entry.log_id.index != next {
            // Going on would make this replica differ from the others for ever.
            let reason = format!("entry {} came to be applied, but {next} is next", entry.log_id);
            return Err(io::Error::other(reason));
        }
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
        if self.machine.wants_checkpoint() {
            let position = self.position();
            self.machine.checkpoint(position);
        }
        Ok(())
    }
}

fn restored_membership(restored: &Position) -> Result<StoredMembership, RaftError> {
    if restored.membership.is_empty() {
        return Ok(StoredMembership::default());
    }
    let membership = wire::decode_membership(&restored.membership)
        .ok_or_else(|| RaftError::Damaged("the membership in the checkpoint cannot be read".to_owned()))?;
    Ok(StoredMembership::new(
        restored.membership_id.map(log_id_out),
        membership,
    ))
}

/// A log that ends before what was applied once, or says something else there, has lost entries that this replica
/// acknowledged: with it, it must not vote.
fn check_log(log: &GroupLog, applied: LogId) -> Result<(), RaftError> {
    let state = log.state();
    let known = log
        .log_id_at(applied.index)
        .or(state.purged.filter(|purged| purged.index == applied.index));
    if known == Some(applied) {
        // The journal's own mark may be older.
        if state
            .committed
            .is_none_or(|committed| committed.index < applied.index)
        {
            log.save_committed(applied);
        }
        return Ok(());
    }
    Err(RaftError::Damaged(format!(
        "the checkpoint has everything up to entry {applied}, but the log {}. Leave all files as they are (without the checkpoint \
         nothing would tell of the loss, and this replica would vote) and replace this replica",
        match (known, state.purged, state.last) {
            (Some(other), ..) => format!("has {other} there"),
            (None, Some(purged), _) if purged.index > applied.index => format!("begins behind {purged}"),
            (None, _, Some(last)) => format!("ends with {last}"),
            (None, _, None) => "is empty".to_owned(),
        }
    )))
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
