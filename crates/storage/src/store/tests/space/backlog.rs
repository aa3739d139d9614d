//! What merges could free is counted exactly, and what somebody else holds is never part of it.

use std::time::Duration;

use atoll_env::vfs::MemVfs;

use super::super::world::id;
use super::*;

/// A node with values of 2,500 bytes in a run, which stand in several segments of the journal. Nothing wants to move them.
async fn node_with_values(veil: &Veil) -> (Node, History) {
    Node::filled(veil.process(), OPTIONS, 0..40, 2_500).await
}

fn freeable(node: &Node) -> u64 {
    node.store.0.look_at_backlog();
    node.store.journal_load().freeable
}

/// What all segments but the newest take.
fn old_bytes(node: &Node) -> u64 {
    let ends = node.journal.ends().unwrap();
    assert!(ends.newest > ends.oldest + 2, "{ends:?}");
    node.journal.bytes_of(ends.oldest..ends.newest)
}

async fn purge(node: &mut Node) {
    node.log.purge(id(node.group.flushed_index())).await.unwrap();
}

/// A node whose values only rows in a run point to.
async fn purged_node(veil: &Veil) -> Node {
    let (mut node, _) = node_with_values(veil).await;
    assert!(node.checkpoint().await);
    purge(&mut node).await;
    node
}

/// All values are to leave all segments but the newest.
async fn move_all(node: &Node) {
    node.journal.set_rotten(node.journal.ends().unwrap().newest - 1);
    node.store.look();
    node.sleep(Duration::from_secs(3)).await;
}

#[test]
fn it_is_what_only_rows_in_runs_point_into() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_values(&veil).await;
        assert_eq!(freeable(&node), 0, "the log holds it, and rows in memory");
        assert!(node.checkpoint().await);
        assert_eq!(freeable(&node), 0, "the log holds it");
        purge(&mut node).await;
        let old = old_bytes(&node);
        assert_eq!(freeable(&node), old);
        assert_eq!(node.store.journal_load().bytes, node.journal.used_bytes());
        // A row in memory with a pointer into the middle.
        let append = Op::Append { key: 20, len: 40 };
        node.write(&[append], &mut history).await.unwrap();
        let held = node.group.index().layers().active.tree.read().reach().segment;
        let first = node.journal.ends().unwrap().oldest;
        assert!(held > Some(first), "{held:?}");
        assert_eq!(freeable(&node), node.journal.bytes_of(first..held.unwrap()));
        assert!(freeable(&node) < old);
        assert!(node.checkpoint().await);
        purge(&mut node).await;
        assert_eq!(freeable(&node), old_bytes(&node));

        let view = node.group.index().view();
        move_all(&node).await;
        assert_ne!(node.value_numbers(), [], "they were moved");
        assert_eq!(
            node.store.low_water(),
            Some(first),
            "somebody still sees the old rows"
        );
        assert_eq!(freeable(&node), 0, "and no merge can change that");
        drop(view);
        node.write_nothing(&mut history).await;
        assert!(node.store.low_water().is_none_or(|low| low > first));
        assert_eq!(freeable(&node), 0, "it goes without a merge");
        node.check();
        node.process.kill();
    });
}

/// A disk that does not read, and one on which merges fail.
#[test]
fn what_cannot_be_moved_is_no_part_of_it() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let node = purged_node(&veil).await;
        let first = node.journal.ends().unwrap().oldest;
        veil.refuse(first + 1);
        move_all(&node).await;
        node.sleep(Duration::from_secs(60)).await;
        assert_eq!(
            node.store.low_water(),
            Some(first + 1),
            "what could be read was moved"
        );
        assert_eq!(freeable(&node), 0, "what is behind it is held by it");
        assert!(!node.store.0.need().behind);
        node.process.kill();
    });
}

#[test]
fn nothing_is_freed_for_a_group_whose_merges_fail() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let node = purged_node(&veil).await;
        let old = old_bytes(&node);
        // Not a byte is free for it.
        veil.inner.set_free_bytes(100_000);
        move_all(&node).await;
        assert_eq!(freeable(&node), 0);
        veil.inner.set_free_bytes(1 << 30);
        node.sleep(Duration::from_secs(61)).await;
        let low = node.store.low_water().unwrap_or(u32::MAX);
        assert!(node.journal.bytes_of(1..low) >= old, "it was tried again");
        node.process.kill();
    });
}
