//! The process dies or the power goes at every operation of a script in which values move and value files are collected.
//! What could have been freed before is not there any more afterwards, and nothing is missed.

use atoll_env::vfs::{Crash, MemVfs};

use super::super::disk::assert_sound;
use super::super::process::sealed;
use super::*;

#[derive(Clone, Default)]
struct Promised {
    history: History,
    durable: u64,
    flushed: u64,
    /// Segments that were free to go when the disk froze.
    gone: u32,
    /// Value files ever named.
    files: u32,
}

fn entry(round: u16) -> Vec<Op> {
    vec![
        Op::Put {
            first: round * 3,
            count: 6,
            // Every other one packs.
            len: 1_500 + usize::from(round % 2) * 3,
        },
        Op::Append {
            key: (round * 3).saturating_sub(4),
            len: 300,
        },
        Op::Delete {
            first: (round * 3).saturating_sub(9),
            count: 7,
        },
        Op::put(200 + round % 3, 9_000),
    ]
}

async fn script(veil: &Veil, promised: &mut Promised) -> Option<()> {
    let node = Node::start_with(veil.process(), TIGHT, &promised.history).await;
    let mut node = node.ok()?;
    for round in 0..6 {
        let played = play_round(&mut node, round, promised).await;
        promised.flushed = node.group.flushed_index();
        if !veil.inner.is_frozen() {
            node.veil(veil);
            promised.gone = veil.hidden();
            promised.files = promised
                .files
                .max(node.value_numbers().last().copied().unwrap_or(0));
        }
        if played.is_none() {
            node.process.kill();
            return None;
        }
    }
    node.process.kill();
    Some(())
}

async fn play_round(node: &mut Node, round: u16, promised: &mut Promised) -> Option<()> {
    let durable = node.write(&entry(round * 2), &mut promised.history).await?;
    durable.await.ok()?.ok()?;
    promised.durable = node.model.applied;
    node.begin_checkpoint();
    node.write(&entry(round * 2 + 1), &mut promised.history).await?;
    node.settle().await.then_some(())
}

async fn play(vfs: &MemVfs) -> Promised {
    let mut promised = Promised::default();
    let veil = Veil::over(vfs.clone());
    play_until_frozen(vfs, script(&veil, &mut promised)).await;
    promised
}

async fn recover_and_check(vfs: MemVfs, mut promised: Promised) {
    assert_sound(&vfs);
    let veil = Veil::over(vfs);
    let node = Node::start_with(veil.process(), TIGHT, &promised.history).await;
    let mut node = node.unwrap();
    let (flushed, applied) = (node.group.flushed_index(), node.model.applied);
    assert!(flushed >= promised.flushed, "{flushed} of {}", promised.flushed);
    assert!(applied >= promised.durable.max(flushed));
    veil.hide(promised.gone);
    node.check_rows();
    let low = node.store.low_water();
    assert!(
        low.is_none_or(|low| low >= promised.gone),
        "{low:?} of {}",
        promised.gone
    );
    // It goes on: values move again, and at last only what is named is there.
    for round in 20..22 {
        node.write(&entry(round), &mut promised.history).await.unwrap();
        assert!(node.checkpoint().await);
        node.veil(&veil);
        node.check_rows();
    }
    let (runs, values) = (node.files_of("run"), node.files_of("val"));
    assert_eq!(runs.len(), node.group.index().layers().below.runs().len());
    assert_eq!(values.len(), node.value_numbers().len());
    node.process.kill();
}

#[test]
fn at_every_operation() {
    simulate(async {
        let vfs = MemVfs::default();
        let whole = play(&vfs).await;
        assert!(
            whole.files > 4 && whole.gone > 3,
            "{} {}",
            whole.files,
            whole.gone
        );
        let operations = vfs.operations();
        assert!(operations > 200, "{operations}");
        for operation in 1..=operations {
            let frozen = MemVfs::default();
            frozen.freeze_at(operation);
            let promised = play(&frozen).await;
            for (crash, seed) in [Crash::Process, Crash::LoseAll, Crash::Random]
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
