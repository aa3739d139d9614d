//! The state machine below openraft.

use std::io;
use std::sync::Arc;

use atoll_env::{BoxFuture, trouble, watch};
use atoll_storage::{GroupLog, Journal};
use atoll_types::{LogId, Mutant, Outcome, mutant};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};

use crate::snapshot::{Carried, Newest, NoSnapshots, RaftSnapshot, SnapshotMeta, SnapshotStore, Staged};
use crate::types::{RaftEntry, RaftLogId, StoredMembership, TypeConfig, log_id_in, log_id_out};
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
    /// This is a checkpoint that was installed here, and nothing was applied to it since. Only then may a log end before
    /// it.
    pub installed: bool,
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

    /// What to wait for before the entry is applied: older rows that it looks at and that are not in memory. Applying runs where
    /// others are served, so it should not wait for a disk itself. Nothing of what is read may depend on it: it saves time only.
    fn prepare(&mut self, entry: &Committed<'_>) -> Option<BoxFuture<'static, ()>> {
        let _ = entry;
        None
    }

    /// Whether a checkpoint may begin now, wanted or not: none is being made, and something was applied since the last.
    /// Asked for groups that keep files from going although hardly anything is written to them.
    fn can_checkpoint(&self) -> bool {
        false
    }

    /// The machine's durable checkpoints, for sending and receiving them. Asked once, before the first entry.
    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        Arc::new(NoSnapshots)
    }

    /// Replaces everything that was applied by a checkpoint that was received whole, which is always of a later entry;
    /// durable as a whole on return, and then [`SnapshotStore::durable`] says so. The position is the checkpoint's, and
    /// [`Machine::restored`] says after a restart that it was installed. An error stops the replica, because Raft has
    /// taken the snapshot for installed: what can be found wrong with it must be found by [`SnapshotSink::finish`].
    ///
    /// [`SnapshotSink::finish`]: crate::SnapshotSink::finish
    fn install(&mut self, staged: Staged) -> BoxFuture<'_, Result<Position, String>> {
        drop(staged);
        Box::pin(async { Err("this group has no snapshots".to_owned()) })
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
    journal: Journal,
    snapshots: Arc<dyn SnapshotStore>,
    durable: watch::Receiver<Option<LogId>>,
    applied: watch::Sender<u64>,
    last: Option<RaftLogId>,
    membership: StoredMembership,
}

impl Applier {
    /// `applied` publishes the index up to which entries are applied, plus one (0: none). Fails if the log is not
    /// that of the machine's checkpoint; one that ends before a checkpoint that was installed is purged up to it.
    pub(crate) async fn open(
        machine: Box<dyn Machine>,
        (log, journal): (GroupLog, Journal),
        applied: watch::Sender<u64>,
    ) -> Result<Self, RaftError> {
        let mut restored = machine.restored();
        if mutant::is(Mutant::CheckpointTooFar) {
            let next = restored.applied.and_then(|id| log.log_id_at(id.index + 1));
            restored.applied = next.or(restored.applied);
        }
        fit_log(&log, &journal, &restored).await?;
        let membership = membership_of(&restored)?;
        applied.send_replace(restored.applied.map_or(0, |id| id.index + 1));
        let snapshots = machine.snapshots();
        Ok(Self {
            machine,
            log,
            journal,
            durable: snapshots.durable(),
            snapshots,
            applied,
            last: restored.applied.map(log_id_out),
            membership,
        })
    }

    /// Begins a checkpoint of what is applied; false if none can begin or none is needed.
    pub(crate) fn checkpoint(&mut self) -> bool {
        let can = self.last.is_some() && self.machine.can_checkpoint();
        if can {
            let position = self.position();
            self.machine.checkpoint(position);
        }
        can
    }

    /// The newest durable checkpoint.
    fn newest(&self) -> Newest {
        let mut newest = *self.durable.borrow();
        if mutant::is(Mutant::PurgeBeforeFlush) {
            newest = newest.and(self.last.as_ref().map(log_id_in));
        }
        Newest {
            id: newest.map(log_id_out),
            store: Arc::clone(&self.snapshots),
        }
    }

    fn position(&self) -> Position {
        Position {
            applied: self.last.as_ref().map(log_id_in),
            membership_id: self.membership.log_id().as_ref().map(log_id_in),
            membership: wire::encode_membership(self.membership.membership()),
            installed: false,
        }
    }

    async fn prepare(&mut self, entry: &RaftEntry) {
        let EntryPayload::Normal(data) = &entry.payload else {
            return;
        };
        let committed = Committed {
            id: log_id_in(&entry.log_id),
            payload: &data.payload,
            normal: true,
            log: &self.log,
        };
        if let Some(ready) = self.machine.prepare(&committed) {
            ready.await;
        }
    }

