//! A segment that rots goes before a start finds it.

use atoll_env::vfs::{Crash, MemVfs};

use super::*;
use crate::journal::{ReadError, ReadValue};
use crate::store::tests::model::{key, value};
use crate::store::tests::world::{StartError, id};

/// A node with twenty values of 2,000 bytes, in a run, that nothing wants to move.
async fn node_with_values(vfs: &MemVfs) -> (Node, History) {
    let process = Process::on(vfs.clone());
    let (mut node, history) = Node::filled(process, OPTIONS, 0..20, 2_000).await;
    assert!(node.checkpoint().await);
    (node, history)
}

/// Flips a bit in the value of the third key.
fn rot(vfs: &MemVfs) {
    let segment = Path::new(DATA).join("journal/0000000000000001.jnl");
    let bytes = vfs.durable_bytes(&segment).unwrap();
    let value = value(3, 0, 2_000);
    let at = bytes.windows(2_000).position(|some| some == value).unwrap();
    vfs.flip_bit(&segment, at as u64 + 700, 2);
}

/// The first keys whose values cannot be read; the others are what was written.
fn lost(node: &Node) -> Vec<u16> {
    let view = node.group.index().view();
    let mut lost = Vec::new();
    for number in 0..20 {
        let key = key(number);
        let (_, value) = view.get(&key, true).unwrap().unwrap();
        match view.read_value(&node.journal, &key, &value, true) {
            Ok(ReadValue::Ready(bytes)) => assert_eq!(bytes, node.model.rows[&key].1),
            Err(ReadError::Corrupt { .. }) => lost.push(number),
            other => panic!("key {number}: {other:?}"),
        }
    }
    lost
}

/// As a node does once a second.
async fn go_on(node: &mut Node, history: &mut History, seconds: u16) {
    for second in 0..seconds {
        node.write(&[Op::put(100 + second % 50, 1_000)], history)
            .await
            .unwrap();
        node.store.look();
        if node.group.wants_checkpoint_for_space() {
            node.begin_checkpoint();
        }
        let flushed = node.group.flushed_index();
        if flushed > 0 {
            node.log.purge(id(flushed)).await.unwrap();
        }
        node.store.reclaim().await.unwrap();
        node.sleep(Duration::from_secs(1)).await;
    }
}

/// As a node does once a second to which nobody writes, whose log keeps its newest four segments for followers.
async fn rest(node: &mut Node, seconds: u16) {
    for _ in 0..seconds {
        node.store.look();
        if node.group.wants_checkpoint_for_space() {
            node.begin_checkpoint();
        }
        let old = node.log.purge_limit(4).map_or(0, |limit| limit.index);
        let upto = old.min(node.group.flushed_index());
        if upto > 0 {
            node.log.purge(id(upto)).await.unwrap();
        }
        node.store.reclaim().await.unwrap();
        node.sleep(Duration::from_secs(1)).await;
    }
}

/// The segment that rotted is no more: nothing on the disk is wrong, and what stood there is lost and told.
async fn is_gone(node: &Node, scrub: &Scrub) {
    let ends = node.journal.ends().unwrap();
    assert!(ends.oldest > 1, "{ends:?}");
    assert_eq!(whole_round(node, scrub).await, []);
    assert_eq!(lost(node), [2]);
}

/// After a power cut the next process finds nothing wrong.
async fn starts_sound(node: &Node) {
    node.process.kill();
    let process = Process::on(node.process.vfs.crash(Crash::LoseAll));
    let (next, _) = Node::open(process).await.unwrap();
    assert_eq!(
        (next.journal.damage(), next.journal.quarantined()),
        (None, vec![])
    );
    next.process.kill();
}

/// What is kept for followers must not keep a segment that would quarantine every group of the node at its next start.
#[test]
fn a_rotten_segment_goes_soon_also_where_nothing_is_written() {
    simulate(async {
        for in_run in [true, false] {
            let vfs = MemVfs::default();
            let (mut node, mut history) = node_with_values(&vfs).await;
            if !in_run {
                // Something that no checkpoint has stands there too.
                node.write_durably(&[Op::put(50, 100)], &mut history).await;
            }
            let newest = node.journal.ends().unwrap().newest;
            assert!((2..=4).contains(&newest), "all are among those kept: {newest}");
            rest(&mut node, 20).await;
            assert_eq!(node.journal.ends().unwrap().oldest, 1, "nothing wants it to go");
            let scrub = Scrub::start(&node.store, OFTEN);
            rot(&vfs);
            assert_eq!(whole_round(&node, &scrub).await.len(), 1);
            rest(&mut node, 10).await;
            is_gone(&node, &scrub).await;
            assert_eq!(node.journal.rotten(), 0);
            starts_sound(&node).await;
        }
    });
}

#[test]
fn a_rotten_segment_is_emptied_and_the_next_start_finds_nothing_wrong() {
    simulate(async {
        let vfs = MemVfs::default();
        let (mut node, mut history) = node_with_values(&vfs).await;
        let rarely = ScrubOptions {
            period: Duration::from_secs(10),
            ..OFTEN
        };
        let scrub = Scrub::start(&node.store, rarely);
        go_on(&mut node, &mut history, 5).await;
        assert_eq!(node.journal.ends().unwrap().oldest, 1, "nothing wants it to go");
        rot(&vfs);
        assert_eq!(whole_round(&node, &scrub).await.len(), 1);
        go_on(&mut node, &mut history, 30).await;
        is_gone(&node, &scrub).await;
        // And then nothing more is moved than before.
        let oldest = node.journal.ends().unwrap().oldest;
        go_on(&mut node, &mut history, 15).await;
        assert_eq!(node.journal.ends().unwrap().oldest, oldest);
        starts_sound(&node).await;
    });
}

/// What it is good for: as long as the log needs the segment.
#[test]
fn a_start_before_that_quarantines_the_group() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node_with_values(&vfs).await;
        rot(&vfs);
        node.process.kill();
        let process = Process::on(vfs.crash(Crash::LoseAll));
        assert!(matches!(Node::open(process).await, Err(StartError::Journal)));
    });
}
