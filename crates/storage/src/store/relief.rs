//! Which group checkpoints first when the rows of all groups together take too much memory.
//!
//! Half of what rows may take is for memories that are written to, and half for what is being written to runs meanwhile. When the
//! first half is used up, the group with the most bytes in it is *chosen*: it checkpoints next, however little that is. There is one chosen
//! group at a time, so that a slow disk does not make everybody checkpoint what they have: many small runs free as little as
//! a few, and cost merges. Only whoever applies a group's log can freeze its rows, between two entries. A chosen group that
//! just has an entry does so at once; others are called ([`Store::called`](super::Store::called)). One that does not answer for a
//! while, because its replica has stopped, is left out, and the next one is chosen.
//!
//! Asked after every entry of every group: one comparison while there is room. And once a second besides
//! ([`Store::relieve`](super::Store::relieve)): where writes are refused because there is far too much, no entry comes to ask.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_env::Instant;
use atoll_types::GroupKey;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::group::GroupStore;

/// How long a chosen group is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much memory rows take that are not in a run yet, of all groups of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowMemory {
    /// Bytes now, about.
    pub bytes: usize,
    /// [`StoreOptions::row_memory`](super::StoreOptions::row_memory).
    pub limit: usize,
}

/// One group, as the choice sees it.
#[derive(Debug)]
pub(super) struct Member {
    key: GroupKey,
    /// Bytes of its rows that are not frozen, about, after its last entry.
    bytes: AtomicUsize,
    /// Something of it is frozen, so it cannot checkpoint now.
    busy: Arc<AtomicBool>,
    chosen: AtomicBool,
}

impl Member {
    pub(super) fn new(key: GroupKey, busy: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            key,
            bytes: AtomicUsize::new(0),
            busy,
            chosen: AtomicBool::new(false),
        })
    }

    /// Its rows that are not frozen take so much.
    pub(super) fn note(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// It must checkpoint.
    pub(super) fn is_chosen(&self) -> bool {
        self.chosen.load(Ordering::Relaxed)
    }

    /// It has no rows that are not frozen: a checkpoint has begun, or a snapshot has come into their place.
    pub(super) fn begins_anew(&self) {
        self.note(0);
        self.chosen.store(false, Ordering::Relaxed);
    }

    fn can_be_chosen(&self) -> bool {
        let is_busy = self.busy.load(Ordering::Relaxed);
        !is_busy && !self.is_chosen() && self.bytes.load(Ordering::Relaxed) > 0
    }
}

/// The choice among the groups of a node.
#[derive(Default)]
pub(super) struct Relief {
    choice: Mutex<Choice>,
    wake: Notify,
}

#[derive(Default)]
struct Choice {
    members: Vec<Weak<Member>>,
    /// Who was chosen last, and when.
    last: Option<(Weak<Member>, Instant)>,
    /// Chosen ones that have to be told.
    called: VecDeque<GroupKey>,
}

impl Relief {
    /// A group takes part until its last handle is gone.
    pub(super) fn join(&self, member: &Arc<Member>) {
        let mut choice = self.choice.lock();
        choice.members.retain(|member| member.strong_count() > 0);
        choice.members.push(Arc::downgrade(member));
    }

    /// There is too much: chooses a group, unless the one chosen before is still to checkpoint. True if it is the one that
    /// asks.
    pub(super) fn choose(&self, asks: &Arc<Member>, now: Instant) -> bool {
        self.choose_for(Some(asks), now);
        asks.is_chosen()
    }

    /// The same, asked by none of them.
    pub(super) fn choose_for(&self, asks: Option<&Arc<Member>>, now: Instant) {
        let mut choice = self.choice.lock();
        if let Some((last, since)) = &choice.last
            && last.upgrade().is_some_and(|last| last.is_chosen())
            && now.since(*since) < PATIENCE
        {
            return;
        }
        let able = choice.members.iter().filter_map(Weak::upgrade);
        let able = able.filter(|member| member.can_be_chosen());
        let Some(largest) = able.max_by_key(|member| member.bytes.load(Ordering::Relaxed)) else {
            return;
        };
        largest.chosen.store(true, Ordering::Relaxed);
        choice.last = Some((Arc::downgrade(&largest), now));
        if !asks.is_some_and(|asks| Arc::ptr_eq(&largest, asks)) {
            choice.called.push_back(largest.key);
            self.wake.notify_one();
        }
    }

