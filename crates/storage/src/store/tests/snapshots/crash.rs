//! The process dies or the power goes at every operation of taking a snapshot in, installing it and going on. A start finds
//! the old state or the new one, whole; the log may end before the checkpoint only if that is the installed one.

use atoll_env::vfs::{Crash, MemVfs};
use atoll_types::LogId;
use bytes::Bytes;

use super::super::disk::assert_sound;
use super::super::model::History;
use super::super::process::{Process, play_until_frozen, sealed};
use super::super::world::id;
use super::super::{Node, Op, simulate};
use super::{Sent, check_files, entry, install, sender, snapshot_of, stage};
use crate::journal::LogEntry;

/// What was promised when the disk froze.
#[derive(Clone)]
struct Promised {
    history: History,
    durable: u64,
    flushed: u64,
    /// Operations before the first chunk.
    before: u64,
}

/// Three checkpoints of its own, so that there is something to lose; entries behind them; the snapshot; and more.
async fn script(vfs: &MemVfs, sent: &Sent, promised: &mut Promised) -> Option<()> {
    let mut node = Node::start(vfs.clone(), &promised.history).await.ok()?;
    let played = play(&mut node, sent, promised).await;
    promised.flushed = promised.flushed.max(node.group.flushed_index());
    node.process.kill();
    played
}

async fn play(node: &mut Node, sent: &Sent, promised: &mut Promised) -> Option<()> {
    for round in 0..2 {
        node.write(&entry(round), &mut promised.history.clone()).await?;
        if round == 0 && !node.checkpoint().await {
            return None;
        }
    }
    node.journal.mark().await.ok()?;
    promised.durable = 2;
    contradict(node).await?;
    promised.before = node.process.vfs.operations();
    let staged = stage(node, sent).await.ok()?;
    promised.flushed = node.group.flushed_index();
    install(node, staged, &promised.history).await.ok()?;
    promised.durable = sent.0.applied.index;
    let more = [Op::Put {
        first: 1,
        count: 3,
        len: 200,
    }];
    let durable = node.write(&more, &mut promised.history).await?;
    durable.await.ok()?.ok()?;
    promised.durable += 1;
    node.checkpoint().await.then_some(())
}

/// Entries of a leader that lost, cut off again: they must not be found in the place of the snapshot's.
async fn contradict(node: &Node) -> Option<()> {
    for index in 3..=4 {
        let entry = LogEntry {
            id: LogId { term: 2, ..id(index) },
            kind: 1,
            payload_crc: 0,
            payload: Bytes::new(),
        };
        let done = Box::new(|_| ());
        node.log.append(vec![entry], done).await.ok()?;
    }
    node.journal.mark().await.ok()?;
    node.log.truncate_after(Some(id(2))).await.ok()
}

async fn run(vfs: &MemVfs, sent: &Sent, history: &History) -> Promised {
    let mut promised = Promised {
        history: history.clone(),
        durable: 0,
        flushed: 0,
        before: 0,
    };
    play_until_frozen(vfs, script(vfs, sent, &mut promised)).await;
    promised
}

/// Returns the entry of the checkpoint that it found.
async fn recover_and_check(vfs: MemVfs, mut promised: Promised) -> u64 {
    assert_sound(&vfs);
    let (mut node, restored) = Node::open(Process::on(vfs)).await.unwrap();
    let installed = restored.as_ref().is_some_and(|restored| restored.installed);
    if !installed && node.log.log_id_at(3).is_some_and(|id| id.term == 2) {
        // As the next leader would. An installed checkpoint is never contradicted.
        node.log.truncate_after(Some(id(2))).await.unwrap();
        node.journal.mark().await.unwrap();
    }
    // It checks the state and the log against the history, and that only an installed checkpoint is ahead of its log.
    node.restore(restored, &promised.history).await;
    let (flushed, applied) = (node.group.flushed_index(), node.model.applied);
    assert!(flushed >= promised.flushed, "{flushed} of {}", promised.flushed);
    assert!(applied >= promised.durable, "{applied} of {}", promised.durable);
    check_files(&node);
    node.process.kill();

    let vfs = node.process.vfs.crash(Crash::LoseAll);
    node = Node::start(vfs, &promised.history).await.unwrap();
    assert_eq!(
        (node.group.flushed_index(), node.model.applied),
        (flushed, applied)
    );
    node.write(&entry(9), &mut promised.history).await.unwrap();
    assert!(node.checkpoint().await, "it goes on");
    node.process.kill();

    let vfs = node.process.vfs.crash(Crash::LoseAll);
    node = Node::start(vfs, &promised.history).await.unwrap();
    assert_eq!(node.group.flushed_index(), applied + 1);
    node.check();
    check_files(&node);
    node.process.kill();
    flushed
}

#[test]
fn at_every_operation() {
    simulate(async {
        let mut history = History::default();
        let from = sender(4, &mut history).await;
        let sent = snapshot_of(&from).await;
        from.process.kill();

        let vfs = MemVfs::default();
        let whole = run(&vfs, &sent, &history).await;
        assert_eq!((whole.flushed, whole.durable), (5, 5));
        let operations = vfs.operations();
        let mut found = std::collections::BTreeMap::<u64, u32>::new();
        for operation in whole.before..=operations {
            let frozen = MemVfs::default();
            frozen.freeze_at(operation);
            let promised = run(&frozen, &sent, &history).await;
            for (crash, seed) in [Crash::Process, Crash::LoseAll, Crash::Random]
                .into_iter()
                .zip(0..)
            {
                let flushed = recover_and_check(frozen.fork(seed).crash(crash), promised.clone()).await;
                *found.entry(flushed).or_default() += 1;
            }
        }
        let states: Vec<_> = found.keys().copied().collect();
        assert_eq!(states, [1, 4, 5], "{found:?} of {operations} operations");
    });
}

#[test]
fn at_every_operation_with_sealed_files() {
    sealed(at_every_operation);
}
