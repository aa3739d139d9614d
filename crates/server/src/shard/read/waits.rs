//! Session reads that wait until this replica has applied what their session has seen.
//!
//! One task per replica follows apply while anybody waits, and looks after all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_env::{Env, Instant, watch};
use parking_lot::Mutex;

use super::{Failure, RETRY_AFTER_MS, ReadBatch, Shard};

/// Reads waiting on one replica, at most.
pub(in crate::shard) const WAITING_MAX: usize = 16 * 1024;

/// So much before its deadline a read is refused, for the refusal to arrive in time.
const ANSWER_TIME: Duration = Duration::from_millis(10);

/// Who waits for which entry.
#[derive(Default)]
pub(crate) struct Waits(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    /// By the entry they need and the order in which they came.
    batches: BTreeMap<(u64, u64), ReadBatch>,
    came: u64,
    reads: usize,
    /// True while the task runs.
    watched: bool,
}

impl Queue {
    /// True if the caller must start the task.
    fn add(&mut self, index: u64, batch: ReadBatch) -> Result<bool, ReadBatch> {
        if self.reads + batch.items().len() > WAITING_MAX {
            return Err(batch);
        }
        self.reads += batch.items().len();
        self.came += 1;
        self.batches.insert((index, self.came), batch);
        Ok(!std::mem::replace(&mut self.watched, true))
    }

    /// Those who need nothing beyond entry `applied`.
    fn take_reached(&mut self, applied: u64) -> Vec<ReadBatch> {
        let waiting = self.batches.split_off(&(applied.saturating_add(1), 0));
        let reached = std::mem::replace(&mut self.batches, waiting);
        let reached: Vec<ReadBatch> = reached.into_values().collect();
        self.reads -= reached.iter().map(|batch| batch.items().len()).sum::<usize>();
        reached
    }

    /// Those who have given up by `now`, with the entry they needed.
    fn take_late(&mut self, now: Instant) -> Vec<(u64, ReadBatch)> {
        let mut late = Vec::new();
        for ((index, _), batch) in &mut self.batches {
            late.extend(batch.split_late(now).map(|batch| (*index, batch)));
        }
        self.reads -= late.iter().map(|(_, batch)| batch.items().len()).sum::<usize>();
        self.batches.retain(|_, batch| !batch.items().is_empty());
        late
    }

    fn first_deadline(&self) -> Option<Instant> {
        self.batches.values().filter_map(ReadBatch::first_deadline).min()
    }
}

impl Shard {
    /// Serves `batch` once entry `index` is applied here.
    pub(super) fn wait_for_entry(self: &Arc<Self>, index: u64, batch: ReadBatch) {
        let added = self.waits.0.lock().add(index, batch);
        match added {
            Ok(true) => {
                let applied = self.group.watch_applied();
                let watching = follow(self.env.clone(), applied, Arc::downgrade(self));
                // Ends when nobody waits any more.
                drop(self.env.spawn.spawn(watching));
            }
            Ok(false) => {}
            Err(batch) => {
                return batch.fail(&Failure::Overloaded {
                    what: "too many session reads wait for this replica",
                    retry_after_ms: RETRY_AFTER_MS,
                });
            }
        }
        // What a leader has committed it tells its followers with its next message; a round makes it
        // send one now instead of at the next heartbeat.
        self.reads.submit(Box::new(|_| ()));
    }

    /// Serves who can be served and refuses who has waited long enough; returns when to look again at
    /// the latest, `None` if nobody waits any more.
    fn look_after_waiting(self: &Arc<Self>) -> Option<Instant> {
        let applied = self.state.applied_index();
        let (reached, late, until) = {
            let mut queue = self.waits.0.lock();
            let reached = queue.take_reached(applied);
            let late = queue.take_late(self.env.clock.now() + ANSWER_TIME);
            let until = queue.first_deadline().map(|deadline| deadline - ANSWER_TIME);
            queue.watched = until.is_some();
            (reached, late, until)
        };
        for batch in reached {
            self.submit_reads(batch);
        }
        for (index, batch) in late {
            batch.fail(&Failure::Unavailable(format!(
                "the session has seen entry {index} of group {}, this replica has applied {applied} only: read from \
                 another replica, or wait longer",
                self.state.key.id
            )));
        }
        until
    }
}

async fn follow(env: Env, mut applied: watch::Receiver<u64>, shard: Weak<Shard>) {
    loop {
        // Seen before looking, so that an entry applied meanwhile ends the wait below.
        let _next = *applied.borrow_and_update();
        let Some(shard) = shard.upgrade() else { return };
        let Some(until) = shard.look_after_waiting() else {
            return;
        };
        let limit = until.since(env.clock.now());
        drop(shard);
        if let Ok(Err(_closed)) = env.clock.timeout(limit, applied.changed()).await {
            break;
        }
    }
    // The group has stopped: a dropped batch answers.
    if let Some(shard) = shard.upgrade() {
        let left = std::mem::take(&mut *shard.waits.0.lock());
        drop(left);
    }
}
