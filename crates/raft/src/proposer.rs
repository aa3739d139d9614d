//! One proposer per group, clocked by commits.
//!
//! At most two entries of a group are under way, the second only if it is as large as the first. What
//! arrives meanwhile waits in one bounded queue and becomes the next entry, so batches grow with load
//! and a lone command is proposed at once, without a timer anywhere. Whoever waits is answered from the apply task, an entry at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, Instant, trouble};
use atoll_types::{Outcome, limits};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ProposeError;
use crate::elapsed::Elapsed;
use crate::group::Group;
use crate::types::{EntryData, LeaderId};

/// How often waiting items are looked through for passed deadlines while nothing moves.
const SWEEP: Duration = Duration::from_millis(100);

/// Turns waiting items into entries and results into answers.
pub trait Pack: Send + 'static {
    /// A waiting command with whoever waits for it.
    type Item: Send + 'static;

    /// Commands and bytes the item adds to an entry.
    fn weight(&self, item: &Self::Item) -> (usize, usize);

    /// True if the item's deadline has passed, so that it must not be proposed any more.
    fn expired(&self, item: &Self::Item, now: Instant) -> bool;

    /// The entry's bytes. `elapsed_ms` is what group time moves on by.
    fn pack(&mut self, items: &[Self::Item], elapsed_ms: u32) -> Bytes;

    /// Called once per taken batch: with one outcome per command, in order, or why there is none.
    fn done(&mut self, items: Vec<Self::Item>, result: Result<&[Outcome], ProposeError>);
}

/// Takes commands for a group. Cheap to clone; when the last clone is dropped what waits is answered
/// and the proposer ends.
pub struct Proposer<I>(Arc<Handle<I>>);

impl<I> Clone for Proposer<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Commands and bytes of items.
type Weigh<I> = Box<dyn Fn(&[I]) -> (usize, usize) + Send + Sync>;

/// Closes the queue when the last [`Proposer`] is dropped.
struct Handle<I> {
    shared: Arc<Shared<I>>,
    weight: Weigh<I>,
}

impl<I> Drop for Handle<I> {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

struct Shared<I> {
    queue: Mutex<Queue<I>>,
    wake: Notify,
}

struct Queue<I> {
    items: VecDeque<I>,
    commands: usize,
    bytes: usize,
    under_way: usize,
    /// Commands of the newest entry under way.
    newest: usize,
    closed: bool,
}

impl<I> Queue<I> {
    /// True if the next entry may be proposed. Behind one entry under way it must have grown as large
    /// as that one: otherwise a steady load would settle at three small entries where two large ones
    /// do, and every entry costs a round of messages and a share of a sync on every replica.
    fn has_room(&self) -> bool {
        match self.under_way {
            0 => true,
            n => n < limits::PROPOSER_ENTRIES_MAX && self.commands >= self.newest,
        }
    }
}

impl<I: Send + 'static> Proposer<I> {
    pub(crate) fn start<P: Pack<Item = I>>(env: &Env, group: Group, pack: P) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                items: VecDeque::new(),
                commands: 0,
                bytes: 0,
                under_way: 0,
                newest: 0,
                closed: false,
            }),
            wake: Notify::new(),
        });
        let pack = Arc::new(Mutex::new(pack));
        let weigh = pack.clone();
        let run = Run {
            env: env.clone(),
            group,
            shared: shared.clone(),
            pack,
            elapsed: Elapsed::default(),
            sweep_at: Instant::default(),
        };
        env.spawn.spawn(run.main());
        Self(Arc::new(Handle {
            shared,
            weight: Box::new(move |items| total(&*weigh.lock(), items)),
        }))
    }

    /// Queues items. Gives all of them back if they do not fit: nothing was queued.
    pub fn submit(&self, items: Vec<I>) -> Result<(), Vec<I>> {
        let (commands, bytes) = (self.0.weight)(&items);
        {
            let mut queue = self.0.shared.queue.lock();
            let full = queue.commands + commands > limits::PROPOSER_COMMANDS_MAX
                || queue.bytes + bytes > limits::PROPOSER_BYTES_MAX;
            if full {
                return Err(items);
            }
            queue.commands += commands;
            queue.bytes += bytes;
            queue.items.extend(items);
        }
        self.0.shared.wake.notify_one();
        Ok(())
    }
}

/// Commands and bytes of all items.
fn total<P: Pack>(pack: &P, items: &[P::Item]) -> (usize, usize) {
    items.iter().fold((0, 0), |(commands, bytes), item| {
        let (more_commands, more_bytes) = pack.weight(item);
        (commands + more_commands, bytes + more_bytes)
    })
}

/// What the proposer does next.
enum Next {
    Propose,
    WaitForRoom,
    WaitForItems,
    End,
}

