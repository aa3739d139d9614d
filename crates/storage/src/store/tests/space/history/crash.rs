//! The power goes at every operation of a script with checkpoints, merges and a window that moves.

use super::*;

fn entry(round: u16) -> Vec<Op> {
    vec![
        Op::Put {
            first: 0,
            count: 20,
            len: 40 + usize::from(round),
        },
        Op::Put {
            first: 100 + round,
            count: 5,
            len: 3_000,
        },
        Op::Delete {
            first: round,
            count: 4,
        },
        Op::Append {
            key: 100 + round,
            len: 500,
        },
    ]
}

const ROUNDS: u16 = 5;

fn keeps() -> Keeps {
    Keeps(vec![(1, u64::MAX, 4)])
}

/// The highest horizon there was, and what was written.
type Played = (Version, History);

async fn script(vfs: &MemVfs, (highest, history): &mut Played) -> Option<()> {
    let opened = Node::open_with(Process::on(vfs.clone()), TIGHT).await;
    let (mut node, restored) = opened.ok()?;
    node.keeps = keeps();
    node.restore(restored, history).await;
    for round in 0..ROUNDS {
        if node.write(&entry(round), history).await.is_none() {
            break;
        }
        *highest = node.horizon().unwrap_or(Version(node.model.version));
        if !node.begin_checkpoint() || !node.settle().await {
            break;
        }
    }
    node.process.kill();
    Some(())
}

async fn play(vfs: &MemVfs) -> Played {
    let mut played = (Version::ZERO, History::default());
    play_until_frozen(vfs, script(vfs, &mut played)).await;
    played
}

async fn recover(vfs: MemVfs, (highest, history): &Played) {
    let mut history = history.clone();
    let mut node = start(Process::on(vfs), &keeps(), &history).await;
    let mut random = fastrand::Rng::with_seed(3);
    node.write(&entry(40), &mut history).await.unwrap();
    assert!(node.checkpoint().await, "it goes on");
    let view = node.group.index().view();
    let (horizon, last) = (view.horizon(), view.version());
    assert!(horizon <= (*highest).max(node.horizon().unwrap_or(last)));
    let versions = vec![horizon.0, random.u64(horizon.0..=last.0), last.0];
    Past::of(&history, node.model.applied).check_at(&node, &view, versions, &mut random);
    drop(view);
    node.process.kill();
}

#[test]
fn at_every_operation_of_a_moving_window() {
    simulate(async {
        let vfs = MemVfs::default();
        play(&vfs).await;
        let operations = vfs.operations();
        assert!(operations > 100, "{operations}");
        for operation in 1..=operations {
            let frozen = MemVfs::default();
            frozen.freeze_at(operation);
            let played = play(&frozen).await;
            let crash = [Crash::Process, Crash::LoseAll, Crash::Random][operation as usize % 3];
            recover(frozen.crash(crash), &played).await;
        }
    });
}
