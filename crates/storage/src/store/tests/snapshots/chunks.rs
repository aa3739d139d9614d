//! Chunks that are not what was sent, or come in another order, are refused, and the right ones still taken.

use atoll_env::vfs::MemVfs;
use bytes::Bytes;

use super::super::model::History;
use super::super::{Node, Op, simulate};
use super::{Sent, install, sender, snapshot_of, stage};
use crate::snapshot::{SnapshotError, SnapshotWriter};

const HEADER: usize = 84;

/// A few chunks, and a node without anything.
async fn world() -> (Sent, Node, History) {
    let mut history = History::default();
    let from = sender(1, &mut history).await;
    let snapshot = snapshot_of(&from).await;
    from.process.kill();
    assert!(snapshot.1.len() > 5, "{}", snapshot.1.len());
    let to = Node::start(MemVfs::default(), &history).await.unwrap();
    (snapshot, to, history)
}

/// The chunk is refused, and it makes no difference.
async fn refused(writer: &mut SnapshotWriter, chunk: Bytes) -> SnapshotError {
    let seq = writer.next_seq();
    let error = writer.add(chunk).await.expect_err("it must be refused");
    assert!(!matches!(error, SnapshotError::Io(_)), "{error}");
    assert_eq!(writer.next_seq(), seq);
    error
}

#[test]
fn every_flipped_bit_is_refused_and_the_right_chunk_taken() {
    simulate(async {
        let (snapshot, mut to, history) = world().await;
        let mut writer = to.group.receive(snapshot.0.clone());
        for chunk in &snapshot.1 {
            // All bits of what is not a value of thousands of bytes.
            let bits = (0..chunk.len() * 8)
                .filter(|bit| *bit < 1600 || bit % 97 == 0 || *bit > chunk.len() * 8 - 64);
            for bit in bits {
                let mut damaged = chunk.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let error = refused(&mut writer, damaged.into()).await;
                assert!(matches!(error, SnapshotError::Damaged(_)), "{error}");
            }
            let cut = chunk.slice(..chunk.len() - 1);
            assert!(matches!(
                refused(&mut writer, cut).await,
                SnapshotError::Damaged(_)
            ));
            writer.add(chunk.clone()).await.unwrap();
        }
        let staged = writer.finish().await.unwrap();
        install(&mut to, staged, &history).await.unwrap();
        to.check();
        to.process.kill();
    });
}

#[test]
fn chunks_out_of_turn_are_refused_and_named() {
    simulate(async {
        let (snapshot, to, _) = world().await;
        let mut writer = to.group.receive(snapshot.0.clone());
        for (at, chunk) in snapshot.1.iter().enumerate() {
            let others = snapshot.1.iter().zip(0_u64..);
            for (other, found) in others.filter(|(_, found)| *found != at as u64) {
                let error = refused(&mut writer, other.clone()).await;
                let named = matches!(error, SnapshotError::OutOfTurn { expected, found: said }
                    if expected == at as u64 && said == found);
                assert!(named, "{error}");
            }
            writer.add(chunk.clone()).await.unwrap();
        }
        let last = snapshot.1.last().unwrap();
        assert!(matches!(
            refused(&mut writer, last.clone()).await,
            SnapshotError::OutOfTurn { .. }
        ));
        to.process.kill();
    });
}

#[test]
fn what_has_not_come_to_its_end_is_not_installed() {
    simulate(async {
        let (mut snapshot, to, _) = world().await;
        snapshot.1.pop();
        let mut writer = to.group.receive(snapshot.0.clone());
        for chunk in &snapshot.1 {
            assert!(!writer.add(chunk.clone()).await.unwrap());
        }
        assert!(matches!(writer.finish().await, Err(SnapshotError::Incomplete)));
        let nothing = to.group.receive(snapshot.0.clone());
        assert!(matches!(nothing.finish().await, Err(SnapshotError::Incomplete)));
        assert!(to.settle().await);
        assert_eq!(to.files(), ["MANIFEST"]);
        to.process.kill();
    });
}

