//! A disk that fails, or is full, at one operation of an evacuation or of a collection of value files, at each in turn.

use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};

use super::*;

/// What has come before makes the next checkpoint bring a merge that moves values and empties a value file.
async fn node(veil: &Veil) -> (Node, History) {
    let mut history = History::default();
    let node = Node::start_with(veil.process(), TIGHT, &history).await;
    let mut node = node.unwrap();
    for round in 0..4_u16 {
        let keys = (0..16).map(|number| number * 5 + round);
        node.put_each(keys, 2_500, &mut history).await;
        assert!(node.checkpoint().await);
    }
    // Until the next run makes them many. None says that keys are gone: that alone would be a reason to merge them.
    for number in 400..410 {
        if node.group.runs().0 == 3 {
            break;
        }
        node.write(&[Op::put(number, 20)], &mut history).await.unwrap();
        assert!(node.checkpoint().await);
    }
    assert_eq!(node.group.runs().0, 3);
    node.write(&[Op::put(300, 30_000)], &mut history).await.unwrap();
    node.write(&[Op::Delete { first: 0, count: 70 }], &mut history)
        .await
        .unwrap();
    (node, history)
}

/// Returns whether the process stopped because of it.
async fn fails_once(after: u64, full: bool) -> bool {
    let veil = Veil::over(MemVfs::default());
    let (mut node, mut history) = node(&veil).await;
    let files = node.value_numbers();
    veil.arm(after, full);
    assert!(node.begin_checkpoint());
    for _ in 0..5 {
        node.sleep(Duration::from_millis(1_700)).await;
        node.veil(&veil);
        node.check_rows();
    }
    node.write_nothing(&mut history).await;
    let halted = node.process.is_halted();
    if !halted {
        assert!(node.checkpoint().await, "it is tried again");
        node.sleep(Duration::from_secs(5)).await;
        assert!(node.settle().await);
        assert!(node.files_of("new").is_empty(), "{:?}", node.files());
        let named = node.value_numbers();
        assert_ne!(named, files);
        assert_eq!(node.files_of("val").len(), named.len(), "{:?}", node.files());
        let need = node.store.0.need();
        assert!(node.store.low_water().is_none_or(|low| low >= need.evacuate));
    }
    node.journal.mark().await.unwrap();
    node.process.kill();
    for crash in [Crash::Process, Crash::LoseAll] {
        let again = Veil::over(veil.inner.fork(1).crash(crash));
        let restarted = Node::start_with(again.process(), TIGHT, &history).await.unwrap();
        assert_eq!(restarted.model, node.model);
        again.hide(veil.hidden());
        restarted.check_rows();
        restarted.process.kill();
    }
    halted
}

async fn at_every_operation(full: bool) {
    let veil = Veil::over(MemVfs::default());
    let (mut node, _) = node(&veil).await;
    let (seen, before) = (veil.seen(), node.value_numbers());
    assert!(node.checkpoint().await);
    let operations = veil.seen() - seen;
    let after = node.value_numbers();
    assert!(!before.is_empty() && before.iter().any(|number| !after.contains(number)));
    assert!(after.iter().any(|number| !before.contains(number)));
    node.process.kill();
    let mut halts = 0;
    for operation in 0..operations {
        halts += u64::from(fails_once(operation, full).await);
    }
    assert!(halts > 8 && halts < operations, "{halts} of {operations}");
}

#[test]
fn nothing_is_lost_and_it_is_tried_again_or_the_process_stops() {
    simulate(at_every_operation(false));
}

#[test]
fn a_disk_that_is_full_in_the_middle_costs_nothing_but_time() {
    simulate(at_every_operation(true));
}

/// A merge that would not fit is not begun, and comes when there is room.
#[test]
fn without_room_there_is_no_merge() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node(&veil).await;
        let low = node.store.low_water();
        veil.inner.set_free_bytes(1024 * 1024 + 1_000);
        let seen = node.value_numbers();
        assert!(node.begin_checkpoint());
        node.sleep(Duration::from_secs(100)).await;
        assert!(!node.is_busy(), "the checkpoint was written");
        assert_eq!(
            (node.value_numbers(), node.store.low_water()),
            (seen.clone(), low)
        );
        assert_eq!(veil.inner.faults().full, 0, "nothing was tried in vain");
        veil.inner.set_free_bytes(1 << 30);
        node.sleep(Duration::from_secs(61)).await;
        assert!(node.settle().await);
        assert_ne!(node.value_numbers(), seen);
        node.veil(&veil);
        node.check();
        node.write_nothing(&mut history).await;
        node.process.kill();
    });
}
