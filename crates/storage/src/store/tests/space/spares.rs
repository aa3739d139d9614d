//! Files of freed segments are kept as long as there is room for them.

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::MemVfs;
use bytes::Bytes;

use super::super::disk::journal_dir;
use super::super::world::{DATA, GROUP, IDENTITY, REPLICA, id};
use super::*;
use crate::journal::{GroupLog, Journal, JournalOptions, LogEntry};
use crate::store::{GroupStore, Store};

const SEGMENT: u64 = 32 * 1024;
const AHEAD: JournalOptions = JournalOptions {
    segment_bytes: SEGMENT as u32,
    preallocate: true,
    tail_bytes: 1 << 20,
    cache_bytes: 0,
};
const KEEP_FREE: u64 = 4 * SEGMENT;

struct World {
    process: Process,
    journal: Journal,
    log: GroupLog,
    store: Store,
    _group: GroupStore,
}

impl World {
    /// With so many segments that nobody needs.
    async fn start(options: StoreOptions) -> Self {
        let process = Process::on(MemVfs::default());
        let journal = Journal::open(&process.env, &journal_dir(), IDENTITY, AHEAD).await;
        let journal = journal.unwrap();
        let log = journal.create_group(GROUP, REPLICA).await.unwrap();
        let store = Store::start(&process.env, Path::new(DATA), journal.clone(), IDENTITY, options);
        let (group, _) = store.open_group(GROUP, REPLICA).unwrap();
        while journal.segments().newest < 12 {
            append(&log).await;
        }
        log.purge(log.state().last.unwrap()).await.unwrap();
        Self {
            process,
            journal,
            log,
            store,
            _group: group,
        }
    }

    /// How many files wait when segments were let go.
    async fn reclaim(&self) -> u64 {
        assert_eq!(
            self.store.reclaim().await.unwrap(),
            self.journal.segments().newest
        );
        assert_eq!(self.journal.spare_bytes() % SEGMENT, 0);
        self.journal.spare_bytes() / SEGMENT
    }

    fn free_segments(&self) -> u64 {
        self.process.vfs.free_bytes(Path::new(DATA)).unwrap() / SEGMENT
    }
}

async fn append(log: &GroupLog) {
    let payload = Bytes::from(vec![7; 9_000]);
    let entry = LogEntry {
        id: id(log.state().last.map_or(1, |last| last.index + 1)),
        kind: 1,
        payload_crc: crc32fast::hash(&payload),
        payload,
    };
    let (done, durable) = tokio::sync::oneshot::channel();
    let done: crate::journal::AppendDone = Box::new(move |result| drop(done.send(result)));
    log.append(vec![entry], done).await.unwrap();
    durable.await.unwrap().unwrap();
}

#[test]
fn they_are_bounded_by_the_budget_by_the_disk_and_by_what_files_may_take() {
    simulate(async {
        let options = StoreOptions {
            keep_free: KEEP_FREE,
            ..OPTIONS
        };
        let world = World::start(options).await;
        assert_eq!(world.reclaim().await, 8);
        let budget = StoreOptions {
            journal_budget: 5 * SEGMENT,
            ..options
        };
        assert_eq!(World::start(budget).await.reclaim().await, 5);
        let world = World::start(options).await;
        world.process.vfs.set_free_bytes(2 * KEEP_FREE + 6 * SEGMENT);
        assert_eq!(world.reclaim().await, 3, "half of what nobody needs");
        let world = World::start(options).await;
        world.store.set_spare_room(4 * SEGMENT);
        assert_eq!(world.reclaim().await, 4);
        let world = World::start(options).await;
        world.store.set_urgent(true);
        assert_eq!(world.reclaim().await, 2);
    });
}

#[test]
fn they_give_their_room_back_when_there_is_little() {
    simulate(async {
        let options = StoreOptions {
            keep_free: KEEP_FREE,
            ..OPTIONS
        };
        for full in [false, true] {
            let world = World::start(options).await;
            assert_eq!(world.reclaim().await, 8);
            let free = if full { 0 } else { 1 << 30 };
            world.process.vfs.set_free_bytes(free);
            world.store.set_spare_room(if full { u64::MAX } else { 0 });
            let before = world.free_segments();
            assert_eq!(world.reclaim().await, 2);
            assert!(world.free_segments() >= before + 6);
            // With these and the one made ahead it goes on.
            let newest = world.journal.segments().newest;
            while world.journal.segments().newest < newest + 3 {
                append(&world.log).await;
            }
            assert!(!world.process.is_halted());
        }
    });
}
