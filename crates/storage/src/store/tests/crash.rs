//! The process dies or the power goes at every operation of a script with checkpoints and a merge. A start finds the last
//! checkpoint that was reported, or a later one, applies what the log has behind it, and goes on.

use atoll_env::vfs::{Crash, MemVfs};

use super::model::History;
use super::process::{play_until_frozen, sealed};
use super::{Node, Op, simulate};

/// What was promised when the disk froze.
#[derive(Clone, Default)]
struct Promised {
    history: History,
    /// The newest entry known to be durable.
    durable: u64,
    /// The newest checkpoint that was reported as flushed.
    flushed: u64,
}

/// Entries of all kinds; each round deletes some of what the one before wrote.
fn entry(round: u16) -> Vec<Op> {
    vec![
        Op::Put {
            first: round * 3,
            count: 9,
            len: 40,
        },
        Op::Put {
            first: 100 + round * 2,
            count: 5,
            len: 3_000,
        },
        Op::Delete {
            first: round * 3 + 2,
            count: 4,
        },
        Op::Append {
            key: 100 + round * 2,
            len: 500,
        },
        Op::System {
            key: (round % 3) as u8,
            len: (round % 4 != 3).then_some(100),
        },
    ]
}

/// Five checkpoints, each begun over entries that are not known to be durable; the fourth brings a merge.
async fn script(vfs: &MemVfs, promised: &mut Promised) -> Option<()> {
    let mut node = Node::start(vfs.clone(), &promised.history).await.ok()?;
    for round in 0..5 {
        let played = play_round(&mut node, round, promised).await;
        promised.flushed = node.group.flushed_index();
        if played.is_none() {
            node.process.kill();
            return None;
        }
    }
    node.process.kill();
    Some(())
}

async fn play_round(node: &mut Node, round: u16, promised: &mut Promised) -> Option<()> {
    let durable = node.write(&entry(round * 3), &mut promised.history).await?;
    durable.await.ok()?.ok()?;
    promised.durable = node.model.applied;
    node.write(&entry(round * 3 + 1), &mut promised.history).await?;
    assert!(node.begin_checkpoint());
    // Applied while the checkpoint is written.
    node.write(&entry(round * 3 + 2), &mut promised.history).await?;
    node.settle().await.then_some(())
}

async fn play(vfs: &MemVfs) -> Promised {
    let mut promised = Promised::default();
    play_until_frozen(vfs, script(vfs, &mut promised)).await;
    promised
}

async fn recover_and_check(vfs: MemVfs, mut promised: Promised) {
    let mut node = Node::start(vfs, &promised.history).await.unwrap();
    let (flushed, applied) = (node.group.flushed_index(), node.model.applied);
    assert!(flushed >= promised.flushed, "{flushed} of {}", promised.flushed);
    assert!(
        applied >= promised.durable.max(flushed),
        "{applied} of {}",
        promised.durable
    );
    check_files(&node);
    node.process.kill();

    let vfs = node.process.vfs.crash(Crash::LoseAll);
    node = Node::start(vfs, &promised.history).await.unwrap();
    let again = (node.group.flushed_index(), node.model.applied);
    assert_eq!(
        again,
        (flushed, applied),
        "what a start has shown must not vanish"
    );
    node.write(&entry(40), &mut promised.history).await.unwrap();
    assert!(node.checkpoint().await, "it goes on");
    assert_eq!(node.group.flushed_index(), applied + 1);
    node.process.kill();

    let vfs = node.process.vfs.crash(Crash::LoseAll);
    node = Node::start(vfs, &promised.history).await.unwrap();
    assert_eq!(node.group.flushed_index(), applied + 1);
    check_files(&node);
    node.process.kill();
}

/// Right after a start there is the manifest and what it names.
fn check_files(node: &Node) {
    let (files, runs) = (node.files(), node.group.index().layers().below.runs().len());
    assert_eq!(node.files_of("run").len(), runs, "{files:?}");
    let others = files.len() - runs;
    assert!(
        others == 0 || files.contains(&"MANIFEST".to_owned()) && others == 1,
        "{files:?}"
    );
}

#[test]
fn at_every_operation() {
    simulate(async {
        let vfs = MemVfs::default();
        let whole = play(&vfs).await;
        assert_eq!((whole.flushed, whole.durable), (14, 13));
        let operations = vfs.operations();
        assert!(operations > 100, "{operations}");
        for operation in 1..=operations {
            let frozen = MemVfs::default();
            frozen.freeze_at(operation);
            let promised = play(&frozen).await;
            for (crash, seed) in [Crash::Process, Crash::LoseAll, Crash::Random, Crash::Random]
                .into_iter()
                .zip(0..)
            {
                recover_and_check(frozen.fork(seed).crash(crash), promised.clone()).await;
            }
        }
    });
}

#[test]
fn at_every_operation_with_sealed_files() {
    sealed(at_every_operation);
}
