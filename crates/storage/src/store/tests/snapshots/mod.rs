//! Snapshots from one node to another: on sound disks, on disks that crash at every operation and that fail, and while
//! checkpoints are written and merged on both sides.

mod cached;
mod chunks;
mod crash;
mod faults;
mod life;
mod races;
mod round_trip;
mod turns;

use bytes::Bytes;

use super::model::History;
use super::world::id;
use super::{Node, Op};
use crate::snapshot::{SnapshotError, SnapshotPosition, SnapshotReader, StagedSnapshot};

/// Something of everything; each round deletes some of what the one before wrote.
fn entry(round: u16) -> Vec<Op> {
    vec![
        Op::Put {
            first: round * 20,
            count: 40,
            len: 40,
        },
        Op::Put {
            first: 200 + round * 5,
            count: 8,
            len: 3_000,
        },
        Op::Delete {
            first: round * 20 + 5,
            count: 10,
        },
        Op::Append {
            key: 200 + round * 5,
            len: 500,
        },
        Op::Append {
            key: round * 20 + 1,
            len: 30,
        },
        Op::System {
            key: (round % 3) as u8,
            len: (round % 4 != 3).then_some(100),
        },
    ]
}

/// A node's disk is its own; this one has applied so many entries, with a checkpoint after each.
async fn sender(entries: u16, history: &mut History) -> Node {
    let mut node = Node::start(atoll_env::vfs::MemVfs::default(), history)
        .await
        .unwrap();
    for round in 0..entries {
        node.write(&entry(round), history).await.unwrap();
        assert!(node.checkpoint().await);
    }
    node
}

/// A whole snapshot.
type Sent = (SnapshotPosition, Vec<Bytes>);

/// All chunks from where the reader stands.
async fn chunks_of(reader: &mut SnapshotReader) -> Vec<Bytes> {
    let mut chunks = vec![];
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        chunks.push(chunk);
    }
    chunks
}

/// The newest checkpoint of a node that has one.
async fn snapshot_of(node: &Node) -> Sent {
    let mut reader = node.group.snapshot().unwrap();
    assert_eq!(*node.group.durable().borrow(), Some(reader.position().applied));
    (reader.position().clone(), chunks_of(&mut reader).await)
}

/// Takes all chunks in.
async fn stage(node: &Node, (position, chunks): &Sent) -> Result<StagedSnapshot, SnapshotError> {
    let mut writer = node.group.receive(position.clone());
    for (chunk, seq) in chunks.iter().zip(0..) {
        assert_eq!(writer.next_seq(), seq);
        let complete = writer.add(chunk.clone()).await?;
        assert_eq!(complete, seq + 1 == chunks.len() as u64);
    }
    let staged = writer.finish().await?;
    assert_eq!(staged.position(), position);
    Ok(staged)
}

/// Installs a snapshot, and does with the log what has to be done then.
async fn install(node: &mut Node, staged: StagedSnapshot, history: &History) -> Result<(), SnapshotError> {
    let applied = staged.position().applied;
    let restored = node.group.install(&mut node.writer, staged).await?;
    assert!(restored.installed);
    node.take_over(&restored, history);
    assert_eq!(node.group.flushed_index(), applied.index);
    assert_eq!(*node.group.durable().borrow(), Some(applied));
    assert!(!node.is_busy());
    node.log.purge(id(applied.index)).await?;
    Ok(())
}

/// There is the manifest and what it names, and nothing else but a manifest that could not be written.
fn check_files(node: &Node) {
    let below = node.group.index().layers().below.clone();
    let named = below.runs().len() + below.values().len();
    let mut files = node.files();
    files.retain(|name| !name.starts_with("MANIFEST"));
    assert_eq!(files.len(), named, "{files:?}");
}
