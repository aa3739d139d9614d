//! The thread that writes: one that flushes and one that merges, in turns.
//!
//! Both are futures of one thread, as is a third one that lets go of what nobody needs, also while a merge takes long or fails. A merge gives way every few hundred kilobytes, so a checkpoint never waits for a merge
//! to end, neither of its own group nor of another; a merge waits while a flush writes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Instant;

use super::group::GroupStore;
use super::maintenance::Shared;
use super::planner::Urgency;
use crate::store::merging::work::Work;
use crate::store::space::room::Room;

/// How long to wait before what failed is tried again; twice as long after every failure in a row.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The same if there was no room, which may be there again any time.
const RETRY_MAX_FULL: Duration = Duration::from_secs(8);
/// How often to look whether the journal holds too much.
const LOOK: Duration = Duration::from_secs(1);

/// When to try again.
#[derive(Clone, Copy)]
pub(super) struct Retry {
    at: Instant,
    wait: Duration,
    /// It is not that something went wrong, there was no room.
    full: bool,
}

impl Retry {
    /// After another failure in a row.
    pub(super) fn after(last: Option<Self>, now: Instant) -> Self {
        let wait = last.map_or(RETRY, |last| (last.wait * 2).min(RETRY_MAX));
        Self {
            at: now + wait,
            wait,
            full: false,
        }
    }

    /// The same, but no later than after so long.
    fn at_latest(self, longest: Duration, now: Instant) -> Self {
        let wait = self.wait.min(longest);
        Self {
            at: now + wait,
            wait,
            ..self
        }
    }

    /// How long to wait.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }
}

/// Before what failed so is tried again.
fn longest_wait(error: &io::Error) -> Duration {
    match error.kind() {
        io::ErrorKind::StorageFull => RETRY_MAX_FULL,
        _ => RETRY_MAX,
    }
}

pub(super) async fn run(shared: Arc<Shared>) {
    tokio::join!(flush(&shared), merge(&shared), tidy(&shared));
    shared.queue.lock().groups.clear();
    shared.ended.send_replace(true);
}

async fn flush(shared: &Shared) {
    while !shared.is_closing() {
        let Some(group) = shared.next_to_flush() else {
            shared.wait_to_flush().await;
            continue;
        };
        let flushed = group.flush().await;
        group.clean().await;
        match flushed {
            Ok(()) => {
                // It may be whoever takes a snapshot in that could not change a name.
                group
                    .halt_if_broken(&io::Error::other("a change of names failed"))
                    .await;
                *group.0.flush_retry.lock() = None;
                shared.look_soon();
            }
            Err(error) => {
                group.halt_if_broken(&error).await;
                let retry = group.put_off_flush();
                tracing::error!(group = %group.0.key, %error, retry_in = ?retry.wait, "a checkpoint failed");
                shared.enqueue(group);
            }
        }
    }
}

async fn tidy(shared: &Shared) {
    loop {
        shared.tidy.notified().await;
        if shared.is_closing() {
            return;
        }
        for group in shared.open_groups() {
            // What fails is told there, and tried again.
            let _ = group.tidy().await;
        }
    }
}

async fn merge(shared: &Shared) {
    while !shared.is_closing() {
        // What comes from here on is looked at again.
        shared.queue.lock().merging = true;
        if let Some((group, work)) = shared.next_to_merge().await {
            group.do_work(work).await;
            continue;
        }
        shared.queue.lock().merging = shared.retries_soon();
        let _ = shared.env.clock.timeout(LOOK, shared.look.notified()).await;
    }
}

impl Shared {
    fn next_to_flush(&self) -> Option<GroupStore> {
        let now = self.env.clock.now();
        let mut queue = self.queue.lock();
        // One whose last attempt failed holds up no other.
        let due = |group: &GroupStore| group.flush_again_at().is_none_or(|at| at <= now);
        let next = queue.groups.iter().position(due);
        let next = next.and_then(|next| queue.groups.remove(next));
        queue.flushing = next.is_some();
        next
    }

    /// Until something comes to be flushed, or what failed is to be tried again, or the node stops.
    async fn wait_to_flush(&self) {
        let waiting: Vec<_> = self.queue.lock().groups.iter().cloned().collect();
        let next = waiting.iter().filter_map(GroupStore::flush_again_at).min();
        match next {
            Some(at) => {
                let wait = at.since(self.env.clock.now());
                let _ = self.env.clock.timeout(wait, self.work.notified()).await;
            }
            None => self.work.notified().await,
        }
    }