/// The same rows of the same checkpoint, pinned twice, are two snapshots.
#[test]
fn chunks_of_another_snapshot_do_not_mix_with_these() {
    simulate(async {
        let mut history = History::default();
        let from = sender(2, &mut history).await;
        let (one, other) = (snapshot_of(&from).await, snapshot_of(&from).await);
        assert_eq!(one.1.len(), other.1.len());
        let mut writer = from.group.receive(one.0.clone());
        writer.add(one.1[0].clone()).await.unwrap();
        for chunk in &other.1 {
            let error = refused(&mut writer, chunk.clone()).await;
            assert!(matches!(error, SnapshotError::Foreign), "{error}");
        }
        // Even if it says that it is of this one: it follows other chunks than those that came.
        let claimed = changed(&other.1[1], |chunk| {
            chunk[48..64].copy_from_slice(&one.1[0][48..64]);
        });
        assert!(matches!(
            refused(&mut writer, claimed).await,
            SnapshotError::Contradiction("a chunk follows others than those that came")
        ));
        for field in [16, 32, 40] {
            let foreign = changed(&one.1[1], |chunk| chunk[field] ^= 1);
            assert!(matches!(
                refused(&mut writer, foreign).await,
                SnapshotError::Foreign
            ));
        }
        from.process.kill();
    });
}

/// Another chunk with the right sum.
fn changed(chunk: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut chunk = chunk[..chunk.len() - 4].to_vec();
    change(&mut chunk);
    let sum = crc32fast::hash(&chunk);
    chunk.extend(sum.to_le_bytes());
    chunk.into()
}

