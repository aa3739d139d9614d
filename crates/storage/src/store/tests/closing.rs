//! Who holds what, and for how long: idle writers, closing, and a group that is opened twice.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Clock;
use atoll_env::vfs::{Crash, MemVfs, MemVfsOptions};

use super::model::History;
use super::world::{GROUP, REPLICA};
use super::{Node, Op, process, simulate};
use crate::store::StoreError;

fn put(first: u16) -> [Op; 1] {
    [Op::Put {
        first,
        count: 200,
        len: 60,
    }]
}

fn slow_disk() -> MemVfs {
    process::slow_disk(Clock::simulated(1.0, 0), &MemVfsOptions::default())
}

/// A group that is not written to any more must not keep a whole memory, or files that were merged away.
#[test]
fn an_idle_writer_holds_on_to_nothing() {
    simulate(async {
        let mut history = History::default();
        let mut node = Node::start(MemVfs::default(), &history).await.unwrap();
        for round in 0..4 {
            node.write(&put(round), &mut history).await.unwrap();
            assert!(node.begin_checkpoint());
            let frozen = node.group.index().layers().frozen.clone().unwrap();
            let weak = Arc::downgrade(&frozen);
            drop(frozen);
            assert!(node.settle().await);
            assert!(weak.upgrade().is_none(), "what was frozen is in a run");
        }
        let layers = node.group.index().layers();
        assert_eq!(layers.below.runs().len(), 1, "merged");
        assert_eq!(node.files().len(), 2, "{:?}", node.files());
        node.check();
        node.process.kill();
    });
}

/// The second would remove the files that the first is about to name.
#[test]
fn a_group_is_open_once() {
    simulate(async {
        let mut history = History::default();
        let mut node = Node::start(slow_disk(), &history).await.unwrap();
        node.write(&put(0), &mut history).await.unwrap();
        assert!(node.begin_checkpoint());
        for _ in 0..40 {
            let again = node.store.open_group(GROUP, REPLICA);
            assert!(matches!(again, Err(StoreError::InUse)));
            node.sleep(Duration::from_micros(200)).await;
        }
        assert!(node.settle().await);
        assert_eq!(node.group.flushed_index(), 1);

        // Let go of while its flush runs, it is still in use until that is over.
        node.write(&put(1), &mut history).await.unwrap();
        assert!(node.begin_checkpoint());
        let Node {
            process,
            store,
            group,
            writer,
            ..
        } = node;
        drop((group, writer));
        let mut refused = 0;
        let (group, restored) = loop {
            match store.open_group(GROUP, REPLICA) {
                Ok(opened) => break opened,
                Err(StoreError::InUse) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            process.env.clock.sleep(Duration::from_micros(200)).await;
        };
        assert!(refused > 2 && refused < 1000, "{refused}");
        assert_eq!(
            (group.flushed_index(), restored.unwrap().checkpoint.applied.index),
            (2, 2)
        );
        process.kill();
    });
}

/// Closing at any moment of a flush: it ends, and after it nothing is written.
#[test]
fn closing_waits_for_what_is_being_written() {
    simulate(async {
        for moment in 0..30 {
            let mut history = History::default();
            let vfs = slow_disk();
            let mut node = Node::start(vfs.clone(), &history).await.unwrap();
            node.write(&put(0), &mut history).await.unwrap();
            assert!(node.begin_checkpoint());
            node.process
                .env
                .clock
                .sleep(Duration::from_micros(moment * 300))
                .await;
            node.store.close().await;
            node.journal.close().await;
            let operations = vfs.operations();
            node.sleep(Duration::from_secs(200)).await;
            assert_eq!(vfs.operations(), operations);
            let flushed = node.group.flushed_index();
            node.process.kill();
            let mut node = Node::start(vfs.crash(Crash::LoseAll), &history).await.unwrap();
            assert_eq!(node.group.flushed_index(), flushed);
            assert_eq!(node.model.applied, 1);
            node.check();
            node.process.kill();
        }
    });
}

/// A checkpoint that comes after the end is not written, and keeps nothing alive.
#[test]
fn a_checkpoint_after_closing_keeps_nothing_alive() {
    simulate(async {
        let mut history = History::default();
        let mut node = Node::start(MemVfs::default(), &history).await.unwrap();
        node.write(&put(0), &mut history).await.unwrap();
        node.store.close().await;
        assert!(node.begin_checkpoint());
        let inner = Arc::downgrade(&node.group.0);
        drop(node);
        assert!(inner.upgrade().is_none());
    });
}
