//! A disk that fails at one operation of taking a snapshot in or installing it, at each in turn, or that is full.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_env::vfs::{Crash, Fault, MemVfs};
use bytes::Bytes;

use super::super::faults::Faulty;
use super::super::look::check_rows;
use super::super::model::History;
use super::super::process::Process;
use super::super::world::{OPTIONS, id};
use super::super::{Node, simulate};
use super::{Sent, check_files, entry, install, sender, snapshot_of, stage};
use crate::snapshot::SnapshotError;
use crate::store::StoreOptions;

/// A node with a state of its own, on a disk that may fail.
async fn node(history: &History) -> (Node, Faulty) {
    let faulty = Faulty::on(MemVfs::default());
    let process = Process::through(faulty.inner.clone(), Arc::new(faulty.clone()));
    let mut node = Node::start_on(process, history).await.unwrap();
    for round in 0..2 {
        node.write(&entry(round), &mut history.clone()).await.unwrap();
    }
    assert!(node.checkpoint().await);
    (node, faulty)
}

async fn receive(node: &mut Node, sent: &Sent, history: &History) -> Result<(), SnapshotError> {
    let staged = stage(node, sent).await?;
    install(node, staged, history).await
}

/// One operation fails. Returns whether the process stopped because of it.
async fn fails_once(sent: &Sent, history: &History, after: u64) -> bool {
    let (mut node, faulty) = node(history).await;
    faulty.arm(after);
    let first = receive(&mut node, sent, history).await;
    // The old state, or the new one, and nothing in between.
    node.check();
    // What was given up is removed, or the process stops, as soon as the maintenance thread has looked.
    node.sleep(Duration::from_secs(5)).await;
    let halted = node.process.is_halted();
    if !halted {
        assert!(node.settle().await);
        if let Err(error) = first {
            check_files(&node);
            assert!(matches!(error, SnapshotError::Io(_)), "{error}");
            assert_eq!(node.model.applied, 2);
            receive(&mut node, sent, history).await.unwrap();
            // The writer lets go of the old run only behind the first cleaning.
            node.sleep(Duration::from_secs(3)).await;
            assert!(node.settle().await);
            check_files(&node);
        } else {
            // The operation was to remove the one file that was there before: the next start does.
            assert!(node.files_of("run").len() <= 2);
        }
        node.check();
        let mut history = history.clone();
        node.write(&entry(8), &mut history).await.unwrap();
        assert!(node.checkpoint().await);
        node.check();
    }
    node.process.kill();
    for crash in [Crash::Process, Crash::LoseAll] {
        let vfs = faulty.inner.fork(1).crash(crash);
        let mut history = history.clone();
        history.push(&history.models[4].clone(), &entry(8));
        let mut again = Node::start(vfs, &history).await.unwrap();
        assert!(again.group.flushed_index() >= node.group.flushed_index() || halted);
        again.check();
        again.process.kill();
    }
    halted
}

