//! Purges one group's log as its checkpoints become durable.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Clock, trouble, watch};
use atoll_storage::GroupLog;
use atoll_types::{LogId, Mutant, ReplicaId, mutant};
use openraft::async_runtime::WatchReceiver;
use tokio::sync::Notify;

use super::followers::{Followers, Marks};
use super::{Board, Holds};
use crate::KeepLog;
use crate::group::Raft;

/// openraft builds one snapshot at a time and forgets that it was asked for another meanwhile: it is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// For a follower that moves, but from behind what else would be kept, at most so many times as much of the log is kept.
const BEHIND_FACTOR: u32 = 4;
/// How often is looked whether a follower that the log is kept for got further.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The task that purges.
pub(crate) struct Purger {
    pub(crate) raft: Raft,
    pub(crate) log: GroupLog,
    pub(crate) clock: Clock,
    pub(crate) durable: watch::Receiver<Option<LogId>>,
    pub(crate) holds: Arc<Holds>,
    /// Told who is coming up from a snapshot.
    pub(crate) board: Arc<Board>,
    /// What of the log stays.
    pub(crate) keep: KeepLog,
    pub(crate) followers: Followers,
    /// Somebody wants the log to be looked at although no checkpoint is new.
    pub(crate) look: Arc<Notify>,
}

/// What a look at the log came to.
enum Looked {
    /// There is nothing more to purge until a checkpoint is new.
    Done,
    /// A follower needs what else would go, or is coming up from a snapshot.
    Waits,
    /// The replica has stopped.
    Stopped,
}

impl Purger {
    /// Runs until the replica stops or its machine is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let waits = match self.purge().await {
                Looked::Stopped => return,
                Looked::Waits => true,
                Looked::Done => false,
            };
            let clock = self.clock.clone();
            tokio::select! {
                biased;
                changed = self.durable.changed() => if changed.is_err() { return },
                () = self.look.notified() => {}
                () = self.holds.came.notified() => {}
                () = clock.sleep(LOOK_AGAIN), if waits => {}
            }
        }
    }

    async fn purge(&mut self) -> Looked {
        let wanted = self.wanted();
        let upto = self.allowed(wanted);
        let after = if upto < wanted || self.followers.returning() > 0 {
            Looked::Waits
        } else {
            Looked::Done
        };
        let purged = self.log.state().purged.map(|purged| purged.index);
        let Some(upto) = upto.filter(|_| upto > purged) else {
            return after;
        };
        trouble::pause("raft: before a log is purged").await;
        if !self.learn(upto).await {
            return Looked::Stopped;
        }
        // openraft only marks up to where, and purges once nobody is being sent what would go: nobody is from now on.
        let upto = self.holds.give_up(upto);
        if Some(upto) <= purged {
            return Looked::Waits;
        }
        match self.raft.trigger().purge_log(upto).await {
            Ok(()) => after,
            Err(_) => Looked::Stopped,
        }
    }

    /// Up to where the log could go: what a restart does not need, nor a follower that is a little behind.
    fn wanted(&mut self) -> Option<u64> {
        let mut durable = self.durable.borrow_and_update().map(|id| id.index);
        if mutant::is(Mutant::PurgeBeforeFlush) {
            durable = self.applied();
        }
        durable.min(self.beyond(self.keep))
    }

    /// Of this, what no follower needs that moves but is further behind, nor one that is getting a snapshot or has just got
    /// one.
    fn allowed(&mut self, wanted: Option<u64>) -> Option<u64> {
        // In this order: what arrives in between is held, or it is asked for the next time.
        let held = self.holds.lowest();
        let arrived = self.holds.take_arrived();
        let state = self.log.state();
        let now = self.clock.now();
        let last = state.last.map_or(0, |last| last.index);
        self.followers
            .look(&self.matched(), &arrived, (wanted, last), now);
        self.board.set_returning(self.followers.returning());
        let marks = Marks {
            purged: state.purged.map(|purged| purged.index),
            wanted,
            bound: self.beyond(KeepLog {
                entries: self.keep.entries.saturating_mul(u64::from(BEHIND_FACTOR)),
                segments: self.keep.segments.saturating_mul(BEHIND_FACTOR),
            }),
        };
        let upto = self.followers.allow(marks, now);
        held.map_or(upto, |held| upto.min(Some(held)))
    }

    /// What each follower is known to have; nothing unless this replica leads.
    fn matched(&self) -> Vec<(ReplicaId, Option<u64>)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let Some(replication) = &metrics.replication else {
            return Vec::new();
        };
        let others = replication.iter().filter(|(id, _)| **id != metrics.id);
        others
            .map(|(id, matched)| (ReplicaId(*id), matched.as_ref().map(|id| id.index)))
            .collect()
    }

    /// The last entry that is not to be kept.
    fn beyond(&self, keep: KeepLog) -> Option<u64> {
        let spare = self.log.state().last?.index.checked_sub(keep.entries);
        let old = self.log.purge_limit(keep.segments).map(|id| id.index);
        spare.max(old)
    }

    fn applied(&self) -> Option<u64> {
        let applied = self.raft.data_metrics().borrow_watched().last_applied;
        applied.map(|id| id.index)
    }

    /// Has openraft look at the newest checkpoint, until it knows of one that has this entry: it purges nothing beyond what
    /// it knows. False if the replica has stopped.
    async fn learn(&self, index: u64) -> bool {
        while self.known() < Some(index) {
            if self.raft.trigger().snapshot().await.is_err() {
                return false;
            }
            // Too late is no matter: it is asked again.
            let _ = self.clock.timeout(ASK_AGAIN, self.knows(index)).await;
        }
        true
    }

    /// Waits until openraft knows of a checkpoint that has this entry, or stops.
    async fn knows(&self, index: u64) {
        let mut metrics = self.raft.data_metrics();
        while self.known() < Some(index) && metrics.changed().await.is_ok() {}
    }

    fn known(&self) -> Option<u64> {
        let known = self.raft.data_metrics().borrow_watched().snapshot;
        known.map(|id| id.index)
    }
}
