//! Snapshots while checkpoints are written and merged: at every moment of it, on both sides.

use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_env::Clock;
use atoll_env::vfs::{Crash, MemVfs, MemVfsOptions};

use super::super::faults::Faulty;
use super::super::look::check_rows;
use super::super::model::{History, Model};
use super::super::process::{Process, slow_disk};
use super::super::{Node, simulate};
use super::{Sent, check_files, chunks_of, entry, install, sender, snapshot_of, stage};
use crate::index::{Memory, View};

fn disk() -> MemVfs {
    slow_disk(Clock::simulated(1.0, 0), &MemVfsOptions::default())
}

/// What was under way when the snapshot was installed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Under {
    /// A flush, which had not committed its manifest.
    Flush,
    /// A merge, or nothing any more: the checkpoint was durable.
    Merge,
    Nothing,
}

/// A node with checkpoints of its own begins another; so many microseconds later a snapshot is installed.
async fn install_after(micros: u64, checkpoints: u16, sent: &Sent, history: &History) -> Under {
    let mut own = history.clone();
    let mut node = Node::start(disk(), &own).await.unwrap();
    for round in 0..checkpoints {
        node.write(&entry(round), &mut own).await.unwrap();
        assert!(node.checkpoint().await);
    }
    node.write(&entry(checkpoints), &mut own).await.unwrap();
    let view = (node.group.index().view(), node.model.clone());
    let staged = stage(&node, sent).await.unwrap();
    let runs_before = node.group.index().layers().below.runs().len();
    assert!(node.begin_checkpoint());
    let frozen = Arc::downgrade(node.group.index().layers().frozen.as_ref().unwrap());
    node.sleep(Duration::from_micros(micros)).await;
    let runs = node.group.index().layers().below.runs().len();
    let under = match (node.is_busy(), node.store.is_idle()) {
        (true, _) => Under::Flush,
        (false, false) if runs > runs_before => Under::Merge,
        (false, _) => Under::Nothing,
    };
    install(&mut node, staged, history).await.unwrap();
    check_installed(node, (view, frozen), sent, history).await;
    under
}

type Before = ((View, Model), Weak<Memory>);

/// The node has the snapshot, nothing from before comes back, and it goes on. A view and what was frozen are from before.
async fn check_installed(mut node: Node, (view, frozen): Before, sent: &Sent, history: &History) {
    let clock = &node.process.env.clock;
    let begun = clock.now();
    // At once, and when everything that was under way has come to its end.
    for _ in 0..2 {
        node.check_rows();
        check_rows(&view.0, &view.1, &node.journal);
        let layers = node.group.index().layers();
        assert!(layers.frozen.is_none() && layers.below.runs().len() == 1);
        assert_eq!(node.group.flushed_index(), sent.0.applied.index);
        assert!(node.settle().await);
    }
    assert!(
        clock.now().since(begun) < Duration::from_millis(500),
        "what was under way was dropped, and did not fail and have to be tried again"
    );
    drop(view);
    assert!(frozen.upgrade().is_none(), "what was frozen is let go of");
    // What the disk has is the same.
    let vfs = node.process.vfs.clone();
    let lost = Node::start(vfs.fork(0).crash(Crash::LoseAll), history)
        .await
        .unwrap();
    assert_eq!(lost.model.applied, sent.0.applied.index);
    lost.process.kill();
    // And it goes on.
    let mut more = history.clone();
    node.write(&entry(9), &mut more).await.unwrap();
    assert!(node.checkpoint().await);
    node.check();
    check_files(&node);
    node.journal.mark().await.unwrap();
    node.process.kill();
    let mut again = Node::start(vfs.crash(Crash::LoseAll), &more).await.unwrap();
    assert_eq!(again.group.flushed_index(), sent.0.applied.index + 1);
    again.check();
    again.process.kill();
}

/// A flush fails, and is tried again when the snapshot is just being installed.
async fn install_into_a_retry(micros: u64, sent: &Sent, history: &History) {
    let faulty = Faulty::on(disk());
    let process = Process::through(faulty.inner.clone(), Arc::new(faulty.clone()));
    let mut own = history.clone();
    let mut node = Node::start_on(process, &own).await.unwrap();
    node.write(&entry(0), &mut own).await.unwrap();
    assert!(node.checkpoint().await);
    node.write(&entry(1), &mut own).await.unwrap();
    let view = (node.group.index().view(), node.model.clone());
    let staged = stage(&node, sent).await.unwrap();
    faulty.arm(0);
    assert!(node.begin_checkpoint());
    let frozen = Arc::downgrade(node.group.index().layers().frozen.as_ref().unwrap());
    node.sleep(Duration::from_micros(micros)).await;
    install(&mut node, staged, history).await.unwrap();
    check_installed(node, (view, frozen), sent, history).await;
}

