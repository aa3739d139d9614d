//! Who gives up, when, and what is left: calls, connections, whole snapshots; rot; closing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_env::Instant;
use atoll_env::vfs::{Crash, MemVfs};
use bytes::Bytes;

use super::super::faults::Faulty;
use super::super::model::{History, key};
use super::super::process::{Process, cold_disk};
use super::super::world::{GROUP, REPLICA, group_dir};
use super::super::{Node, Op, simulate};
use super::{check_files, chunks_of, install, sender, snapshot_of};
use crate::snapshot::{SnapshotError, SnapshotReader};
use crate::store::StoreError;
use crate::store::thread::Retry;

/// A connection breaks: the chunks that were on the way are asked for again.
#[test]
fn lately_made_chunks_can_be_had_again() {
    simulate(async {
        let mut history = History::default();
        let mut from = sender(1, &mut history).await;
        let put = Op::Put {
            first: 0,
            count: 600,
            len: 300,
        };
        from.write(&[put], &mut history).await.unwrap();
        assert!(from.checkpoint().await);
        let mut reader = from.group.snapshot().unwrap();
        let all = chunks_of(&mut reader).await;
        let count = all.len() as u64;
        assert!(count > 80, "{count}");
        assert!(reader.next_chunk().await.unwrap().is_none());
        for seq in [count - 1, count - 5, count - 63, 0, 4, 3] {
            check_from(&mut reader, seq, &all).await;
        }
        // Only so far back, or from the beginning.
        reader.seek(0);
        chunks_of(&mut reader).await;
        reader.seek(2);
        let error = reader.next_chunk().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
        check_from(&mut reader, 0, &all).await;
        reader.seek(count + 7);
        assert!(reader.next_chunk().await.unwrap().is_none());
        from.process.kill();
    });
}

/// A few chunks from this one on are those that were given before.
async fn check_from(reader: &mut SnapshotReader, seq: u64, all: &[Bytes]) {
    reader.seek(seq);
    for chunk in all.iter().skip(seq as usize).take(5) {
        assert_eq!(
            reader.next_chunk().await.unwrap().as_ref(),
            Some(chunk),
            "from {seq}"
        );
    }
}

/// A call that nobody waits for to its end loses no chunk and takes none in twice.
#[test]
fn calls_may_be_given_up() {
    simulate(async {
        let mut history = History::default();
        let mut from = Node::start(cold_disk(1000), &history).await.unwrap();
        from.write(&super::entry(0), &mut history).await.unwrap();
        assert!(from.checkpoint().await);
        let mut to = Node::start(cold_disk(0), &history).await.unwrap();
        let clock = to.process.env.clock.clone();
        let mut reader = from.group.snapshot().unwrap();
        let mut writer = to.group.receive(reader.position().clone());
        let (mut given_up, mut told, mut complete) = (0, 0, false);
        while !complete {
            let moment = Duration::from_nanos(1);
            let mut tried = clock.timeout(moment, reader.next_chunk()).await;
            while tried.is_err() {
                tried = Ok(reader.next_chunk().await);
            }
            let chunk = tried.unwrap().unwrap().unwrap();
            let first = clock.timeout(moment, writer.add(chunk.clone())).await;
            given_up += u64::from(first.is_err());
            let added = match first {
                Ok(added) => added,
                Err(_) => writer.add(chunk).await,
            };
            match added {
                Ok(last) => complete = last,
                Err(SnapshotError::OutOfTurn { expected, found }) => {
                    assert_eq!((expected, writer.next_seq()), (found + 1, expected));
                    told += 1;
                    complete = chunks_left(&mut reader).await == 0;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(given_up > 0 && told > 0, "{given_up} given up, {told} told");
        let staged = writer.finish().await.unwrap();
        install(&mut to, staged, &history).await.unwrap();
        to.check();
        to.process.kill();
        from.process.kill();
    });
}

/// How many chunks come behind what was given; the reader stays where it is.
async fn chunks_left(reader: &mut SnapshotReader) -> u64 {
    let mut left = 0;
    let position = reader.next_seq();
    while reader.next_chunk().await.unwrap().is_some() {
        left += 1;
    }
    reader.seek(position);
    left
}

#[test]
fn what_is_given_up_at_any_chunk_leaves_nothing_behind() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let to = Node::start(MemVfs::default(), &history).await.unwrap();
        for count in 1..=sent.1.len() {
            let mut writer = to.group.receive(sent.0.clone());
            for chunk in &sent.1[..count] {
                writer.add(chunk.clone()).await.unwrap();
            }
            assert!(to.files().len() > 1);
            if count == sent.1.len() {
                let staged = writer.finish().await.unwrap();
                drop(staged);
            } else {
                drop(writer);
            }
            assert!(to.settle().await);
            assert_eq!(to.files(), ["MANIFEST"]);
        }
        to.process.kill();
    });
}

