//! With hardly any room, merges are done in parts, and space comes back step by step.

use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs};

use super::super::world::id;
use super::*;
use crate::store::WorkKind;
use crate::store::merging::work::Work;
use crate::store::planner::Plan;
use crate::store::space::room::Room;

/// A merge leaves so much room.
const LEFT: u64 = 1024 * 1024;
/// For one segment's values and the runs that point there, about, and not for two.
const STEP: u64 = 52 * 1024;

/// A node with live values of 2,500 bytes in many segments, and in several runs. The disk has no room for any merge.
async fn node_with_values(veil: &Veil) -> (Node, History) {
    veil.inner.set_free_bytes(LEFT);
    let mut history = History::default();
    let node = Node::start_with(veil.process(), TIGHT, &history).await;
    let mut node = node.unwrap();
    for round in 0..3_u16 {
        let keys = (0..32).map(|number| number * 10 + round);
        node.put_each(keys, 2_500, &mut history).await;
        assert!(node.begin_checkpoint());
        node.sleep(Duration::from_secs(2)).await;
        assert!(!node.is_busy());
    }
    assert_eq!((node.group.runs().0, node.value_numbers()), (3, vec![]));
    (node, history)
}

/// As a node does once a second.
async fn go_on(node: &mut Node, seconds: u32) {
    for _ in 0..seconds {
        node.log.purge(id(node.group.flushed_index())).await.unwrap();
        node.store.look();
        node.store.reclaim().await.unwrap();
        node.sleep(Duration::from_secs(1)).await;
        node.check_rows();
    }
}

#[test]
fn space_comes_back_step_by_step_where_there_is_room_for_no_whole_merge() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_values(&veil).await;
        let need = node.store.0.need();
        let first = node.journal.ends().unwrap().oldest;
        assert!(need.evacuate > first + 3, "{need:?}");
        veil.inner.set_free_bytes(LEFT + STEP / 20);
        go_on(&mut node, 70).await;
        assert_eq!(node.value_numbers(), [], "there is no room for the smallest step");
        assert_eq!(node.journal.ends().unwrap().oldest, first);

        veil.inner.set_free_bytes(LEFT + STEP);
        let free = || veil.inner.free_bytes(&group_dir()).unwrap();
        let mut oldest = vec![first];
        for _ in 0..200 {
            go_on(&mut node, 1).await;
            assert!(free() >= LEFT / 2, "a merge leaves room: {}", free());
            oldest.push(node.journal.ends().unwrap().oldest);
        }
        assert!(node.journal.ends().unwrap().oldest >= need.evacuate, "{oldest:?}");
        oldest.dedup();
        assert!(oldest.len() >= 3, "not all at once: {oldest:?}");
        assert_eq!(veil.inner.faults().full, 0, "nothing was tried in vain");
        node.check();
        node.write_nothing(&mut history).await;
        node.journal.mark().await.unwrap();
        node.process.kill();
        for crash in [Crash::Process, Crash::LoseAll] {
            let again = Process::on(veil.inner.fork(1).crash(crash));
            let restarted = Node::start_with(again, TIGHT, &history).await.unwrap();
            assert_eq!(restarted.model, node.model);
            restarted.process.kill();
        }
    });
}

fn parts(node: &Node, kind: WorkKind, free: u64) -> Option<Plan> {
    let below = node.group.index().layers().below.clone();
    let before = node.journal.ends().unwrap().newest;
    let plan = Plan {
        kind,
        runs: 0..below.runs().len(),
        before,
        victims: node.value_numbers().into_iter().collect(),
    };
    let part = Work::new(plan, below).within(Room::of(free, 0), |_| true, |_| true)?;
    assert!(part.bytes() + LEFT <= free);
    Some(part.plan)
}

#[test]
fn each_kind_of_merge_does_what_there_is_room_for() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, _) = node_with_values(&veil).await;
        let below = node.group.index().layers().below.clone();
        let lens: Vec<u64> = below.runs().iter().map(|run| run.summary().file_len).collect();
        let runs: u64 = lens.iter().sum();
        let newest = node.journal.ends().unwrap().newest;
        let merge = |free| parts(&node, WorkKind::Merge, free).map(|plan| (plan.runs, plan.before));
        assert_eq!(merge(u64::MAX), Some((0..3, newest)));
        assert_eq!(merge(LEFT + runs), Some((0..3, 0)), "no value moves");
        assert_eq!(merge(LEFT + runs - 1), Some((0..2, 0)), "the newest");
        assert_eq!(merge(LEFT + lens[0] + lens[1] - 1), None);

        let evacuation = |free| parts(&node, WorkKind::Evacuate, free);
        let some = evacuation(LEFT + runs + 3 * 32 * 1024).unwrap();
        assert_eq!(some.runs, 0..3);
        assert!((3..newest).contains(&some.before), "{some:?}");
        // The oldest values stand in the oldest run.
        let (segment, bytes) = below.runs()[2].summary().journal_bytes[0];
        let oldest = evacuation(LEFT + lens[2] + bytes).unwrap();
        assert_eq!((oldest.runs, oldest.before), (2..3, segment + 1));
        assert_eq!(evacuation(LEFT + lens[2]), None, "not even one segment's");

        veil.inner.set_free_bytes(1 << 30);
        go_on(&mut node, 70).await;
        assert!(node.value_numbers().len() > 3);
        let one = parts(&node, WorkKind::Collect, LEFT + node.group.runs().1 + 26 * 1024).unwrap();
        assert_eq!(one.victims.len(), 1, "{one:?}");
        assert_eq!(parts(&node, WorkKind::Collect, LEFT), None);
        node.process.kill();
    });
}
