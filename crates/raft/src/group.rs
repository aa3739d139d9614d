//! The handle to one replica of one group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{BoxFuture, Env, Task, trouble, watch};
use atoll_types::{GroupKey, Mutant, Outcome, ReplicaId, mutant};
use bytes::Bytes;
use openraft::errors::{ClientWriteError, Fatal, InitializeError, RaftError as OpenRaftError};
use openraft::raft::{ClientWriteResult, VoteResponse};
use tokio::sync::oneshot;

use crate::intake::Intake;
use crate::leaving::Leaving;
use crate::machine::Applier;
use crate::proposer::{Pack, Proposer};
use crate::read_gate::ReadGate;
use crate::responder::Callback;
use crate::snapshot::Snapshots;
use crate::transport::Inbound;
use crate::types::{EntryData, LeaderId, TypeConfig};
use crate::wire::{self, Kind};
use crate::{GroupStatus, ProposeError, RaftError};

pub(crate) type Raft = openraft::Raft<TypeConfig, Applier>;

/// One replica. Cheap to clone.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    env: Env,
    key: GroupKey,
    replica: ReplicaId,
    raft: Raft,
    reads: ReadGate,
    snapshots: Snapshots,
    leaving: Arc<Leaving>,
    /// Gives leadership up when the state cannot be read.
    giving_up: Task<()>,
    applied: watch::Receiver<u64>,
    leader: watch::Receiver<Option<ReplicaId>>,
}

impl Group {
    pub(crate) fn new(
        env: Env,
        (key, replica): (GroupKey, ReplicaId),
        raft: Raft,
        (reads, snapshots): (ReadGate, Snapshots),
        applied: watch::Receiver<u64>,
        (leaving, unreadable): (Leaving, watch::Receiver<Option<String>>),
    ) -> Self {
        let leader = follow_leader(&env, key, &raft);
        let leaving = Arc::new(leaving);
        let own = Arc::clone(&leaving);
        let giving_up = env.spawn.spawn(async move { own.follow(unreadable).await });
        Self(Arc::new(Inner {
            env,
            key,
            replica,
            raft,
            reads,
            snapshots,
            leaving,
            giving_up,
            applied,
            leader,
        }))
    }

    /// Which group.
    pub fn key(&self) -> GroupKey {
        self.0.key
    }

    /// Which replica of it.
    pub fn replica(&self) -> ReplicaId {
        self.0.replica
    }