/// The same if the process dies: a start removes what no manifest names.
#[test]
fn what_a_stop_leaves_of_a_snapshot_is_removed_at_the_next_start() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let to = Node::start(MemVfs::default(), &History::default()).await.unwrap();
        let staged = super::stage(&to, &sent).await.unwrap();
        assert!(to.files().len() >= 3);
        to.process.kill();
        let vfs = to.process.vfs.crash(Crash::Process);
        let again = Node::start(vfs, &History::default()).await.unwrap();
        assert_eq!(again.files(), ["MANIFEST"]);
        check_names(&again);
        again.process.kill();
        drop(staged);
    });
}

fn check_names(node: &Node) {
    assert!(node.files_of("new").is_empty());
    assert!(node.group.snapshot().is_none());
}

/// Another replica has the value; sent on, rot would become what everybody has.
#[test]
fn a_rotten_value_is_never_sent() {
    simulate(async {
        let mut history = History::default();
        let mut from = Node::start(MemVfs::default(), &history).await.unwrap();
        let put = |first, count, len| Op::Put { first, count, len };
        let ops = [put(0, 50, 60), put(100, 1, 5_000), put(200, 50, 60)];
        from.write_durably(&ops, &mut history).await;
        assert!(from.checkpoint().await);
        from.process.kill();
        let vfs = from.process.vfs.crash(Crash::Process);
        let journal = std::path::Path::new("/data/journal");
        let name = "0000000000000001.jnl";
        let value = from.model.rows[&key(100)].1.clone();
        let bytes = vfs.durable_bytes(&journal.join(name)).unwrap();
        let at = bytes
            .windows(64)
            .position(|window| window == &value[100..164])
            .unwrap();
        // It has read no value yet, and so remembers none.
        let again = Node::open(Process::on(vfs.clone())).await.unwrap().0;
        vfs.flip_bit(&journal.join(name), at as u64, 3);
        let mut reader = again.group.snapshot().unwrap();
        let mut sent = 0;
        let error = loop {
            match reader.next_chunk().await {
                Ok(chunk) => sent += chunk.unwrap().len(),
                Err(error) => break error,
            }
        };
        assert!(sent > 2_000, "what is before it was sent");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        let text = error.to_string();
        assert!(text.contains("key-00100") && text.contains("checksum"), "{text}");
        let again_text = reader.next_chunk().await.unwrap_err().to_string();
        assert_eq!(again_text, text);
        vfs.flip_bit(&journal.join(name), at as u64, 3);
        assert!(
            !chunks_of(&mut reader).await.is_empty(),
            "it was the disk, and goes on"
        );
        again.process.kill();
    });
}

/// The same of a block of rows.
#[test]
fn rotten_rows_are_never_sent() {
    simulate(async {
        let mut history = History::default();
        let from = sender(1, &mut history).await;
        let run = group_dir().join("r-0000000000000001.run");
        from.process.kill();
        let vfs = from.process.vfs.crash(Crash::Process);
        let again = Node::open(Process::on(vfs.clone())).await.unwrap().0;
        vfs.flip_bit(&run, 4096 + 100, 3);
        let error = again.group.snapshot().unwrap().next_chunk().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("run 1"), "{error}");
        again.process.kill();
    });
}

/// The group stays in use as long as anybody may still write to it or read from its files.
#[test]
fn who_sends_or_receives_keeps_the_group_open_and_closing_ends_it() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        let sent = snapshot_of(&from).await;
        let Node {
            process,
            store,
            group,
            writer,
            ..
        } = from;
        let mut reader = group.snapshot().unwrap();
        let mut receiver = group.receive(sent.0.clone());
        receiver.add(sent.1[0].clone()).await.unwrap();
        drop((group, writer));
        let in_use = || matches!(store.open_group(GROUP, REPLICA), Err(StoreError::InUse));
        assert!(in_use());
        store.close().await;
        assert!(
            reader
                .next_chunk()
                .await
                .unwrap_err()
                .to_string()
                .contains("closed")
        );
        assert!(matches!(
            receiver.add(sent.1[1].clone()).await,
            Err(SnapshotError::Io(_))
        ));
        drop(reader);
        assert!(in_use());
        drop(receiver);
        let (group, restored) = store.open_group(GROUP, REPLICA).unwrap();
        assert!(!restored.unwrap().installed);
        drop(group);
        process.kill();
    });
}

