//! What stands on the disk of a node with sealed files: nothing of what was written to it.

use std::path::{Path, PathBuf};

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs};

use super::disk::sealed;
use super::model::History;
use super::world::{DATA, group_dir};
use super::{Node, Op, simulate};

fn files(vfs: &MemVfs) -> Vec<PathBuf> {
    let folders = [Path::new(DATA).join("journal"), group_dir()];
    let of = |dir: PathBuf| {
        let names = vfs.list(&dir).unwrap();
        names.into_iter().map(move |name| dir.join(name))
    };
    folders.into_iter().flat_map(of).collect()
}

/// In how many files one of these stands.
fn files_with(vfs: &MemVfs, needles: &[Vec<u8>]) -> usize {
    let has = |path: &PathBuf| {
        let bytes = vfs.durable_bytes(path).unwrap();
        let found = |needle: &Vec<u8>| bytes.windows(needle.len()).any(|window| window == &needle[..]);
        needles.iter().any(found)
    };
    files(vfs).iter().filter(|path| has(path)).count()
}

/// A disk with values in the journal and keys, short values and pointers in runs, and pieces of all of them.
async fn written() -> (MemVfs, Vec<Vec<u8>>) {
    let (vfs, mut history) = (MemVfs::default(), History::default());
    let mut node = Node::start(vfs.clone(), &history).await.unwrap();
    let put = |first, count, len| Op::Put { first, count, len };
    for round in 0..3 {
        let ops = [
            put(round * 9, 3, 700),
            put(round * 9 + 3, 1, 9_000),
            put(round * 9 + 4, 4, 40),
        ];
        let durable = node.write(&ops, &mut history).await.unwrap();
        durable.await.unwrap().unwrap();
        assert!(node.checkpoint().await);
    }
    node.check();
    let rows = node.model.rows.iter();
    let needles = rows.flat_map(|(key, (_, value))| [key.clone(), value[value.len() / 2..][..16].to_vec()]);
    let mut needles: Vec<_> = needles.collect();
    // The magics of the formats are not to be seen either.
    needles.extend([&b"ATOLJNL"[..], b"ATOLRUN", b"ATOLMAN", b"ATOLDUR"].map(<[u8]>::to_vec));
    node.store.close().await;
    node.journal.close().await;
    node.process.kill();
    (vfs.crash(Crash::Process), needles)
}

#[test]
fn sealed_files_show_nothing_that_was_written() {
    let look = || {
        let (vfs, needles) = simulate(written());
        (files_with(&vfs, &needles), files(&vfs).len())
    };
    let (shown, all) = look();
    assert!(shown >= 4, "without encryption it is there: {shown} of {all}");
    sealed(|| assert_eq!(look().0, 0));
}