    /// Makes the group, with exactly these voters. Safe to repeat on the same replica.
    pub async fn initialize(&self, voters: &BTreeSet<ReplicaId>) -> Result<(), RaftError> {
        let members: BTreeSet<u64> = voters.iter().map(|id| id.0).collect();
        match self.0.raft.initialize(members).await {
            Ok(()) | Err(OpenRaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(RaftError::Raft(error.to_string())),
        }
    }

    /// What this replica knows now.
    pub fn status(&self) -> GroupStatus {
        let metrics = self.0.raft.metrics();
        let known = GroupStatus::of(&openraft::async_runtime::WatchReceiver::borrow_watched(&metrics));
        GroupStatus {
            applied_index: self.applied_index(),
            snapshots_sent: self.0.snapshots.served(),
            snapshot_troubles: self.0.snapshots.troubles(),
            gave_up: self.0.leaving.reason(),
            ..known
        }
    }

    /// Last entry applied here.
    pub fn applied_index(&self) -> u64 {
        self.0.applied.borrow().saturating_sub(1)
    }

    /// Follows what is applied here: one more than the last entry.
    pub fn watch_applied(&self) -> watch::Receiver<u64> {
        self.0.applied.clone()
    }

    /// True if this replica thinks it leads.
    pub fn is_leader(&self) -> bool {
        *self.0.leader.borrow() == Some(self.0.replica)
    }

    /// Who leads, as far as this replica knows.
    pub fn leader(&self) -> Option<ReplicaId> {
        *self.0.leader.borrow()
    }

    /// Follows who leads.
    pub fn watch_leader(&self) -> watch::Receiver<Option<ReplicaId>> {
        self.0.leader.clone()
    }

    /// Proposes one entry and waits until it is applied here. For rare things; writes of users go
    /// through a [`Proposer`].
    pub async fn propose(&self, payload: Bytes) -> Result<Vec<Outcome>, ProposeError> {
        let leadership = self.leadership()?;
        let (sender, receiver) = oneshot::channel();
        let hook = move |result| {
            // The caller may have given up.
            let _ = sender.send(result);
        };
        self.write(EntryData::new(payload), leadership, hook).await;
        receiver
            .await
            .unwrap_or_else(|_| Err(ProposeError::Unknown("the group stopped".to_owned())))
    }

    /// Starts the group's proposer. One per group: two would compete for the same places in the log.
    pub fn proposer<P: Pack>(&self, pack: P) -> Proposer<P::Item> {
        Proposer::start(&self.0.env, self.clone(), pack)
    }

    /// The group's read gate.
    pub fn reads(&self) -> ReadGate {
        self.0.reads.clone()
    }

    /// Makes a checkpoint of what is applied, if one can begin and anything was applied since the last; true if so. It is
    /// durable later. For groups to which too little is written for checkpoints of their own, and which keep what all
    /// groups share from being freed.
    pub async fn checkpoint(&self) -> Result<bool, RaftError> {
        let begun = self.0.raft.with_state_machine(|applier| {
            let begun = applier.checkpoint();
            Box::pin(async move { begun })
        });
        begun.await.map_err(|error| RaftError::Raft(error.to_string()))
    }

    /// Purges the log as far as it may go, soon. That happens by itself when a checkpoint becomes durable; this is for what
    /// else allows more.
    pub fn purge(&self) {
        self.0.snapshots.purge();
    }

    /// Hands leadership to another replica, if that is willing ([`RaftError::Unwilling`]). Returns once asked; watch the leader to see
    /// it happen. If nobody takes it, an election follows a few seconds later.
    pub async fn transfer_leader(&self, to: ReplicaId) -> Result<(), RaftError> {
        self.0.leaving.hand_over(to).await
    }

    /// Hands leadership to a follower that is caught up, has just answered and is willing, for a reason that people can read in the
    /// log and in [`GroupStatus::gave_up`]. Returns to whom; `None` if this replica does not lead, nobody could follow it, or
    /// somebody was asked a few seconds before. So it may be called as often as there is a reason. This replica is not willing to
    /// take leadership back for a minute then, longer each time.
    pub async fn give_up_leadership(&self, reason: &str) -> Result<Option<ReplicaId>, RaftError> {
        self.0.leaving.give_up(reason).await
    }

    /// Campaigns now, without waiting for the election timeout. For the simulator and tests.
    pub async fn campaign(&self) -> Result<(), RaftError> {
        self.0
            .raft
            .trigger()
            .elect(true)
            .await
            .map_err(|error| RaftError::Raft(error.to_string()))
    }

    pub(crate) async fn peers_up(&self, replicas: Vec<ReplicaId>) {
        if replicas.is_empty() {
            return;
        }
        self.0.snapshots.peers_up();
        let ids: Vec<u64> = replicas.into_iter().map(|replica| replica.0).collect();
        // A stopped group has no backoff to reset.
        let _ = self.0.raft.trigger().reset_backoff(ids).await;
    }

    pub(crate) async fn shutdown(&self) {
        self.0.reads.stop();
        self.0.giving_up.stop();
        if let Err(error) = self.0.raft.shutdown().await {
            tracing::warn!(group = %self.0.key, %error, "the group did not stop cleanly");
        }
        self.0.snapshots.stop().await;
    }

    /// The leadership of this replica, by which a proposal is tied to its term; else why it has none.
    pub(crate) fn leadership(&self) -> Result<LeaderId, ProposeError> {
        // What openraft says of leadership is what it last knew: a replica that stopped as the leader
        // would be one for ever, and who asks it would be told that the outcome is unknown.
        let running = {
            let metrics = self.0.raft.metrics();
            openraft::async_runtime::WatchReceiver::borrow_watched(&metrics)
                .running_state
                .is_ok()
        };
        if !running {
            return Err(ProposeError::Stopped);
        }
        let leader = self.0.raft.as_leader();
        leader
            .map(|leader| leader.to_committed_leader_id())
            .map_err(|_| ProposeError::NotLeader {
                leader: self.leader(),
            })
    }

    /// Proposes under one leadership; `hook` is called exactly once, whatever happens.
    pub(crate) async fn write(
        &self,
        data: EntryData,
        leadership: LeaderId,
        hook: impl FnOnce(Result<Vec<Outcome>, ProposeError>) + Send + 'static,
    ) {
        let responder =
            Callback::new(move |result: Option<ClientWriteResult<TypeConfig>>| hook(outcome(result)));
        let request = self
            .0
            .raft
            .write(data)
            .with_leader(leadership)
            .responder(responder);
        // On an error the responder was dropped, and so the hook was called: nothing is lost.
        let _sent: Result<(), Fatal<TypeConfig>> = request.await;
    }

    async fn vote(&self, body: Bytes) -> Result<Bytes, String> {
        let request = wire::decode_vote_request(body).ok_or("unreadable Vote")?;
        if mutant::is(Mutant::VoteForAnybody) {
            let granted = VoteResponse::new(request.vote, None, true);
            return Ok(wire::encode_vote_reply(&granted));
        }
        let reply = self
            .0
            .raft
            .vote(request)
            .await
            .map_err(|error| error.to_string())?;
        Ok(wire::encode_vote_reply(&reply))
    }

    pub(crate) fn inbound(&self, intake: Intake) -> Arc<dyn Inbound> {
        Arc::new(Answers(self.clone(), intake))
    }
}

fn outcome(result: Option<ClientWriteResult<TypeConfig>>) -> Result<Vec<Outcome>, ProposeError> {
    match result {
        Some(Ok(response)) => Ok(response.data),
        Some(Err(ClientWriteError::ForwardToLeader(forward))) => Err(ProposeError::NotLeader {
            leader: forward.leader_id.map(ReplicaId),
        }),
        Some(Err(error)) => Err(ProposeError::Unknown(error.to_string())),
        None => Err(ProposeError::Unknown(
            "the replica stopped while the command was under way".to_owned(),
        )),
    }
}

/// Follows who leads until the replica stops. If it did so because its log could not be read or applied,
/// the process ends: a node with a replica that is dead looks healthy and never heals, and what the disk
/// refused a moment ago is read again at the next start, or found to be damaged.
fn follow_leader(env: &Env, key: GroupKey, raft: &Raft) -> watch::Receiver<Option<ReplicaId>> {
    use openraft::async_runtime::WatchReceiver;
    let mut metrics = raft.server_metrics();
    let (sender, receiver) = watch::channel(metrics.borrow_watched().current_leader.map(ReplicaId));
    let (halt, whole) = (env.halt.clone(), raft.metrics());
    env.spawn.spawn(async move {
        while metrics.changed().await.is_ok() {
            let leader = metrics.borrow_watched().current_leader.map(ReplicaId);
            sender.send_if_modified(|current| {
                let changed = *current != leader;
                *current = leader;
                changed
            });
        }
        sender.send_replace(None);
        let state = whole.borrow_watched().running_state.clone();
        if let Err(Fatal::StorageError(error)) = state {
            halt.now(&format!("group {key} cannot go on: {error}")).await;
        }
    });
    receiver
}

/// Answers other nodes' calls to this replica.
struct Answers(Group, Intake);

const READ_LIMIT: Duration = Duration::from_secs(2);
/// How long an append may wait for a snapshot to be installed.
const INSTALL_LIMIT: Duration = Duration::from_secs(1);

impl Inbound for Answers {
    fn replica(&self) -> ReplicaId {
        self.0.replica()
    }