#[test]
fn only_the_installed_checkpoint_says_that_it_was_installed() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let mut to = Node::start(MemVfs::default(), &history).await.unwrap();
        let staged = super::stage(&to, &sent).await.unwrap();
        // And nothing is purged.
        to.group.install(&mut to.writer, staged).await.unwrap();
        for expected in [true, false] {
            to.journal.mark().await.unwrap();
            to.process.kill();
            let vfs = to.process.vfs.crash(Crash::LoseAll);
            let (opened, restored) = Node::open(Process::on(vfs.clone())).await.unwrap();
            assert_eq!(restored.unwrap().installed, expected);
            opened.process.kill();
            to = Node::start(vfs, &history).await.unwrap();
            to.write(&super::entry(5), &mut history).await.unwrap();
            assert!(to.checkpoint().await);
            check_files(&to);
        }
        to.process.kill();
    });
}

/// What becomes of a node for some time after a snapshot was installed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Purged,
    /// As a node does once a second; its merges fail meanwhile.
    PurgedAndReclaimed,
}

/// Whether a restart after that would excuse a log that ends before the snapshot.
async fn excuses(after: After) -> bool {
    let mut history = History::default();
    let from = sender(2, &mut history).await;
    let sent = snapshot_of(&from).await;
    from.process.kill();
    let vfs = MemVfs::default();
    let mut node = Node::start(vfs.clone(), &history).await.unwrap();
    let staged = super::stage(&node, &sent).await.unwrap();
    let clock = node.process.env.clock.clone();
    if after == After::PurgedAndReclaimed {
        let long = Instant::from_nanos(clock.now().as_nanos() + 3_600_000_000_000);
        *node.group.0.space.retry.lock() = Some(Retry::after(None, long));
    }
    let restored = node.group.install(&mut node.writer, staged).await.unwrap();
    assert!(restored.installed);
    if after != After::Nothing {
        node.log.purge(restored.checkpoint.applied).await.unwrap();
    }
    if after == After::PurgedAndReclaimed {
        node.store.reclaim().await.unwrap();
    }
    clock.sleep(Duration::from_secs(5)).await;
    node.process.kill();
    let process = Process::on(vfs.crash(Crash::LoseAll));
    let (again, restored) = Node::open(process).await.unwrap();
    let purged_at = again.log.state().purged.map(|purged| purged.index);
    assert_eq!(
        purged_at,
        (after != After::Nothing).then_some(2),
        "what excuses no log is durable before"
    );
    again.process.kill();
    restored.unwrap().installed
}

#[test]
fn a_short_log_is_excused_until_it_was_purged_and_no_longer() {
    simulate(async {
        assert!(excuses(After::Nothing).await);
        assert!(!excuses(After::Purged).await, "from here on it has lost entries");
        assert!(!excuses(After::PurgedAndReclaimed).await, "merges or not");
    });
}

/// Each try syncs the journal.
#[test]
fn what_a_manifest_cannot_forget_is_tried_less_and_less_often() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();
        let faulty = Faulty::on(MemVfs::default());
        let process = Process::through(faulty.inner.clone(), Arc::new(faulty.clone()));
        let mut node = Node::start_on(process, &history).await.unwrap();
        let staged = super::stage(&node, &sent).await.unwrap();
        let restored = node.group.install(&mut node.writer, staged).await.unwrap();
        faulty.refuses_manifests.store(true, Ordering::Relaxed);
        node.log.purge(restored.checkpoint.applied).await.unwrap();
        let clock = node.process.env.clock.clone();
        clock.sleep(Duration::from_secs(2)).await;
        let before = node.journal.stats().syncs;
        for _ in 0..100 {
            node.store.reclaim().await.unwrap();
            clock.sleep(Duration::from_secs(1)).await;
        }
        let syncs = node.journal.stats().syncs - before;
        assert!((3..30).contains(&syncs), "{syncs} syncs in 100 seconds");
        assert!(node.group.0.installed.load(Ordering::Relaxed));
        faulty.refuses_manifests.store(false, Ordering::Relaxed);
        clock.sleep(Duration::from_secs(61)).await;
        node.store.reclaim().await.unwrap();
        clock.sleep(Duration::from_secs(1)).await;
        assert!(!node.group.0.installed.load(Ordering::Relaxed));
        assert!(!node.process.is_halted());
        node.process.kill();
    });
}
