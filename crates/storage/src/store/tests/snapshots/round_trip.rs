//! What one node has, the other one has, and goes on with.

use atoll_env::vfs::{Crash, MemVfs};
use proptest::prelude::*;

use super::super::model::{History, KEYS};
use super::super::script::op;
use super::super::{Node, Op, simulate};
use super::{check_files, install, snapshot_of, stage};

type Entries = Vec<(Vec<Op>, bool)>;

fn entries(count: std::ops::Range<usize>) -> impl Strategy<Value = Entries> {
    prop::collection::vec((prop::collection::vec(op(), 0..5), any::<bool>()), count)
}

/// A node that has applied these entries, with a checkpoint after some.
async fn node_with(entries: &[(Vec<Op>, bool)], history: &mut History) -> Node {
    let mut node = Node::start(MemVfs::default(), history).await.unwrap();
    for (ops, checkpoint) in entries {
        node.write(ops, history).await.unwrap();
        if *checkpoint {
            node.checkpoint().await;
        }
    }
    node
}

/// Sends all of `entries` to a node that has the first `known` of them, or to one that has nothing.
async fn send(entries: &Entries, known: usize, crash: Crash) {
    let mut history = History::default();
    let mut from = node_with(entries, &mut history).await;
    from.checkpoint().await;
    let snapshot = snapshot_of(&from).await;
    let known = known.min(entries.len());
    let mut to = node_with(&entries[..known], &mut History::default()).await;

    let before = (to.group.index().view(), to.model.clone());
    let staged = stage(&to, &snapshot).await.unwrap();
    to.check();
    install(&mut to, staged, &history).await.unwrap();
    assert_eq!(to.model, from.model);
    to.check();
    super::super::look::check_view(&before.0, &before.1, &to.journal);
    drop(before);

    // Both go on with the same.
    let more = [Op::Append { key: 7, len: 300 }, Op::Delete { first: 3, count: 9 }];
    for node in [&mut from, &mut to] {
        node.write(&more, &mut history).await.unwrap();
        assert!(node.checkpoint().await);
        node.check();
        check_files(node);
    }
    to.journal.mark().await.unwrap();
    to.process.kill();
    let mut again = Node::start(to.process.vfs.crash(crash), &history).await.unwrap();
    assert_eq!(again.model, from.model);
    again.check();
    let (sent, sent_again) = (snapshot_of(&from).await, snapshot_of(&again).await);
    assert_eq!(sent.0, sent_again.0);
    assert_eq!(rows(&sent.1), rows(&sent_again.1));
    again.process.kill();
    from.process.kill();
}

/// What chunks have, but for what makes each snapshot another.
fn rows(chunks: &[bytes::Bytes]) -> Vec<&[u8]> {
    chunks.iter().map(|chunk| &chunk[84..chunk.len() - 4]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_is_the_same_on_the_other_side(
        entries in entries(1..12), known in 0..12_usize,
        crash in prop::sample::select(vec![Crash::Process, Crash::LoseAll]),
    ) {
        simulate(send(&entries, known, crash));
    }
}

#[test]
fn long_values_fill_several_value_files_and_many_chunks() {
    simulate(async {
        let put = |len| Op::Put {
            first: 0,
            count: KEYS,
            len,
        };
        let entries: Entries = vec![(vec![put(1_000)], true), (vec![put(700)], false)];
        let mut history = History::default();
        let mut from = node_with(&entries, &mut history).await;
        assert!(from.checkpoint().await);
        let snapshot = snapshot_of(&from).await;
        assert!(snapshot.1.len() > 150, "{}", snapshot.1.len());
        let mut to = Node::start(MemVfs::default(), &history).await.unwrap();
        let staged = stage(&to, &snapshot).await.unwrap();
        install(&mut to, staged, &history).await.unwrap();
        to.check();
        let files = to.files_of("val");
        assert!(files.len() > 5, "{files:?}");
        let layers = to.group.index().layers();
        let journal = &layers.below.runs()[0].summary().journal_bytes;
        assert!(
            journal.is_empty(),
            "nothing points into a journal that has nothing"
        );
        to.process.kill();
        from.process.kill();
    });
}

/// A group without rows can be sent too.
#[test]
fn an_empty_checkpoint_is_one_chunk() {
    simulate(async {
        let mut history = History::default();
        let mut from = node_with(&[(vec![], false)], &mut history).await;
        assert!(from.group.snapshot().is_none(), "nothing is durable yet");
        assert_eq!(*from.group.durable().borrow(), None);
        assert!(from.checkpoint().await);
        let snapshot = snapshot_of(&from).await;
        assert_eq!(snapshot.1.len(), 1);
        let mut to = Node::start(MemVfs::default(), &history).await.unwrap();
        let staged = stage(&to, &snapshot).await.unwrap();
        install(&mut to, staged, &history).await.unwrap();
        assert_eq!(to.model.applied, 1);
        to.check();
        to.process.kill();
        from.process.kill();
    });
}