    fn answer(&self, kind: Kind, body: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        let (group, intake) = (self.0.clone(), self.1.clone());
        Box::pin(async move {
            trouble::pause("raft: before a call is answered").await;
            let unreadable = || format!("unreadable {kind:?}");
            let raft = &group.0.raft;
            match kind {
                Kind::Append => {
                    let request = wire::decode_append(body).ok_or_else(unreadable)?;
                    let last = || group.status().last_index;
                    intake.check(group.key().id, &request.entries, last)?;
                    // Messages of all groups come one after the other: an install that cannot write must not hold them up.
                    let installer = group.0.snapshots.receiver().installer();
                    let open = group.0.env.clock.timeout(INSTALL_LIMIT, installer.appends());
                    let _open = open
                        .await
                        .map_err(|_| "a snapshot is being installed".to_owned())?;
                    let reply = raft
                        .append_entries(request)
                        .await
                        .map_err(|error| error.to_string())?;
                    Ok(wire::encode_append_reply(&reply))
                }
                Kind::Vote => group.vote(body).await,
                Kind::PreVote => {
                    let request = wire::decode_vote_request(body).ok_or_else(unreadable)?;
                    let reply = raft.pre_vote(request).await.map_err(|error| error.to_string())?;
                    Ok(wire::encode_vote_reply(&reply))
                }
                Kind::Transfer => {
                    let request = wire::decode_transfer(body).ok_or_else(unreadable)?;
                    match raft.handle_transfer_leader(request).await {
                        Ok(Ok(())) => Ok(Bytes::new()),
                        Ok(Err(refusal)) => Err(refusal.to_string()),
                        Err(error) => Err(error.to_string()),
                    }
                }
                Kind::ReadIndex => {
                    let point = group
                        .0
                        .env
                        .clock
                        .timeout(READ_LIMIT, group.0.reads.leader_index())
                        .await;
                    match point {
                        Ok(Ok(index)) => Ok(wire::encode_read_index(index)),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(elapsed) => Err(elapsed.to_string()),
                    }
                }
                Kind::Willing => group.0.leaving.unwilling().map_or(Ok(Bytes::new()), Err),
                Kind::Snapshot => group.0.snapshots.receiver().answer(body).await,
                Kind::Reply | Kind::Refused => Err(unreadable()),
            }
        })
    }
}
