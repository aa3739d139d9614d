//! History goes along with a snapshot.

use bytes::Bytes;

use super::*;
use crate::snapshot::{SnapshotError, StagedSnapshot};

/// Sends the newest checkpoint of a node to another one, in chunks that are cut where keys go on; some are asked for twice.
async fn send(from: &Node, to: &Node) -> StagedSnapshot {
    let mut reader = from.group.snapshot().unwrap();
    let mut writer = to.group.receive(reader.position().clone());
    let mut seq = 0;
    loop {
        let chunk = reader.next_chunk().await.unwrap().unwrap();
        if seq % 3 == 2 {
            reader.seek(seq);
            assert_eq!(reader.next_chunk().await.unwrap(), Some(chunk.clone()));
        }
        seq += 1;
        if writer.add(chunk).await.unwrap() {
            return writer.finish().await.unwrap();
        }
    }
}

async fn install(node: &mut Node, staged: StagedSnapshot, history: &History) {
    let index = staged.position().applied;
    let restored = node.group.install(&mut node.writer, staged).await.unwrap();
    node.take_over(&restored, history);
    node.log.purge(index).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_one_could_read_the_other_can(
        entries in prop::collection::vec((prop::collection::vec(op(), 0..5), any::<bool>()), 1..14),
        keeps in keeps(),
        known in 0..14_usize,
    ) {
        simulate(async {
            let mut play = Play::begin(cold_disk(0), keeps.clone()).await;
            for (ops, checkpoint) in &entries {
                play.step(Step::Entry(ops.clone())).await;
                if *checkpoint {
                    play.step(Step::Begin).await;
                    play.step(Step::Settle).await;
                }
            }
            play.step(Step::Begin).await;
            play.step(Step::Settle).await;
            let mut to = Play::begin(cold_disk(0), keeps).await;
            for (ops, _) in entries.iter().take(known) {
                to.step(Step::Entry(ops.clone())).await;
            }
            let staged = send(&play.node, &to.node).await;
            let view = play.node.group.index().view();
            install(&mut to.node, staged, &play.history).await;
            to.history = play.history.clone();
            to.highest = play.highest;
            prop_assert_eq!(to.node.group.index().view().horizon(), view.horizon());
            drop(view);
            to.check();
            to.step(Step::Entry(vec![all(70), Op::Delete { first: 5, count: 50 }])).await;
            to.step(Step::Begin).await;
            to.step(Step::Settle).await;
            to.check();
            to.restart(Crash::LoseAll).await;
            to.end().await;
            play.end().await;
            Ok(())
        })?;
    }
}

/// A sum that is right does not make a row of it that may stand there.
#[test]
fn history_in_a_snapshot_is_looked_at() {
    simulate(async {
        let mut play = Play::begin(cold_disk(0), Keeps(vec![(0, u64::MAX, 99)])).await;
        play.step(Step::Entry(vec![
            all(20),
            all(30),
            Op::Delete { first: 0, count: 9 },
        ]))
        .await;
        play.step(Step::Begin).await;
        play.step(Step::Settle).await;
        let to = Play::begin(cold_disk(0), Keeps::default()).await;
        let mut reader = play.node.group.snapshot().unwrap();
        let position = reader.position().clone();
        let chunk = reader.next_chunk().await.unwrap().unwrap();
        // The first row is a deletion of the first key: its length, version, sum.
        let row = 84;
        assert_eq!(&chunk[row + 2..row + 6], &[0xff; 4]);
        let changed = |at: usize, byte: u8| {
            let mut bytes = chunk[..chunk.len() - 4].to_vec();
            bytes[at] ^= byte;
            let sum = crc32fast::hash(&bytes);
            bytes.extend(sum.to_le_bytes());
            Bytes::from(bytes)
        };
        // A version of the deletion below that of the next row. Another sum. No value, and no history either.
        for (at, byte) in [(row + 7, 0x04), (row + 14, 1), (12, 2)] {
            let mut writer = to.node.group.receive(position.clone());
            let refused = writer.add(changed(at, byte)).await;
            assert!(
                matches!(
                    refused,
                    Err(SnapshotError::Contradiction(_) | SnapshotError::Damaged(_))
                ),
                "{at}: {refused:?}"
            );
            assert!(
                !writer.add(chunk.clone()).await.unwrap(),
                "the right one may still come"
            );
        }
        to.end().await;
        play.end().await;
    });
}