    /// The most urgent work of all groups.
    async fn next_to_merge(&self) -> Option<(GroupStore, Work)> {
        let need = self.need();
        let mut most_urgent: Option<(Urgency, GroupStore, Work)> = None;
        for group in self.open_groups() {
            group.press(need);
            if !group.may_work() {
                continue;
            }
            if !group.tidy().await {
                // Nothing that a merge has to change can be changed.
                continue;
            }
            let Some((urgency, work)) = group.work(need).await else {
                continue;
            };
            if most_urgent.as_ref().is_none_or(|(most, ..)| urgency < *most) {
                most_urgent = Some((urgency, group, work));
            }
        }
        most_urgent.map(|(_, group, work)| (group, work))
    }

    /// Something went wrong and is tried again.
    fn retries_soon(&self) -> bool {
        let groups = self.open_groups();
        groups.iter().any(|group| {
            let space = &group.0.space;
            space.retry.lock().is_some_and(|retry| !retry.full) || space.tidy_retry.lock().is_some()
        })
    }
}

impl GroupStore {
    /// Notes that there will be another attempt.
    fn put_off_flush(&self) -> Retry {
        let mut retry = self.0.flush_retry.lock();
        let next = Retry::after(*retry, self.0.node.env.clock.now());
        *retry = Some(next);
        next
    }

    fn flush_again_at(&self) -> Option<Instant> {
        self.0.flush_retry.lock().map(|retry| retry.at)
    }

    /// False until a failed attempt is to be tried again.
    fn may_work(&self) -> bool {
        let retry = *self.0.space.retry.lock();
        retry.is_none_or(|retry| retry.at <= self.0.node.env.clock.now())
    }

    /// Lets go of what nobody needs. `false` if that failed, now or lately: until it is tried again, nothing is. That is
    /// a wait of its own: merges may fail for long over something that has no part in this.
    async fn tidy(&self) -> bool {
        let last = *self.0.space.tidy_retry.lock();
        if last.is_some_and(|retry| retry.at > self.now()) {
            return false;
        }
        let Err(error) = self.let_go().await else {
            *self.0.space.tidy_retry.lock() = None;
            return true;
        };
        self.halt_if_broken(&error).await;
        let retry = Retry::after(last, self.now()).at_latest(longest_wait(&error), self.now());
        *self.0.space.tidy_retry.lock() = Some(retry);
        tracing::warn!(
            group = %self.0.key,
            %error,
            retry_in = ?retry.wait,
            "what a group needs no more could not be let go of"
        );
        false
    }

    async fn let_go(&self) -> io::Result<()> {
        self.forget_installed().await?;
        self.drop_value_files().await?;
        self.clean().await;
        Ok(())
    }

    /// Merges, and removes what that left behind.
    async fn do_work(&self, work: Work) {
        let merged = self.merge(work).await;
        self.clean().await;
        match merged {
            Ok(()) => {
                *self.0.space.retry.lock() = None;
                self.note_done();
            }
            Err(_) if self.0.node.is_closing() => {}
            Err(error) => self.put_off(&error).await,
        }
    }

    async fn put_off(&self, error: &io::Error) {
        self.halt_if_broken(error).await;
        if error.kind() == io::ErrorKind::StorageFull {
            self.note_full();
        }
        let wait = self.try_again(longest_wait(error), false);
        tracing::error!(group = %self.0.key, %error, retry_in = ?wait, "a merge failed");
    }

    /// Notes that there will be another attempt; in how long.
    fn try_again(&self, longest: Duration, full: bool) -> Duration {
        let mut retry = self.0.space.retry.lock();
        let now = self.0.node.env.clock.now();
        let next = Retry {
            full,
            ..Retry::after(*retry, now).at_latest(longest, now)
        };
        *retry = Some(next);
        next.wait
    }

    /// There is room for what is to be done, or for a part of it.
    pub(super) fn note_room(&self) {
        self.0.space.retry.lock().take_if(|retry| retry.full);
    }

    /// There is no room for any part of what is to be done. A disk that is full in the middle of a merge would be so for
    /// everybody.
    pub(super) fn put_off_for_room(&self, work: &Work, room: Room) {
        let wait = self.try_again(RETRY_MAX_FULL, true);
        tracing::warn!(
            group = %self.0.key,
            kind = work.plan.kind.name(),
            needed = work.bytes(),
            free = room.free,
            retry_in = ?wait,
            "there is no room on the disk for a merge"
        );
    }

    /// A retry would be refused for ever, quietly, while memory grows. A start finds out what the disk has.
    async fn halt_if_broken(&self, error: &io::Error) {
        if self.is_broken().await {
            let key = self.0.key;
            let reason = format!("what the disk has of group {key} cannot be told: {error}");
            self.0.node.env.halt.now(&reason).await;
        }
    }
}
