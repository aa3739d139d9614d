//! Reads: one read point per batch, one snapshot per batch, ownership judged in that snapshot.
//!
//! A linearizable read waits until this replica has applied everything acknowledged before the read
//! came, takes the rows and the ownership of one log index, and answers from them: that is
//! linearizable on any replica, also while slots move (D8). What the page cache does not hold, and
//! pages too long for a task that others wait behind, go to the node's bounded pool, with the same
//! snapshot pinned.

use std::sync::Arc;

use atoll_env::Instant;
use atoll_types::{Epoch, SlotId};
use bytes::Bytes;

use super::Shard;
use super::counters::Counters;
use super::fetch::{Fetch, Miss};
use super::reply::{Delivery, Failure, RETRY_AFTER_MS, Replies, Reply};
use super::state::Snapshot;

/// Rows a read may touch on the group's read task; more go to the pool.
const ROWS_INLINE_MAX: usize = 256;

/// What is promised about a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// Sees every write acknowledged before it.
    Linearizable,
    /// Some committed state, at once.
    Eventual,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadOp {
    /// One key.
    Get { key: Bytes, slot: SlotId },
    /// Several keys of this group.
    MultiGet { keys: Vec<(Bytes, SlotId)> },
    /// A page of `[start, end)` (an empty end has no bound) in key order.
    Scan {
        start: Bytes,
        end: Bytes,
        limit: usize,
        reverse: bool,
        keys_only: bool,
    },
}

impl ReadOp {
    fn rows_max(&self) -> usize {
        match self {
            Self::Get { .. } => 1,
            Self::MultiGet { keys } => keys.len(),
            Self::Scan { limit, .. } => *limit,
        }
    }
}

/// One read with the name its caller gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadItem {
    pub(crate) id: u64,
    /// Bytes it counts for while it is pending.
    pub(crate) cost: u32,
    /// Not started any more after this.
    pub(crate) deadline: Instant,
    pub(crate) consistency: Consistency,
    /// The replica must know at least this epoch of the slots read.
    pub(crate) slot_epoch: Epoch,
    pub(crate) op: ReadOp,
}

impl ReadItem {
    /// Bytes the read counts for while it waits.
    pub(crate) fn cost_of(op: &ReadOp) -> u32 {
        let bytes = match op {
            ReadOp::Get { key, .. } => key.len(),
            ReadOp::MultiGet { keys } => keys.iter().map(|(key, _)| key.len()).sum(),
            ReadOp::Scan { start, end, .. } => start.len() + end.len(),
        };
        bytes as u32
    }
}

/// The reads that one frame has for one group. Dropped with reads left, it answers them.
pub(crate) struct ReadBatch {
    items: Vec<ReadItem>,
    to: Arc<dyn Replies>,
}

impl ReadBatch {
    /// Reads whose replies go to `to`.
    pub(crate) fn new(items: Vec<ReadItem>, to: Arc<dyn Replies>) -> Self {
        Self { items, to }
    }

    fn take(&mut self) -> Vec<ReadItem> {
        std::mem::take(&mut self.items)
    }

    fn fail(mut self, failure: &Failure) {
        let items = self.take();
        deliver_failure(&items, failure, &*self.to);
    }

    /// Splits off what needs no read point.
    fn split_eventual(&mut self) -> Option<Self> {
        let is_eventual = |item: &ReadItem| item.consistency == Consistency::Eventual;
        if !self.items.iter().any(is_eventual) {
            return None;
        }
        let (eventual, rest) = self.take().into_iter().partition(is_eventual);
        self.items = rest;
        Some(Self {
            items: eventual,
            to: self.to.clone(),
        })
    }
}

impl Drop for ReadBatch {
    fn drop(&mut self) {
        let failure = Failure::Unavailable("the read was dropped before it was done".into());
        deliver_failure(&self.items, &failure, &*self.to);
    }
}

fn deliver_failure(items: &[ReadItem], failure: &Failure, to: &dyn Replies) {
    if items.is_empty() {
        return;
    }
    let failed = |item: &ReadItem| Delivery {
        id: item.id,
        cost: item.cost,
        reply: Reply::Failed(failure.clone()),
    };
    to.deliver(&mut items.iter().map(failed).collect());
}

