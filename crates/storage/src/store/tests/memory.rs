//! The memory of several groups together.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_env::vfs::MemVfs;
use atoll_types::{GroupGen, GroupId, GroupKey, Version};

use super::process::Process;
use super::simulate;
use super::world::{DATA, IDENTITY, JOURNAL, OPTIONS, REPLICA, id};
use crate::index::{IndexWriter, InlineValue, ValueRef};
use crate::journal::Journal;
use crate::store::{Checkpoint, GroupStore, Store, StoreOptions};

const GROUPS: usize = 8;
const LIMIT: usize = 4 << 20;
/// More than the rows of one entry take.
const ENTRY: usize = 64 << 10;

struct Group {
    store: GroupStore,
    writer: IndexWriter,
    applied: u64,
    checkpoints: usize,
}

impl Group {
    fn is_busy(&self) -> bool {
        self.store.0.busy.load(Ordering::Acquire)
    }

    /// Applies an entry of so many rows of new keys, as a machine does.
    fn apply(&mut self, rows: u64) {
        self.applied += 1;
        self.writer.begin(0);
        for row in 0..rows {
            let key = (self.applied << 32 | row).to_be_bytes();
            let value = InlineValue::new(b"value", 0).unwrap();
            self.writer
                .put(&key, Version(self.applied), ValueRef::Inline(value));
        }
        self.writer.publish(Version(self.applied), self.applied);
        if self.store.note_applied(&self.writer, 0) {
            self.checkpoint();
        }
    }

    /// What it does when it is called.
    fn called(&mut self) {
        if self.store.0.member.is_chosen() && self.store.may_checkpoint(self.applied) {
            self.checkpoint();
        }
    }

    fn checkpoint(&mut self) {
        let checkpoint = Checkpoint {
            applied: id(self.applied),
            version: Version(self.applied),
            ..Checkpoint::default()
        };
        self.store.checkpoint(&mut self.writer, checkpoint);
        self.checkpoints += 1;
    }
}

struct Node {
    process: Process,
    store: Store,
    groups: Vec<Group>,
}

impl Node {
    async fn start() -> Self {
        let process = Process::on(MemVfs::default());
        let dir = Path::new(DATA).join("journal");
        let journal = Journal::open(&process.env, &dir, IDENTITY, JOURNAL)
            .await
            .unwrap();
        let options = StoreOptions {
            row_memory: LIMIT,
            ..OPTIONS
        };
        let store = Store::start(&process.env, Path::new(DATA), journal, IDENTITY, options);
        let groups = (0..GROUPS as u64).map(|group| {
            let key = GroupKey::new(GroupId(group), GroupGen(1));
            let (opened, _) = store.open_group(key, REPLICA).unwrap();
            Group {
                writer: opened.index().writer(),
                store: opened,
                applied: 0,
                checkpoints: 0,
            }
        });
        let groups = groups.collect();
        Self {
            process,
            store,
            groups,
        }
    }

    fn bytes(&self) -> usize {
        self.store.row_memory().bytes
    }

    /// Calls whoever is to be called, and waits until nothing is being written.
    async fn settle(&mut self) {
        self.groups.iter_mut().for_each(Group::called);
        while self.groups.iter().any(Group::is_busy) || !self.store.is_idle() {
            self.process.env.clock.sleep(Duration::from_millis(1)).await;
        }
    }
}

#[test]
fn all_groups_together_stay_below_the_limit_and_the_largest_goes_first() {
    simulate(async {
        let mut node = Node::start().await;
        let mut rng = fastrand::Rng::with_seed(5);
        let mut most = 0;
        for round in 0..400_usize {
            // Now and then only a few are written to, and what the others have stays.
            let group = if round % 100 < 30 {
                round % 2
            } else {
                rng.usize(..GROUPS)
            };
            let before = node.bytes();
            node.groups[group].apply(rng.u64(1..200));
            assert!(node.bytes() < before + ENTRY);
            node.settle().await;
            most = most.max(node.bytes());
            assert!(node.bytes() < LIMIT / 2 + ENTRY, "{}", node.bytes());
        }
        assert!(most > LIMIT / 2 - ENTRY, "memory is used: {most}");
        let checkpoints: usize = node.groups.iter().map(|group| group.checkpoints).sum();
        assert!(
            (4..40).contains(&checkpoints),
            "the largest, not many small ones: {checkpoints}"
        );
        drop(node.groups);
        assert_eq!(node.store.row_memory().bytes, 0, "everything is given back");
        node.process.kill();
    });
}

#[test]
fn while_the_disk_is_too_slow_the_sum_tells_and_later_it_falls() {
    simulate(async {
        let mut node = Node::start().await;
        // Nothing is written while nobody waits.
        while node.bytes() <= 2 * LIMIT {
            for group in &mut node.groups {
                group.apply(190);
                group.called();
            }
        }
        assert!(node.groups.iter().all(|group| group.checkpoints == 1));
        // The next entries find that what has come since is too much, and one group after the other goes.
        for _ in 0..=GROUPS {
            node.settle().await;
            node.groups.iter_mut().for_each(|group| group.apply(1));
        }
        assert!(node.bytes() < LIMIT / 2 + ENTRY, "{}", node.bytes());
        assert_eq!(node.store.row_memory().limit, LIMIT);
        node.process.kill();
    });
}