/// Another chunk whose rows, one range of bytes each, were changed.
fn with_rows(chunk: &Bytes, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Bytes {
    let mut rest = &chunk[HEADER..chunk.len() - 4];
    let mut rows = vec![];
    while !rest.is_empty() {
        let key = usize::from(u16::from_le_bytes(rest[..2].try_into().unwrap()));
        let value = u32::from_le_bytes(rest[2..6].try_into().unwrap()) as usize;
        let (row, others) = rest.split_at(18 + key + value);
        rows.push(row.to_vec());
        rest = others;
    }
    change(&mut rows);
    changed(chunk, |chunk| {
        chunk.truncate(HEADER);
        chunk.extend(rows.concat());
        let len = (chunk.len() - HEADER) as u32;
        chunk[72..76].copy_from_slice(&(rows.len() as u32).to_le_bytes());
        chunk[76..80].copy_from_slice(&len.to_le_bytes());
    })
}

/// Sums that are right do not make rows right.
#[test]
fn a_sender_that_is_wrong_is_refused() {
    simulate(async {
        let (snapshot, to, _) = world().await;
        let chunk = &snapshot.1[1];
        let wrong = [
            (with_rows(chunk, |rows| rows.swap(0, 1)), "the keys do not ascend"),
            (
                with_rows(chunk, |rows| rows.insert(0, rows[0].clone())),
                "the keys do not ascend",
            ),
            (
                with_rows(chunk, |rows| *rows[0].last_mut().unwrap() ^= 1),
                "a value does not match its checksum",
            ),
            (
                with_rows(chunk, |rows| rows[1][14] ^= 1),
                "a value does not match its checksum",
            ),
            (
                with_rows(chunk, |rows| rows[0][18] = 2),
                "a row has no known space",
            ),
        ];
        let mut writer = to.group.receive(snapshot.0.clone());
        writer.add(snapshot.1[0].clone()).await.unwrap();
        for (chunk, expected) in wrong {
            let error = refused(&mut writer, chunk).await;
            assert!(
                matches!(error, SnapshotError::Contradiction(what) if what == expected),
                "{error}"
            );
        }
        // The rows of another chunk in the place of this one's.
        let first = changed(&snapshot.1[0], |chunk| {
            chunk[64..72].copy_from_slice(&snapshot.1[1][64..72]);
            chunk[80..84].copy_from_slice(&snapshot.1[1][80..84]);
        });
        assert!(matches!(
            refused(&mut writer, first).await,
            SnapshotError::Contradiction("the keys do not ascend")
        ));
        for chunk in &snapshot.1[1..snapshot.1.len() - 1] {
            writer.add(chunk.clone()).await.unwrap();
        }
        let last = snapshot.1.last().unwrap();
        for (at, bits, expected) in [
            (HEADER, 1, "its totals are not what came"),
            (HEADER + 8, 1, "its totals are not what came"),
            // The group's last version, which only the sender knows, made lower than that of rows.
            (HEADER + 16, last[HEADER + 16], "a row is newer than the snapshot"),
            (HEADER + 24, 1, "it is of another point of the log"),
            (last.len() - 5, 1, "it is of another point of the log"),
        ] {
            let error = refused(&mut writer, changed(last, |chunk| chunk[at] ^= bits)).await;
            assert!(
                matches!(error, SnapshotError::Contradiction(what) if what == expected),
                "{error}"
            );
        }
        // A row less than the last chunk says.
        assert!(writer.add(last.clone()).await.unwrap());
        to.process.kill();
    });
}

#[test]
fn a_chunk_that_is_left_out_is_missed_even_if_the_numbers_fit() {
    simulate(async {
        let (snapshot, to, _) = world().await;
        let mut writer = to.group.receive(snapshot.0.clone());
        writer.add(snapshot.1[0].clone()).await.unwrap();
        let renumbered = changed(&snapshot.1[2], |chunk| chunk[64] = 1);
        assert!(matches!(
            refused(&mut writer, renumbered).await,
            SnapshotError::Contradiction("a chunk follows others than those that came")
        ));
        // All of the chain is forged: the totals still tell.
        let mut rest = snapshot.1[2..].to_vec();
        let mut before = crc32fast::hash(&sum_of(&snapshot.1[0]));
        for (chunk, seq) in rest.iter_mut().zip(1_u64..) {
            *chunk = changed(chunk, |chunk| {
                chunk[64..72].copy_from_slice(&seq.to_le_bytes());
                chunk[80..84].copy_from_slice(&before.to_le_bytes());
            });
            let mut sums = crc32fast::Hasher::new_with_initial(before);
            sums.update(&sum_of(chunk));
            before = sums.finalize();
        }
        let last = rest.pop().unwrap();
        for chunk in rest {
            writer.add(chunk).await.unwrap();
        }
        assert!(matches!(
            refused(&mut writer, last).await,
            SnapshotError::Contradiction("its totals are not what came")
        ));
        to.process.kill();
    });
}

fn sum_of(chunk: &Bytes) -> [u8; 4] {
    chunk[chunk.len() - 4..].try_into().unwrap()
}

#[test]
fn a_snapshot_of_another_point_than_was_agreed_on_is_refused() {
    simulate(async {
        let (mut snapshot, to, _) = world().await;
        snapshot.0.membership = Bytes::from_static(b"others");
        assert!(matches!(
            stage(&to, &snapshot).await.map(drop),
            Err(SnapshotError::Contradiction("it is of another point of the log"))
        ));
        to.process.kill();
    });
}

#[test]
fn a_snapshot_older_than_what_is_applied_is_refused() {
    simulate(async {
        let (snapshot, mut to, mut history) = world().await;
        let staged = stage(&to, &snapshot).await.unwrap();
        for _ in 0..2 {
            to.write(&[Op::Append { key: 1, len: 9 }], &mut history)
                .await
                .unwrap();
        }
        let refused = install(&mut to, staged, &history).await;
        assert!(matches!(
            refused,
            Err(SnapshotError::Outdated {
                snapshot: 1,
                applied: 2
            })
        ));
        to.check();
        assert!(to.settle().await);
        assert_eq!(to.files(), ["MANIFEST"]);
        assert!(to.checkpoint().await);
        to.check();
        to.process.kill();
    });
}
