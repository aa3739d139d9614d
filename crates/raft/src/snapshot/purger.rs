//! Purges one group's log as its checkpoints become durable.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Clock, trouble, watch};
use atoll_storage::GroupLog;
use atoll_types::{LogId, Mutant, mutant};
use openraft::async_runtime::WatchReceiver;
use tokio::sync::Notify;

use super::Holds;
use crate::KeepLog;
use crate::group::Raft;

/// openraft builds one snapshot at a time and forgets that it was asked for another meanwhile: it is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The task that purges.
pub(crate) struct Purger {
    pub(crate) raft: Raft,
    pub(crate) log: GroupLog,
    pub(crate) clock: Clock,
    pub(crate) durable: watch::Receiver<Option<LogId>>,
    pub(crate) holds: Arc<Holds>,
    /// What of the log stays.
    pub(crate) keep: KeepLog,
    /// Somebody wants the log to be looked at although no checkpoint is new.
    pub(crate) look: Arc<Notify>,
}

impl Purger {
    /// Runs until the replica stops or its machine is gone.
    pub(crate) async fn run(mut self) {
        loop {
            if !self.purge().await {
                return;
            }
            tokio::select! {
                biased;
                changed = self.durable.changed() => if changed.is_err() { return },
                () = self.look.notified() => {}
            }
        }
    }

    /// False if the replica has stopped.
    async fn purge(&mut self) -> bool {
        let Some(upto) = self.upto() else { return true };
        if self.log.state().purged.is_some_and(|purged| purged.index >= upto) {
            return true;
        }
        trouble::pause("raft: before a log is purged").await;
        // It only marks up to where; a leader purges once no follower is being sent what would go.
        self.learn(upto).await && self.raft.trigger().purge_log(upto).await.is_ok()
    }

    /// Up to where the log may go: what a restart does not need, nor a snapshot under way, nor a follower that is a little
    /// behind.
    fn upto(&mut self) -> Option<u64> {
        let mut durable = self.durable.borrow_and_update().map(|id| id.index);
        if mutant::is(Mutant::PurgeBeforeFlush) {
            durable = self.applied();
        }
        let upto = durable?.min(self.spare()?);
        Some(self.holds.lowest().map_or(upto, |held| held.min(upto)))
    }

    /// The last entry that no follower which is a little behind needs.
    fn spare(&self) -> Option<u64> {
        let spare = self.log.state().last?.index.checked_sub(self.keep.entries);
        let old = self.log.purge_limit(self.keep.segments).map(|id| id.index);
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
