//! Everything on the disk is read again, and what rots is found.

mod bits;
mod leave;
mod life;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::model::{History, Op};
use super::process::{Process, simulate};
use super::world::{DATA, GROUP, Node, OPTIONS, group_dir};
use crate::store::{Finding, Scrub, ScrubOptions, StoreOptions};

/// Values leave the journal early, and value files have a few of them.
const TIGHT: StoreOptions = StoreOptions {
    journal_budget: 96 * 1024,
    value_file_bytes: 24 * 1024,
    ..OPTIONS
};
/// One round a second.
const OFTEN: ScrubOptions = ScrubOptions {
    bytes_per_second: 1 << 40,
    period: Duration::from_secs(1),
    first_after: Duration::ZERO,
};

/// A node with files of all kinds that are not written to any more.
async fn node_with_files(process: Process) -> (Node, History) {
    node_with_values(process, 1_500).await
}

/// The same with values of this length.
async fn node_with_values(process: Process, len: usize) -> (Node, History) {
    let mut history = History::default();
    let mut node = Node::start_with(process, TIGHT, &history).await.unwrap();
    for round in 0..8_u16 {
        let ops = [
            Op::Put {
                first: round * 10,
                count: 9,
                len,
            },
            Op::Put {
                first: round * 10 + 9,
                count: 20,
                len: 20,
            },
            Op::System {
                key: round as u8,
                len: Some(40),
            },
        ];
        node.write(&ops, &mut history).await.unwrap();
        assert!(node.checkpoint().await);
        node.sleep(Duration::from_secs(3)).await;
    }
    assert!(!node.files_of("val").is_empty(), "{:?}", node.files());
    assert!(node.journal.ends().is_some_and(|ends| ends.newest > ends.oldest));
    (node, history)
}

/// Waits for a round that began after this call to end.
async fn whole_round(node: &Node, scrub: &Scrub) -> Vec<Finding> {
    let clock = &node.process.env.clock;
    let now = clock.wall_ms();
    for _ in 0..10_000 {
        let status = scrub.status();
        if status.last.is_some_and(|last| last.began_ms > now) {
            return status.findings;
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
    panic!("no round ends: {:?}", scrub.status());
}

/// Every file that a round looks at, whole paths: the newest segment is none.
fn files(node: &Node) -> Vec<PathBuf> {
    let mut files = vec![group_dir().join("MANIFEST")];
    for extension in ["run", "val"] {
        let names = node.files_of(extension).into_iter();
        files.extend(names.map(|name| group_dir().join(name)));
    }
    let ends = node.journal.ends().unwrap();
    let journal = Path::new(DATA).join("journal");
    files.extend((ends.oldest..ends.newest).map(|id| journal.join(crate::journal::file_name(id))));
    files
}

fn in_data(path: &Path) -> &Path {
    path.strip_prefix(DATA).unwrap()
}
