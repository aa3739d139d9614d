//! Gives received snapshots to Raft, in a way that it takes.

use std::sync::Arc;

use atoll_env::trouble;
use atoll_storage::GroupLog;
use atoll_types::LogId;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::sync::{RwLock, RwLockReadGuard};

use super::{Carried, RaftSnapshot, SnapshotMeta, Staged};
use crate::group::Raft;
use crate::machine::membership_of;
use crate::types::{RaftLogId, RaftVote, log_id_out};
use crate::wire::SnapshotPart;

/// Installs snapshots for one replica. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Installer {
    raft: Raft,
    log: GroupLog,
    /// Appends are read, installs written. openraft takes what a leader says for ordered, and links repeat what was late: an
    /// append of the same leader that comes between a look at the log and the install would let the install go backwards.
    gate: Arc<RwLock<()>>,
}

impl Installer {
    pub(crate) fn new(raft: Raft, log: GroupLog) -> Self {
        Self {
            raft,
            log,
            gate: Arc::default(),
        }
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.raft
    }

    /// To be held while Raft is given an append.
    pub(crate) async fn appends(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Whether a leader with this vote can have a checkpoint at this position: openraft panics on others.
    pub(crate) fn check(&self, part: &SnapshotPart) -> Result<(), String> {
        let position = &part.position;
        let applied = position.applied.ok_or("a snapshot of nothing")?;
        let leader = &part.vote.leader_id;
        if !part.vote.committed || leader.node_id == self.log.replica().0 {
            return Err(format!("a snapshot with vote {}", part.vote));
        }
        if log_id_out(applied).leader_id > *leader {
            return Err(format!(
                "a snapshot up to entry {applied}, of a later leader than {}",
                part.vote
            ));
        }
        let made = position.membership_id.filter(|made| made.index <= applied.index);
        if made.is_none() || position.membership.is_empty() {
            return Err("a snapshot without its membership".to_owned());
        }
        membership_of(position)
            .map_err(|error| error.to_string())
            .map(drop)
    }

    /// If the log has everything that the snapshot has, Raft accepts its sender's vote, waits until the log is durable, and
    /// this is the vote then.
    pub(crate) async fn has(&self, part: &SnapshotPart) -> Result<Option<RaftVote>, String> {
        let applied = applied_of(part)?;
        let committed = self
            .raft
            .with_raft_state(|state| state.local_committed().copied());
        let committed = committed.await.map_err(|error| error.to_string())?;
        if committed.is_some_and(|ours| ours < applied && ours.index >= applied.index) {
            return Err(format!("a snapshot up to entry {applied}, which is another here"));
        }
        self.append_nothing(part, applied, Some(applied)).await
    }

    /// An append without entries behind an entry. `None`: another entry or none stands there; if another, it is cut.
    async fn append_nothing(
        &self,
        part: &SnapshotPart,
        behind: RaftLogId,
        leader_commit: Option<RaftLogId>,
    ) -> Result<Option<RaftVote>, String> {
        let request = AppendEntriesRequest {
            vote: part.vote,
            prev_log_id: Some(behind),
            entries: Vec::new(),
            leader_commit,
        };
        let answer = self.raft.append_entries(request).await;
        match answer.map_err(|error| error.to_string())? {
            AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_) => Ok(Some(part.vote)),
            AppendEntriesResponse::HigherVote(vote) => Ok(Some(vote)),
            AppendEntriesResponse::Conflict => Ok(None),
        }
    }

    /// Has Raft replace everything by the snapshot, unless it is not needed any more. Returns the replica's vote then. A
    /// snapshot that the machine cannot install ends the replica: by then Raft has taken it for installed.
    pub(crate) async fn install(&self, part: &SnapshotPart, staged: Staged) -> Result<RaftVote, String> {
        let applied = applied_of(part)?;
        let _shut = self.gate.write().await;
        if let Some(vote) = self.has(part).await? {
            trouble::sometimes("a received snapshot was not needed any more");
            return Ok(vote);
        }
        if let Some(vote) = self.cut_later_leaders(part, applied).await? {
            return Ok(vote);
        }
        let snapshot = RaftSnapshot {
            meta: SnapshotMeta {
                last_log_id: Some(applied),
                last_membership: membership_of(&part.position).map_err(|error| error.to_string())?,
            },
            snapshot: Carried::Received(staged),
        };
        trouble::pause("raft: before a snapshot is installed").await;
        let installed = self.raft.install_full_snapshot(part.vote, snapshot).await;
        installed
            .map(|reply| reply.vote)
            .map_err(|error| error.to_string())
    }

    /// Cuts entries of leaders that came after the one whose entry the snapshot ends with. The snapshot's sender cannot have
    /// them before that entry, so they were never committed; but openraft wants whatever an install replaces to be older
    /// than it, and so does whoever compares logs after a crash in between.
    async fn cut_later_leaders(
        &self,
        part: &SnapshotPart,
        applied: RaftLogId,
    ) -> Result<Option<RaftVote>, String> {
        let Some(last) = self.log.state().last else {
            return Ok(None);
        };
        let later = |id: &LogId| log_id_out(*id).leader_id > applied.leader_id;
        let from = (0..=last.index).rev().map(|index| self.log.log_id_at(index));
        let first = from.map_while(|id| id.filter(&later)).last();
        let Some(first) = first else { return Ok(None) };
        trouble::sometimes("entries of a later leader than the snapshot's were cut");
        let theirs = RaftLogId {
            index: first.index,
            ..applied
        };
        match self.append_nothing(part, theirs, None).await? {
            Some(vote) if vote == part.vote => Err(format!("a snapshot without the committed entry {first}")),
            other => Ok(other),
        }
    }
}

fn applied_of(part: &SnapshotPart) -> Result<RaftLogId, String> {
    let applied = part.position.applied.map(log_id_out);
    applied.ok_or_else(|| "a snapshot of nothing".to_owned())
}
