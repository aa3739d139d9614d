//! Whoever sends many rows of which nothing comes lets others have their turn.

use std::time::Duration;

use atoll_env::vfs::MemVfs;
use atoll_types::Version;

use super::super::model::History;
use super::super::world::id;
use super::super::{Node, simulate};
use crate::index::{InlineValue, ValueRef};
use crate::journal::value_crc;
use crate::snapshot::TURN_ROWS;
use crate::store::Checkpoint;

/// The only chunk of a checkpoint of which nothing is sent; others are served before it is made.
async fn holds_up_nobody(from: &Node) {
    let mut reader = from.group.snapshot().unwrap();
    let done = std::cell::RefCell::new(vec![]);
    let chunk = async {
        let chunk = reader.next_chunk().await.unwrap();
        done.borrow_mut().push("chunk");
        chunk
    };
    let other = async {
        from.group.snapshot_thread().run(async {}).await.unwrap();
        done.borrow_mut().push("other");
    };
    let (last, ()) = tokio::join!(chunk, other);
    assert!(last.is_some(), "the end, and nothing before it");
    assert_eq!(*done.borrow(), ["other", "chunk"]);
    assert!(reader.next_chunk().await.unwrap().is_none());
}

impl Node {
    /// Publishes an entry, and makes a checkpoint of it.
    async fn keep_entry(&mut self, entry: u64, version: Version) {
        self.writer.publish(version, entry);
        let checkpoint = Checkpoint {
            applied: id(entry),
            version,
            ..Checkpoint::default()
        };
        self.group.checkpoint(&mut self.writer, checkpoint);
        while self.is_busy() {
            self.sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Rows that say that a key is gone are not sent, however many: others are served meanwhile.
#[test]
fn many_removed_rows_hold_up_nobody() {
    simulate(async {
        let history = History::default();
        let mut from = Node::start(MemVfs::default(), &history).await.unwrap();
        let rows = 2 * TURN_ROWS as u64 + 10;
        for entry in 1..3 {
            from.writer.begin(0);
            for row in 0..rows {
                let version = Version(entry * rows + row);
                from.writer
                    .delete(format!("{entry} {row:08}").as_bytes(), version);
            }
            from.keep_entry(entry, Version((entry + 1) * rows)).await;
        }
        holds_up_nobody(&from).await;
        from.process.kill();
    });
}

/// Nor are versions of one key that were kept and are of no use any more.
#[test]
fn many_old_versions_hold_up_nobody() {
    simulate(async {
        let history = History::default();
        let mut from = Node::start(MemVfs::default(), &history).await.unwrap();
        let versions = 2 * TURN_ROWS as u64 + 10;
        from.writer.keep_history(Some(Version::ZERO));
        from.writer.begin(0);
        // Of a key that was never there nothing is noted.
        let value = InlineValue::new(b"value", value_crc(b"key", b"value")).unwrap();
        from.writer.put(b"key", Version(1), ValueRef::Inline(value));
        for version in 2..=versions {
            from.writer.delete(b"key", Version(version));
        }
        from.keep_entry(1, Version(versions)).await;
        let runs = from.group.index().layers().below.runs().to_vec();
        assert_eq!(runs[0].summary().replaced, versions - 1);
        from.writer.keep_history(None);
        holds_up_nobody(&from).await;
        from.process.kill();
    });
}