    /// The next group that was chosen and has to be told. For one caller.
    pub(super) async fn called(&self) -> GroupKey {
        loop {
            if let Some(key) = self.choice.lock().called.pop_front() {
                return key;
            }
            self.wake.notified().await;
        }
    }
}

impl GroupStore {
    /// True if the group must checkpoint because the rows of all groups take too much memory.
    pub(super) fn is_chosen(&self) -> bool {
        let node = &self.0.node;
        self.0.member.is_chosen()
            || node.rows_are_many() && node.relief.choose(&self.0.member, node.env.clock.now())
    }

    /// How much memory the rows of all groups of the node take.
    pub fn row_memory(&self) -> RowMemory {
        self.0.node.row_memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_types::{GroupGen, GroupId};

    fn member(id: u64, bytes: usize) -> Arc<Member> {
        let member = Member::new(GroupKey::new(GroupId(id), GroupGen(1)), Arc::default());
        member.note(bytes);
        member
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn called(relief: &Relief) -> Vec<u64> {
        let called = std::mem::take(&mut relief.choice.lock().called);
        called.into_iter().map(|key| key.id.0).collect()
    }

    #[test]
    fn the_largest_that_can_is_chosen_and_the_next_one_when_it_has_checkpointed() {
        let relief = Relief::default();
        let [small, large, busy] = [member(1, 10), member(2, 30), member(3, 50)];
        for member in [&small, &large, &busy] {
            relief.join(member);
        }
        busy.busy.store(true, Ordering::Relaxed);
        assert!(!relief.choose(&small, at(0)));
        assert!(large.is_chosen() && !small.is_chosen() && !busy.is_chosen());
        assert!(!relief.choose(&small, at(1)), "one at a time");
        assert!(!relief.choose(&busy, at(1)));
        assert!(relief.choose(&large, at(1)));
        assert_eq!(called(&relief), [2], "told once");
        large.begins_anew();
        assert!(relief.choose(&small, at(1)));
        assert_eq!(called(&relief), Vec::<u64>::new(), "whoever asks knows");
        small.begins_anew();
        assert!(!relief.choose(&small, at(1)), "nobody has anything");
        busy.busy.store(false, Ordering::Relaxed);
        assert!(relief.choose(&busy, at(1)));
    }

    #[test]
    fn without_any_entry_the_largest_is_called() {
        let relief = Relief::default();
        let [small, large] = [member(1, 10), member(2, 30)];
        for member in [&small, &large] {
            relief.join(member);
        }
        relief.choose_for(None, at(0));
        relief.choose_for(None, at(1));
        assert_eq!(called(&relief), [2], "one at a time");
        large.begins_anew();
        relief.choose_for(None, at(2));
        assert_eq!(called(&relief), [1]);
    }

    #[test]
    fn who_does_not_answer_is_left_out_and_who_is_gone_is_not_waited_for() {
        let relief = Relief::default();
        let [small, large, larger] = [member(1, 10), member(2, 30), member(3, 50)];
        for member in [&small, &large, &larger] {
            relief.join(member);
        }
        assert!(!relief.choose(&small, at(0)));
        assert!(larger.is_chosen());
        drop(larger);
        assert!(!relief.choose(&small, at(0)));
        assert!(large.is_chosen());
        assert!(!relief.choose(&small, at(4)));
        assert!(relief.choose(&small, at(5)), "the large one has stopped");
        assert!(large.is_chosen(), "if it wakes up, it still does it");
        assert_eq!(called(&relief), [3, 2]);
    }
}
