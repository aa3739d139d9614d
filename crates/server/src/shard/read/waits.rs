//! Session reads that wait until this replica has applied what their session has seen.
//!
//! One task per replica follows apply while anybody waits, and looks after all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_env::{Env, Instant, watch};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Failure, RETRY_AFTER_MS, ReadBatch, Shard};

/// Reads waiting on one replica, at most.
pub(in crate::shard) const WAITING_MAX: usize = 16 * 1024;

/// How long a read waits, whatever its deadline: nothing tells when its caller is gone, and a mark that
/// is never reached must not hold its place for long.
pub(in crate::shard) const WAIT_MAX: Duration = Duration::from_secs(60);

/// So much before its deadline a read is refused, for the refusal to arrive in time.
const ANSWER_TIME: Duration = Duration::from_millis(10);

/// Who waits for which entry.
#[derive(Default)]
pub(crate) struct Waits {
    queue: Mutex<Queue>,
    /// Makes the task look although nothing was applied since it looked last.
    look: Arc<Notify>,
}

#[derive(Default)]
struct Queue {
    /// By the entry they need and the order in which they came.
    batches: BTreeMap<(u64, u64), ReadBatch>,
    came: u64,
    reads: usize,
    /// None of them gives up before this; set while the task runs.
    gives_up: Option<Instant>,
}

/// What whoever adds a batch has to do.
#[derive(PartialEq, Eq)]
enum Added {
    /// Start the task.
    First,
    /// Wake it: it would sleep until after this batch gives up.
    GivesUpFirst,
    Later,
}

impl Queue {
    fn add(&mut self, index: u64, batch: ReadBatch) -> Result<Added, ReadBatch> {
        let deadline = batch.first_deadline();
        if self.reads + batch.items().len() > WAITING_MAX {
            return Err(batch);
        }
        self.reads += batch.items().len();
        self.came += 1;
        self.batches.insert((index, self.came), batch);
        let added = match self.gives_up {
            None => Added::First,
            Some(known) if deadline.is_some_and(|deadline| deadline < known) => Added::GivesUpFirst,
            Some(_) => return Ok(Added::Later),
        };
        self.gives_up = deadline;
        Ok(added)
    }

    /// Those who need nothing beyond entry `applied`.
    fn take_reached(&mut self, applied: u64) -> Vec<ReadBatch> {
        let waiting = self.batches.split_off(&(applied.saturating_add(1), 0));
        let reached = std::mem::replace(&mut self.batches, waiting);
        let reached: Vec<ReadBatch> = reached.into_values().collect();
        self.reads -= reached.iter().map(|batch| batch.items().len()).sum::<usize>();
        reached
    }

    /// Those who have given up by `now`, with the entry they needed. Free while it is nobody's time.
    fn take_late(&mut self, now: Instant) -> Vec<(u64, ReadBatch)> {
        let mut late = Vec::new();
        if self.gives_up.is_some_and(|first| first <= now) {
            for ((index, _), batch) in &mut self.batches {
                late.extend(batch.split_late(now).map(|batch| (*index, batch)));
            }
            self.reads -= late.iter().map(|(_, batch)| batch.items().len()).sum::<usize>();
            self.batches.retain(|_, batch| !batch.items().is_empty());
            self.gives_up = self.batches.values().filter_map(ReadBatch::first_deadline).min();
        }
        if self.batches.is_empty() {
            self.gives_up = None;
        }
        late
    }
}

impl Shard {
    /// Serves `batch` once entry `index` is applied here.
    pub(in crate::shard) fn wait_for_entry(self: &Arc<Self>, index: u64, mut batch: ReadBatch) {
        batch.give_up_by(self.env.clock.now() + WAIT_MAX);
        let added = self.waits.queue.lock().add(index, batch);
        match added {
            Ok(Added::First) => {
                let (applied, look) = (self.group.watch_applied(), self.waits.look.clone());
                let watching = follow(self.env.clone(), applied, look, Arc::downgrade(self));
                // Ends when nobody waits any more.
                drop(self.env.spawn.spawn(watching));
            }
            // It may have been applied since the batch found it missing, and the task have looked before
            // the batch was there.
            Ok(added) if added == Added::GivesUpFirst || index <= self.state.applied_index() => {
                self.waits.look.notify_one();
            }
            Ok(_) => {}
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
            let mut queue = self.waits.queue.lock();
            let reached = queue.take_reached(applied);
            let late = queue.take_late(self.env.clock.now() + ANSWER_TIME);
            (reached, late, queue.gives_up.map(|first| first - ANSWER_TIME))
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

async fn follow(env: Env, mut applied: watch::Receiver<u64>, look: Arc<Notify>, shard: Weak<Shard>) {
    loop {
        // Seen before looking, so that an entry applied meanwhile ends the wait below.
        let _next = *applied.borrow_and_update();
        let Some(shard) = shard.upgrade() else { return };
        let Some(until) = shard.look_after_waiting() else {
            return;
        };
        drop(shard);
        tokio::select! {
            biased;
            changed = applied.changed() => if changed.is_err() { break },
            () = look.notified() => {}
            () = env.clock.sleep_until(until) => {}
        }
    }
    // The group has stopped: a dropped batch answers.
    if let Some(shard) = shard.upgrade() {
        let left = std::mem::take(&mut *shard.waits.queue.lock());
        drop(left);
    }
}
