//! A disk with hardly any room: what does not fit is done in part, and comes to the same in the end.

use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::MemVfs;

use super::super::look::check_rows;
use super::super::world::{DATA, id};
use super::*;
use crate::codec::Compression;

const KEEP_FREE: u64 = 400 * 1024;
/// What merges do not touch, and a quarter of what the values take. All of them are alive: moving them gives nothing back but what segments
/// and their frames take besides.
const FREE: u64 = KEEP_FREE / 4 + 160 * 1024;
const NARROW: StoreOptions = StoreOptions {
    keep_free: KEEP_FREE,
    journal_budget: u64::MAX,
    compression: Compression::Off,
    ..TIGHT
};
const ROWS: u16 = 40;
const LEN: usize = 6_000;

/// 700 KB of values, all in the journal.
async fn node(vfs: &MemVfs) -> (Node, History) {
    node_with(vfs, LEN).await
}

async fn node_with(vfs: &MemVfs, len: usize) -> (Node, History) {
    let mut history = History::default();
    let node = Node::start_with(Process::on(vfs.clone()), NARROW, &history).await;
    let mut node = node.unwrap();
    for round in 0..3 {
        for number in 0..ROWS {
            let put = Op::Put {
                first: 3 * number + round,
                count: 1,
                len,
            };
            node.write(&[put], &mut history).await.unwrap();
            node.journal.mark().await.unwrap();
        }
        assert!(node.checkpoint().await);
    }
    (node, history)
}

#[test]
fn values_leave_the_oldest_segments_first_as_far_as_there_is_room() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node(&vfs).await;
        let written = node.journal.segments();
        assert!(written.newest - written.oldest > 20, "{written:?}");
        node.log.purge(id(node.group.flushed_index())).await.unwrap();
        assert_eq!(
            node.store.reclaim().await.unwrap(),
            written.oldest,
            "rows need all of it"
        );
        vfs.set_free_bytes(FREE);
        node.store.set_urgent(true);
        let (mut steps, mut oldest) = (0, written.oldest);
        for _ in 0..200 {
            node.store.look();
            node.process.env.clock.sleep(Duration::from_millis(1_700)).await;
            assert!(node.settle().await);
            let free = vfs.free_bytes(std::path::Path::new(DATA)).unwrap();
            assert!(free >= KEEP_FREE / 4, "{free} bytes are left after {steps} steps");
            let now = node.store.reclaim().await.unwrap();
            steps += usize::from(now > oldest);
            oldest = now;
            check_rows(&node.group.index().view(), &node.model, &node.journal);
            if oldest >= written.newest {
                break;
            }
        }
        assert!(steps > 3, "{steps} steps");
        assert!(oldest >= written.newest, "{oldest} of {written:?}");
        node.process.kill();
    });
}

#[test]
fn without_room_for_a_part_it_waits_and_goes_on_when_there_is_some() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node(&vfs).await;
        node.log.purge(id(node.group.flushed_index())).await.unwrap();
        vfs.set_free_bytes(KEEP_FREE / 4 + 1_000);
        node.store.set_urgent(true);
        let oldest = node.journal.segments().oldest;
        for _ in 0..5 {
            node.store.look();
            node.process.env.clock.sleep(Duration::from_secs(5)).await;
            assert_eq!(node.store.reclaim().await.unwrap(), oldest);
        }
        assert_eq!(node.value_numbers(), []);
        vfs.set_free_bytes(FREE);
        // It was put off for a minute at most.
        for _ in 0..20 {
            node.store.look();
            node.process.env.clock.sleep(Duration::from_secs(5)).await;
        }
        assert!(node.store.reclaim().await.unwrap() > oldest);
        check_rows(&node.group.index().view(), &node.model, &node.journal);
        node.process.kill();
    });
}

/// They are packed in the journal, and written as they are: a merge writes many times what it was planned to.
#[test]
fn what_proves_too_large_is_done_in_smaller_parts() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node_with(&vfs, LEN + 3).await;
        let written = node.journal.segments();
        assert!(written.newest - written.oldest > 10, "{written:?}");
        node.log.purge(id(node.group.flushed_index())).await.unwrap();
        // For what they take more than the segments do, and a part of all of them besides.
        vfs.set_free_bytes(KEEP_FREE / 4 + 420 * 1024);
        // All values are to leave at once, and seem to have room.
        node.journal.set_rotten(written.newest - 1);
        let mut oldest = written.oldest;
        for _ in 0..600 {
            node.store.look();
            node.process.env.clock.sleep(Duration::from_secs(1)).await;
            oldest = node.store.reclaim().await.unwrap();
            if oldest >= written.newest {
                break;
            }
        }
        assert!(oldest >= written.newest, "{oldest} of {written:?}");
        let full = vfs.faults().full;
        assert!((1..100).contains(&full), "{full} merges found the disk full");
        check_rows(&node.group.index().view(), &node.model, &node.journal);
        assert!(node.files_of("new").is_empty(), "{:?}", node.files());
        node.process.kill();
    });
}
