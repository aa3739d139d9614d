//! Reads of what was: at a version, from history.
//!
//! What a group wrote up to a version never changes once its last version is that one or higher. So a read at a version needs no
//! round and is the same on every replica; one that has not got so far makes a round, and has then all that was acknowledged
//! when the read came. If the group itself has not got so far, because the version is another group's, the leader writes an entry
//! that makes it skip there: from then on nothing it writes is as low. A follower sends the reader to the leader for that. A group
//! that keeps no history skips nowhere: what is read there would be gone with the next write.

use std::sync::Arc;

use atoll_kv::Command;
use atoll_storage::NotKept;
use atoll_types::Version;
use parking_lot::Mutex;

use super::serve::{Needs, Stand};
use super::{Delivery, Failure, ReadBatch, ReadItem, Reply, Shard};
use crate::shard::reply::{Replies, ReplySlot};
use crate::shard::state::Snapshot;
use crate::shard::write::WriteItem;

impl Stand {
    /// What a read at a version needs.
    pub(super) fn needs_at_version(&self, at: Version) -> Needs {
        if at <= self.snapshot.view.version() {
            Needs::Nothing
        } else {
            Needs::Round
        }
    }
}

impl Shard {
    /// A stand with the rows as they were at a version.
    pub(super) fn stand_at(&self, stand: &Stand, at: Version) -> Result<Stand, NotKept> {
        let snapshot = Snapshot {
            view: stand.snapshot.view.at_version(at, &self.state.index)?,
            ownership: stand.snapshot.ownership.clone(),
        };
        Ok(Stand {
            snapshot: Arc::new(snapshot),
            ..stand.clone()
        })
    }

    /// Why a read at a version cannot be answered, for those that are not tried in another way.
    pub(in crate::shard) fn not_kept(&self, item: &ReadItem, not_kept: NotKept) -> Failure {
        match not_kept {
            NotKept::Compacted { oldest } => Failure::Compacted {
                group: self.state.key,
                asked: item.at.unwrap_or_default(),
                oldest,
                kept: self.state.history().is_some(),
            },
            // Not final, so that whoever asks goes on to another replica.
            NotKept::Unsaid => Failure::Unavailable(format!(
                "this replica of group {} has begun with a checkpoint and does not know yet how far back it can be read: read from another",
                self.state.key.id
            )),
            NotKept::Ahead { newest } => {
                Failure::Internal(format!("the group had reached more than {newest} a moment ago"))
            }
        }
    }

    /// Has the group reach the versions that the reads ask for, and then serves them. All of them were found to be ahead of it. One entry
    /// does for all; a read that asks for too much, or comes too late, has no part in it.
    pub(super) fn serve_after_closing(self: &Arc<Self>, mut batch: ReadBatch, stand: &Stand) {
        if !stand.by_round {
            return self.serve_after_round(batch);
        }
        // Whoever has applied that history is kept knows how to skip; a replica of an older program would take no notice, and
        // give other versions than the others from then on.
        if self.state.history().is_none() {
            let oldest = stand.snapshot.view.version();
            let not_kept = |item: &ReadItem| self.not_kept(item, NotKept::Compacted { oldest });
            let refused = |item: &ReadItem| item.answered(Reply::Failed(not_kept(item)));
            let replies = batch.take().iter().map(refused).collect();
            return self.deliver(replies, &**batch.to());
        }
        let (items, to) = (batch.take(), batch.to().clone());
        let (mut reads, mut refused) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match item.at.and_then(|at| self.refuses_version(at)) {
                Some(failure) => refused.push(item.answered(Reply::Failed(failure))),
                None => reads.push(item),
            }
        }
        self.deliver(refused, &*to);
        let highest = reads.iter().filter_map(|item| item.at).max();
        // Each read looks at its own once more.
        let deadline = reads.iter().map(|item| item.deadline).max();
        let (Some(highest), Some(deadline)) = (highest, deadline) else {
            return;
        };
        let batch = ReadBatch::new(reads, to);
        let closing = Arc::new(Closing {
            shard: self.clone(),
            batch: Mutex::new(Some(batch)),
        });
        let reply = ReplySlot::new(closing, 0);
        self.submit_writes(vec![WriteItem::new(Command::close_at(highest), deadline, reply)]);
    }
}

/// Reads that wait for their group to reach a version.
struct Closing {
    shard: Arc<Shard>,
    batch: Mutex<Option<ReadBatch>>,
}

impl Replies for Closing {
    fn deliver(&self, batch: &mut Vec<Delivery>) {
        let (Some(delivery), Some(reads)) = (batch.pop(), self.batch.lock().take()) else {
            return;
        };
        let failure = match delivery.reply {
            Reply::Written { .. } => return self.shard.serve_closed(reads),
            // Nothing was read, whatever became of the entry.
            Reply::Failed(Failure::Unknown(why)) => Failure::Unavailable(why),
            Reply::Failed(failure) => failure,
            other => Failure::Internal(format!("a group that was to reach a version answered {other:?}")),
        };
        reads.fail(&failure);
    }
}

impl Shard {
    /// Serves reads whose versions this replica, which leads, has reached by an entry that it applied.
    fn serve_closed(self: &Arc<Self>, batch: ReadBatch) {
        let stand = Stand {
            snapshot: Arc::new(self.state.snapshot()),
            since: self.env.clock.now(),
            age_ms: 0,
            by_round: true,
        };
        let newest = stand.snapshot.view.version();
        if batch.items().iter().any(|item| item.at > Some(newest)) {
            let what = format!("the group has reached {newest} and was to reach a higher version");
            return batch.fail(&Failure::Internal(what));
        }
        self.serve(batch, &stand);
    }
}