impl Shard {
    /// Answers every read of the batch, sooner or later. Never blocks.
    pub(crate) fn submit_reads(self: &Arc<Self>, mut batch: ReadBatch) {
        if let Some(eventual) = batch.split_eventual() {
            // How far behind this replica is can only be bounded by a read index round of its own.
            self.serve(eventual, u64::MAX);
        }
        if batch.items.is_empty() {
            return;
        }
        Counters::add(&self.counters.read_batches, 1);
        let shard = self.clone();
        self.reads.submit(Box::new(move |point| match point {
            Ok(_) => shard.serve(batch, 0),
            Err(error) => batch.fail(&Failure::of_read(shard.state.key, &error)),
        }));
    }

    /// Reads everything from one snapshot.
    fn serve(self: &Arc<Self>, mut batch: ReadBatch, age_ms: u64) {
        let snapshot = Arc::new(self.state.snapshot());
        let now = self.env.clock.now();
        let items = batch.take();
        Counters::add(&self.counters.reads, items.len());
        let mut replies = Vec::with_capacity(items.len());
        for item in items {
            let tried = if item.op.rows_max() > ROWS_INLINE_MAX {
                Err(Miss::Cold)
            } else {
                self.fetch(&snapshot, age_ms, false).run(&item, now)
            };
            match tried {
                Ok(reply) => replies.push(Delivery {
                    id: item.id,
                    cost: item.cost,
                    reply,
                }),
                Err(Miss::Failed(failure)) => {
                    replies.push(Delivery {
                        id: item.id,
                        cost: item.cost,
                        reply: Reply::Failed(failure),
                    });
                }
                Err(Miss::Cold | Miss::Corrupt(_)) => self.serve_cold(item, &batch.to, &snapshot, age_ms),
            }
        }
        if !replies.is_empty() {
            batch.to.deliver(&mut replies);
        }
    }

    /// Does the whole read again where it may wait for a disk. The snapshot is the same, so what was
    /// found out about it stays true.
    fn serve_cold(
        self: &Arc<Self>,
        item: ReadItem,
        to: &Arc<dyn Replies>,
        snapshot: &Arc<Snapshot>,
        age_ms: u64,
    ) {
        Counters::add(&self.counters.cold_reads, 1);
        let (shard, snapshot) = (self.clone(), snapshot.clone());
        let single = ReadBatch::new(vec![item], to.clone());
        // Whoever gets the job also gets the duty to answer; the batch answers if the job is dropped.
        let handed = Arc::new(parking_lot::Mutex::new(Some(single)));
        let taken = handed.clone();
        let job = Box::new(move || {
            if let Some(single) = taken.lock().take() {
                shard.run_cold(single, &snapshot, age_ms);
            }
        });
        if self.pool.submit(job).is_err()
            && let Some(single) = handed.lock().take()
        {
            let what = "too many reads wait for the disk";
            single.fail(&Failure::Overloaded {
                what,
                retry_after_ms: RETRY_AFTER_MS,
            });
        }
    }

    fn run_cold(&self, mut single: ReadBatch, snapshot: &Snapshot, age_ms: u64) {
        let now = self.env.clock.now();
        let mut replies: Vec<Delivery> = Vec::with_capacity(1);
        for item in single.take() {
            let mut tried = self.fetch(snapshot, age_ms, true).run(&item, now);
            if let Err(Miss::Corrupt(_)) = tried {
                // Once more from a fresh view, before anything is called rotten (D16).
                tried = self.fetch(&self.state.snapshot(), age_ms, true).run(&item, now);
            }
            let reply = tried.unwrap_or_else(|miss| Reply::Failed(miss.into_failure()));
            replies.push(Delivery {
                id: item.id,
                cost: item.cost,
                reply,
            });
        }
        single.to.deliver(&mut replies);
    }

    fn fetch<'a>(&'a self, snapshot: &'a Snapshot, age_ms: u64, may_block: bool) -> Fetch<'a> {
        Fetch {
            state: &self.state,
            journal: &self.journal,
            snapshot,
            age_ms,
            may_block,
        }
    }
}