/// One moment after the other, of a checkpoint that comes after so many others.
async fn install_at_every_moment(
    checkpoints: u16,
    micros: std::ops::Range<u64>,
    sent: &Sent,
    history: &History,
) -> Vec<Under> {
    let mut seen = std::collections::BTreeSet::new();
    for micros in micros.step_by(730) {
        seen.insert(install_after(micros, checkpoints, sent, history).await);
    }
    seen.into_iter().collect()
}

#[test]
fn nothing_from_before_is_committed_after_an_install() {
    simulate(async {
        let mut history = History::default();
        let from = sender(6, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let seen = install_at_every_moment(1, 0..14_000, &sent, &history).await;
        assert_eq!(seen, [Under::Flush, Under::Nothing]);
        // The fourth checkpoint brings a merge.
        let seen = install_at_every_moment(3, 0..26_000, &sent, &history).await;
        assert_eq!(seen, [Under::Flush, Under::Merge, Under::Nothing]);
    });
}

/// A flush that is tried again has nothing to wait for but the folder, which the install holds.
#[test]
fn a_flush_that_waits_for_an_install_drops_its_rows() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        // Of the same entry: no manifest would refuse it as going back.
        let sent = snapshot_of(&from).await;
        from.process.kill();
        for micros in (996_000..1_006_000).step_by(400) {
            install_into_a_retry(micros, &sent, &history).await;
        }
    });
}

/// A pinned checkpoint does not change, and its files stay, whatever becomes of the group meanwhile.
#[test]
fn a_sender_goes_on_while_its_group_flushes_merges_and_is_replaced() {
    simulate(async {
        let mut history = History::default();
        let mut node = Node::start(disk(), &history).await.unwrap();
        for round in 0..3 {
            node.write(&entry(round), &mut history).await.unwrap();
            assert!(node.checkpoint().await);
        }
        let model = node.model.clone();
        let mut reader = node.group.snapshot().unwrap();
        assert_eq!(reader.position().applied.index, 3);
        let runs = node.files_of("run");
        assert_eq!(runs.len(), 3);
        let mut sent = vec![reader.next_chunk().await.unwrap().unwrap()];
        for round in 3..6 {
            node.write(&entry(round), &mut history).await.unwrap();
            assert!(node.begin_checkpoint());
            for _ in 0..3 {
                sent.push(reader.next_chunk().await.unwrap().unwrap());
            }
            assert!(node.settle().await);
        }
        let later = snapshot_of(&node).await;
        assert_eq!(later.0.applied.index, 6);
        let staged = stage(&node, &later).await.unwrap();
        install(&mut node, staged, &history).await.unwrap();
        assert!(node.settle().await);
        let files = node.files();
        assert!(
            runs.iter().all(|run| files.contains(run)),
            "{runs:?} of {files:?}"
        );
        sent.extend(chunks_of(&mut reader).await);
        let position = reader.position().clone();
        assert!(reader.bytes_about() > 30_000);
        reader.seek(0);
        assert_eq!(chunks_of(&mut reader).await, sent, "the same bytes again");
        drop(reader);
        assert!(node.settle().await);
        check_files(&node);

        let mut to = Node::start(MemVfs::default(), &history).await.unwrap();
        let staged = stage(&to, &(position, sent)).await.unwrap();
        install(&mut to, staged, &history).await.unwrap();
        assert_eq!(to.model, model);
        to.check();
        to.process.kill();
        node.process.kill();
    });
}

/// Whoever waits for a checkpoint hears of every kind of it.
#[test]
fn durable_changes_with_flushes_and_installs() {
    simulate(async {
        let mut history = History::default();
        let from = sender(3, &mut history).await;
        let sent = snapshot_of(&from).await;
        let mut durable = from.group.durable();
        assert_eq!(durable.borrow_and_update().map(|id| id.index), Some(3));
        from.process.kill();
        let mut own = history.clone();
        let mut node = Node::start(MemVfs::default(), &own).await.unwrap();
        let mut durable = node.group.durable();
        assert_eq!(*durable.borrow_and_update(), None);
        node.write(&entry(0), &mut own).await.unwrap();
        assert!(node.checkpoint().await);
        assert!(durable.has_changed().unwrap());
        assert_eq!(durable.borrow_and_update().map(|id| id.index), Some(1));
        let staged = stage(&node, &sent).await.unwrap();
        assert!(!durable.has_changed().unwrap());
        install(&mut node, staged, &history).await.unwrap();
        assert_eq!(durable.borrow_and_update().map(|id| id.index), Some(3));
        node.process.kill();
    });
}