#[test]
fn at_every_operation_the_old_state_goes_on_or_the_process_stops() {
    simulate(async {
        let mut history = History::default();
        let from = sender(4, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let (mut sound, faulty) = node(&history).await;
        let before = faulty.seen();
        receive(&mut sound, &sent, &history).await.unwrap();
        assert!(sound.settle().await);
        let files = sound.files().len() as u64;
        let operations = faulty.seen() - before;
        sound.process.kill();
        assert!(operations > 20, "{operations}");
        let mut halts = 0;
        for after in 0..operations {
            halts += u64::from(fails_once(&sent, &history, after).await);
        }
        // Renaming and syncing the name, of every file and of the manifest, which is changed again once the log is purged.
        assert_eq!(halts, 2 * (files + 1), "of {operations} operations");
    });
}

#[test]
fn a_full_disk_is_an_error_that_leaves_nothing_behind() {
    simulate(async {
        let mut history = History::default();
        let from = sender(4, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let (mut node, faulty) = node(&history).await;
        node.journal.mark().await.unwrap();
        let files = node.files();
        for free in [1_000, 20_000, 40_000, 60_000] {
            faulty.inner.set_free_bytes(free);
            let error = receive(&mut node, &sent, &history).await;
            assert!(matches!(error, Err(SnapshotError::Io(_))), "{free} bytes free");
            assert!(node.settle().await);
            assert_eq!(node.files(), files, "{free} bytes free");
            assert!(!node.process.is_halted());
            node.check();
        }
        faulty.inner.set_free_bytes(1 << 30);
        receive(&mut node, &sent, &history).await.unwrap();
        node.check();
        node.process.kill();
    });
}

/// A disk that refuses for a while when the manifest is to be changed.
#[test]
fn an_install_that_cannot_write_is_tried_again() {
    simulate(async {
        let mut history = History::default();
        let from = sender(4, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let (mut node, faulty) = node(&history).await;
        let staged = stage(&node, &sent).await.unwrap();
        node.journal.mark().await.unwrap();
        let (clock, model) = (node.process.env.clock.clone(), node.model.clone());
        let before = node.group.index().view();
        // One second, two, four, eight and sixteen are waited.
        (0..5).for_each(|_| faulty.inner.fail_next(Fault::Write, "MANIFEST.new"));
        let group = node.group.clone();
        let later = async {
            clock.sleep(Duration::from_secs(30)).await;
            assert_eq!(group.flushed_index(), 2, "the old state");
            check_rows(&before, &model, &node.journal);
            clock.sleep(Duration::from_secs(2)).await;
            assert_eq!(group.flushed_index(), 4, "the snapshot's");
        };
        let installing = node.group.install(&mut node.writer, staged);
        let (restored, ()) = tokio::join!(installing, later);
        drop(before);
        node.take_over(&restored.unwrap(), &history);
        node.log.purge(id(4)).await.unwrap();
        assert!(!node.process.is_halted());
        clock.sleep(Duration::from_secs(3)).await;
        assert!(node.settle().await);
        check_files(&node);
        node.check();
        node.process.kill();
    });
}

/// A snapshot must not fill the disk that everybody needs.
#[test]
fn a_snapshot_is_refused_before_the_disk_is_full() {
    simulate(async {
        let mut history = History::default();
        let from = sender(4, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let options = StoreOptions {
            keep_free: 100_000,
            ..OPTIONS
        };
        let vfs = MemVfs::default();
        let mut node = Node::start_with(Process::on(vfs.clone()), options, &history)
            .await
            .unwrap();
        node.write(&entry(0), &mut history.clone()).await.unwrap();
        assert!(node.checkpoint().await);
        let files = node.files();
        for free in [50_000, 99_000, 120_000] {
            vfs.set_free_bytes(free);
            let refused = stage(&node, &sent).await.err().unwrap();
            assert!(matches!(refused, SnapshotError::NoRoom { .. }), "{refused}");
            assert_eq!(vfs.faults().full, 0, "{free} bytes free");
            node.sleep(Duration::from_secs(1)).await;
            assert_eq!(node.files(), files, "nothing is left of it");
        }
        vfs.set_free_bytes(1 << 20);
        let staged = stage(&node, &sent).await.unwrap();
        install(&mut node, staged, &history).await.unwrap();
        node.check();
        node.process.kill();
    });
}

/// Nor is it sent for nothing.
#[test]
fn a_snapshot_is_refused_before_it_comes_unless_all_that_come_fit() {
    simulate(async {
        let mut history = History::default();
        let from = sender(4, &mut history).await;
        let (position, chunks) = snapshot_of(&from).await;
        from.process.kill();
        let options = StoreOptions {
            keep_free: 100_000,
            ..OPTIONS
        };
        let vfs = MemVfs::default();
        let node = Node::start_with(Process::on(vfs.clone()), options, &history)
            .await
            .unwrap();
        vfs.set_free_bytes(1_000_000);
        let receive = || node.group.receive(position.clone());
        let (mut one, mut two) = (receive(), receive());
        let refused = one.expect(850_001).await.unwrap_err();
        let SnapshotError::NoRoom { free, needed } = refused else {
            panic!("{refused}")
        };
        assert_eq!(
            (free, needed),
            (1_000_000, 1_000_001),
            "and half of what must be free"
        );
        assert!(two.expect(u64::MAX).await.is_err());
        one.expect(500_000).await.unwrap();
        assert!(two.expect(350_001).await.is_err(), "it is promised");
        two.expect(350_000).await.unwrap();
        drop(two);
        let rows: usize = chunks[..chunks.len() - 1].iter().map(Bytes::len).sum();
        for chunk in chunks {
            one.add(chunk).await.unwrap();
        }
        let promised = || node.group.promised().bytes();
        assert_eq!(promised(), 500_000 - rows as u64, "what is written is not free");
        one.finish().await.unwrap();
        assert_eq!(promised(), 0);
        node.process.kill();
    });
}

/// What was cut off the log may stand on the disk yet: it must not come back behind the checkpoint.
#[test]
fn an_install_waits_for_the_journal() {
    simulate(async {
        let mut history = History::default();
        let from = sender(4, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let (mut node, faulty) = node(&history).await;
        node.journal.mark().await.unwrap();
        let staged = stage(&node, &sent).await.unwrap();
        faulty.held.store(true, Ordering::Relaxed);
        node.log.truncate_after(Some(id(1))).await.unwrap();
        let clock = node.process.env.clock.clone();
        let installing = node.group.install(&mut node.writer, staged);
        assert!(clock.timeout(Duration::from_secs(5), installing).await.is_err());
        let lost = Node::open(Process::on(faulty.inner.fork(0).crash(Crash::LoseAll))).await;
        let (lost, restored) = lost.unwrap();
        assert_eq!(restored.unwrap().checkpoint.applied.index, 2, "the old state");
        lost.process.kill();
        faulty.held.store(false, Ordering::Relaxed);
        // Nobody waits for it any more, and it comes to its end.
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(node.group.flushed_index(), 4);
        node.process.kill();
        let lost = Node::open(Process::on(faulty.inner.crash(Crash::LoseAll))).await;
        let (lost, restored) = lost.unwrap();
        assert!(restored.unwrap().installed);
        assert_eq!(lost.log.log_id_at(2), None);
        lost.process.kill();
    });
}

/// Who goes on after a failed write would write behind a gap.
#[test]
fn a_writer_that_failed_takes_nothing_more() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let faulty = Faulty::on(MemVfs::default());
        let process = Process::through(faulty.inner.clone(), Arc::new(faulty.clone()));
        let node = Node::start_on(process, &history).await.unwrap();
        let mut writer = node.group.receive(sent.0.clone());
        // The first file cannot be made.
        faulty.arm(0);
        for _ in 0..2 {
            let failed = writer.add(sent.1[0].clone()).await;
            assert!(matches!(failed, Err(SnapshotError::Io(_))));
        }
        assert!(matches!(writer.finish().await, Err(SnapshotError::Io(_))));
        assert!(node.settle().await);
        node.process.kill();
    });
}