struct Run<P: Pack> {
    env: Env,
    group: Group,
    shared: Arc<Shared<P::Item>>,
    pack: Arc<Mutex<P>>,
    elapsed: Elapsed<LeaderId>,
    /// When waiting items are looked through, if nothing moves until then.
    sweep_at: Instant,
}

impl<P: Pack> Run<P> {
    async fn main(mut self) {
        loop {
            match self.next() {
                Next::Propose => {
                    // Let whoever is about to submit do so: they were woken by the same answers.
                    tokio::task::yield_now().await;
                    self.propose().await;
                }
                Next::WaitForRoom => self.wait_for_room().await,
                Next::WaitForItems => self.shared.wake.notified().await,
                Next::End => return,
            }
        }
    }

    fn next(&self) -> Next {
        let queue = self.shared.queue.lock();
        match (queue.items.is_empty(), queue.has_room()) {
            (false, true) => Next::Propose,
            (false, false) => Next::WaitForRoom,
            (true, _) if queue.closed => Next::End,
            (true, _) => Next::WaitForItems,
        }
    }

    async fn wait_for_room(&mut self) {
        // Whoever submits wakes this task: a wait that began anew each time would never end in a sweep.
        let left = self.sweep_at.since(self.env.clock.now());
        let notified = self.shared.wake.notified();
        if left.is_zero() || self.env.clock.timeout(left, notified).await.is_err() {
            self.sweep();
            self.sweep_at = self.env.clock.now() + SWEEP;
        }
    }

    async fn propose(&mut self) {
        let now = self.env.clock.now();
        self.sweep_at = now + SWEEP;
        let (items, expired, commands) = self.take(now);
        self.give_up(expired);
        if items.is_empty() {
            return;
        }
        let leadership = match self.group.leadership() {
            Ok(leadership) => leadership,
            Err(error) => return self.pack.lock().done(items, Err(error)),
        };
        let elapsed_ms = self.elapsed.pass(leadership, now);
        let payload = self.pack.lock().pack(&items, elapsed_ms);
        {
            let mut queue = self.shared.queue.lock();
            queue.under_way += 1;
            queue.newest = commands;
        }
        let done = Done {
            shared: self.shared.clone(),
            pack: self.pack.clone(),
            items,
        };
        let hook = move |result| done.finish(&result);
        trouble::pause("proposer: packed, not proposed").await;
        self.group.write(EntryData::new(payload), leadership, hook).await;
    }

    /// The next entry's items, those whose deadline has passed, and how many commands the entry has.
    fn take(&self, now: Instant) -> (Vec<P::Item>, Vec<P::Item>, usize) {
        let pack = self.pack.lock();
        let mut queue = self.shared.queue.lock();
        let (mut taken, mut expired) = (Vec::new(), Vec::new());
        let (mut commands, mut bytes) = (0, 0);
        while let Some(item) = queue.items.front() {
            let (item_commands, item_bytes) = pack.weight(item);
            let full = commands + item_commands > limits::ENTRY_COMMANDS_MAX
                || bytes + item_bytes > limits::ENTRY_PACK_BYTES;
            if full && !taken.is_empty() {
                break;
            }
            queue.commands -= item_commands;
            queue.bytes -= item_bytes;
            let Some(item) = queue.items.pop_front() else {
                break;
            };
            if pack.expired(&item, now) {
                expired.push(item);
                continue;
            }
            commands += item_commands;
            bytes += item_bytes;
            taken.push(item);
        }
        (taken, expired, commands)
    }

    /// Answers items that waited too long behind entries that do not move.
    fn sweep(&self) {
        let now = self.env.clock.now();
        let expired = self.take_expired(now);
        self.give_up(expired);
    }

    fn take_expired(&self, now: Instant) -> Vec<P::Item> {
        let pack = self.pack.lock();
        let mut queue = self.shared.queue.lock();
        let waiting = std::mem::take(&mut queue.items);
        let (expired, kept): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|item| pack.expired(item, now));
        let (commands, bytes) = total(&*pack, &expired);
        queue.commands -= commands;
        queue.bytes -= bytes;
        queue.items = kept.into();
        expired
    }

    fn give_up(&self, expired: Vec<P::Item>) {
        if !expired.is_empty() {
            self.pack.lock().done(expired, Err(ProposeError::Deadline));
        }
    }
}

/// The items of one entry under way.
struct Done<P: Pack> {
    shared: Arc<Shared<P::Item>>,
    pack: Arc<Mutex<P>>,
    items: Vec<P::Item>,
}

impl<P: Pack> Done<P> {
    fn finish(self, result: &Result<Vec<Outcome>, ProposeError>) {
        let result = match result {
            Ok(outcomes) => Ok(outcomes.as_slice()),
            Err(error) => Err(error.clone()),
        };
        self.pack.lock().done(self.items, result);
        self.shared.queue.lock().under_way -= 1;
        self.shared.wake.notify_one();
    }
}