    fn installed(&mut self, position: &Position) -> Result<(), RaftError> {
        let membership = membership_of(position)?;
        self.last = position.applied.map(log_id_out);
        let voters = membership.membership().voter_ids().count();
        if !mutant::is(Mutant::SnapshotWithoutMembership) {
            self.membership = membership;
        }
        let Some(applied) = position.applied else {
            return Ok(());
        };
        facts::installed(&self.log, applied);
        if let Some(made) = position.membership_id {
            facts::voters(&self.log, made, voters);
        }
        self.applied.send_replace(applied.index + 1);
        Ok(())
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

/// The membership at a position.
pub(crate) fn membership_of(position: &Position) -> Result<StoredMembership, RaftError> {
    if position.membership.is_empty() {
        return Ok(StoredMembership::default());
    }
    let membership = wire::decode_membership(&position.membership)
        .ok_or_else(|| RaftError::Damaged("the membership in the checkpoint cannot be read".to_owned()))?;
    Ok(StoredMembership::new(
        position.membership_id.map(log_id_out),
        membership,
    ))
}

/// A log that ends before what was applied once, or says something else there, has lost entries that this replica
/// acknowledged: with it, it must not vote. Unless they never stood in it: an installed checkpoint came without them, and a
/// crash before the log was purged up to it leaves a log that ends before it.
async fn fit_log(log: &GroupLog, journal: &Journal, restored: &Position) -> Result<(), RaftError> {
    let state = log.state();
    let Some(applied) = restored.applied else {
        let lost = |purged| {
            RaftError::Damaged(format!(
                "the log begins behind {purged}, and no checkpoint has what came before"
            ))
        };
        return state.purged.map_or(Ok(()), |purged| Err(lost(purged)));
    };
    let known = log
        .log_id_at(applied.index)
        .or(state.purged.filter(|purged| purged.index == applied.index));
    let ends_before = state.last.is_none_or(|last| last.index < applied.index);
    if restored.installed && ends_before {
        trouble::sometimes("a log that ends before an installed snapshot was purged at the start");
        log.purge(applied).await?;
        journal.mark().await?;
        facts::purged(log, applied);
    } else if known != Some(applied) {
        return Err(other_log(log, applied, known));
    }
    // The journal's own mark may be older.
    if state
        .committed
        .is_none_or(|committed| committed.index < applied.index)
    {
        log.save_committed(applied);
    }
    Ok(())
}

fn other_log(log: &GroupLog, applied: LogId, known: Option<LogId>) -> RaftError {
    let state = log.state();
    RaftError::Damaged(format!(
        "the checkpoint has everything up to entry {applied}, but the log {}. Leave all files as they are (without the checkpoint \
         nothing would tell of the loss, and this replica would vote) and replace this replica",
        match (known, state.purged, state.last) {
            (Some(other), ..) => format!("has {other} there"),
            (None, Some(purged), _) if purged.index > applied.index => format!("begins behind {purged}"),
            (None, _, Some(last)) => format!("ends with {last}"),
            (None, _, None) => "is empty".to_owned(),
        }
    ))
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = Carried;
    type SnapshotBuilder = Newest;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, StoredMembership), io::Error> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(entry) = entries.try_next().await? {
            trouble::pause("raft: before an entry is applied").await;
            self.prepare(&entry.0).await;
            self.apply_one(entry)?;
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Self::SnapshotBuilder> {
        Some(self.newest()).filter(|newest| newest.id.is_some())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.newest()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Carried) -> Result<(), io::Error> {
        let Carried::Received(staged) = snapshot else {
            return Err(io::Error::other(
                "what stands here already is not to be installed",
            ));
        };
        trouble::pause("raft: before the machine installs a snapshot").await;
        // What conflicted was cut from the log just now. Were the snapshot durable before that is, a crash would leave a
        // log that contradicts it.
        self.journal.mark().await?;
        let position = self.machine.install(staged).await.map_err(io::Error::other)?;
        let applied = position.applied.map(log_id_out);
        if applied != meta.last_log_id || applied.is_none() {
            let reason = format!(
                "a snapshot of {:?} was installed, not one of {meta}",
                position.applied
            );
            return Err(io::Error::other(reason));
        }
        self.installed(&position).map_err(io::Error::other)?;
        trouble::pause("raft: a snapshot is installed, the log is not purged").await;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        Ok(self.newest().snapshot())
    }
}
