//! A disk with hardly any room: what does not fit is done in part, and comes to the same in the end.

use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::MemVfs;

use super::super::world::{DATA, Keeps, id};
use super::*;
use crate::codec::Compression;
use crate::store::WorkKind;
use crate::store::merging::work::Work;
use crate::store::planner::Plan;
use crate::store::space::room::Room;

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
        let keys = (0..ROWS).map(|number| 3 * number + round);
        node.put_each(keys, len, &mut history).await;
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
            node.sleep(Duration::from_millis(1_700)).await;
            assert!(node.settle().await);
            let free = vfs.free_bytes(std::path::Path::new(DATA)).unwrap();
            assert!(free >= KEEP_FREE / 4, "{free} bytes are left after {steps} steps");
            let now = node.store.reclaim().await.unwrap();
            steps += usize::from(now > oldest);
            oldest = now;
            node.check_rows();
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
            node.sleep(Duration::from_secs(5)).await;
            assert_eq!(node.store.reclaim().await.unwrap(), oldest);
        }
        assert_eq!(node.value_numbers(), []);
        vfs.set_free_bytes(FREE);
        // It was put off for a minute at most.
        for _ in 0..20 {
            node.store.look();
            node.sleep(Duration::from_secs(5)).await;
        }
        assert!(node.store.reclaim().await.unwrap() > oldest);
        node.check_rows();
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
        node.check_rows();
        assert!(node.files_of("new").is_empty(), "{:?}", node.files());
        node.process.kill();
    });
}

#[test]
fn a_run_alone_is_written_without_moving_values_only_if_it_was_planned_alone() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node(&vfs).await;
        let below = node.group.index().layers().below.clone();
        let runs = below.runs();
        assert_eq!(runs.len(), 3);
        let part = |runs, room| {
            let plan = Plan {
                kind: WorkKind::Merge,
                runs,
                before: u32::MAX,
                victims: [].into(),
            };
            let part = Work::new(plan, below.clone()).within(room, |_| true, |_| true);
            part.map(|part| (part.plan.runs, part.plan.before))
        };
        // A quarter of it is left in any case.
        let room = |bytes| Room::of(bytes + 1, 4);
        let [first, second] = [0, 1].map(|run: usize| runs[run].summary().file_len);
        assert_eq!(part(0..1, room(first)), Some((0..1, 0)));
        assert_eq!(part(0..1, room(first - 1)), None);
        assert_eq!(part(0..3, room(first + second)), Some((0..2, 0)));
        assert_eq!(part(0..3, room(first + second - 1)), None);
        assert_eq!(part(0..1, room(u64::MAX / 2)), Some((0..1, u32::MAX)));
        node.process.kill();
    });
}

#[test]
fn history_that_has_passed_goes_though_no_value_can_be_moved() {
    simulate(async {
        let vfs = MemVfs::default();
        let mut history = History::default();
        let (mut node, restored) = Node::open_with(Process::on(vfs.clone()), NARROW).await.unwrap();
        node.keeps = Keeps(vec![(0, 24, u64::MAX)]);
        node.restore(restored, &history).await;
        for number in 0..20 {
            let put = Op::Put {
                first: number % 10,
                count: 1,
                len: 20_000,
            };
            node.write(&[put], &mut history).await.unwrap();
            node.journal.mark().await.unwrap();
        }
        assert!(node.checkpoint().await);
        let summary = |node: &Node| {
            let below = node.group.index().layers().below.clone();
            assert_eq!(below.runs().len(), 1);
            below.runs()[0].summary().clone()
        };
        let before = summary(&node);
        assert_eq!((before.entries, before.replaced), (20, 10));
        let newest = node.journal.ends().unwrap().newest;
        node.journal.set_rotten(newest - 1);
        for _ in 0..5 {
            node.write_nothing(&mut history).await;
        }
        node.journal.mark().await.unwrap();
        assert_eq!(node.horizon(), None);
        // For the run, for the journal and for half a value.
        vfs.set_free_bytes(KEEP_FREE / 4 + before.file_len + 10_000);
        node.store.look();
        node.process.env.clock.sleep(Duration::from_secs(10)).await;
        let after = summary(&node);
        assert_eq!((after.entries, after.replaced), (10, 0));
        assert_eq!(node.value_numbers(), [], "nothing was moved");
        node.check_rows();
        node.process.kill();
    });
}
