//! A disk that fails at one operation in the folders of groups, at each in turn, or that is full for a while.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use atoll_env::vfs::{Crash, File, MemVfs, OpenMode};
use atoll_env::{BoxFuture, Clock, Vfs};

use super::model::History;
use super::process::Process;
use super::{Node, Op, simulate};

/// Passes everything on, but for one operation that changes something in a group's folder.
#[derive(Clone)]
pub(super) struct Faulty {
    pub(super) inner: MemVfs,
    seen: Arc<AtomicU64>,
    fails: Arc<AtomicU64>,
    /// Syncs of the journal wait.
    pub(super) held: Arc<AtomicBool>,
    /// No manifest can be written.
    pub(super) refuses_manifests: Arc<AtomicBool>,
}

impl Faulty {
    pub(super) fn on(inner: MemVfs) -> Self {
        Self {
            inner,
            seen: Arc::default(),
            fails: Arc::default(),
            held: Arc::default(),
            refuses_manifests: Arc::default(),
        }
    }

    /// Fails at the operation that comes after so many others.
    pub(super) fn arm(&self, after: u64) {
        self.fails.store(self.seen() + after + 1, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    fn step(&self, path: &Path) -> io::Result<()> {
        if !path.starts_with("/data/groups") {
            return Ok(());
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen == self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk failed once"));
        }
        Ok(())
    }
}

impl Vfs for Faulty {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode == OpenMode::CreateNew {
            self.step(path)?;
        }
        if path.ends_with("MANIFEST.new") && self.refuses_manifests.load(Ordering::Relaxed) {
            return Err(io::Error::other("no manifest can be written"));
        }
        Ok(Arc::new(FaultyFile {
            inner: self.inner.open(path, mode)?,
            path: path.to_owned(),
            vfs: self.clone(),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(path)?;
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(dir)?;
        self.inner.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.inner.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_bytes(dir)
    }
}

struct FaultyFile {
    inner: Arc<dyn File>,
    path: std::path::PathBuf,
    vfs: Faulty,
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.inner.try_read_at(buffer, offset)
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        match self.vfs.step(&self.path) {
            Ok(()) => self.inner.write_at(bytes, offset),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        let clock = Clock::simulated(1.0, 0);
        Box::pin(async move {
            self.vfs.step(&self.path)?;
            while self.path.starts_with("/data/journal") && self.vfs.held.load(Ordering::Relaxed) {
                clock.sleep(Duration::from_millis(1)).await;
            }
            self.inner.sync().await
        })
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.inner.forget_cached()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

fn entry(round: u16) -> Vec<Op> {
    vec![
        Op::Put {
            first: round * 50,
            count: 300,
            len: 40,
        },
        Op::Put {
            first: round,
            count: 2,
            len: 3_000,
        },
        Op::Delete {
            first: round * 3,
            count: 40,
        },
        Op::System {
            key: round as u8,
            len: Some(90),
        },
    ]
}

/// A node with so many checkpoints on a disk that may fail.
async fn node_with(checkpoints: u16) -> (Node, Faulty, History) {
    let faulty = Faulty::on(MemVfs::default());
    let process = Process::through(faulty.inner.clone(), Arc::new(faulty.clone()));
    let mut history = History::default();
    let mut node = Node::start_on(process, &history).await.unwrap();
    for round in 0..checkpoints {
        node.write(&entry(round), &mut history).await.unwrap();
        assert!(node.checkpoint().await);
    }
    node.write(&entry(checkpoints), &mut history).await.unwrap();
    (node, faulty, history)
}

/// Waits for longer than any failed attempt does.
async fn settle_in_time(node: &Node) -> bool {
    for _ in 0..30 {
        if node.process.is_halted() {
            return false;
        }
        if node.settle().await {
            return true;
        }
    }
    panic!("neither done nor halted");
}

/// One operation fails. Returns whether the process stopped because of it.
async fn fails_once(before: u16, after: u64) -> bool {
    let (mut node, faulty, mut history) = node_with(before).await;
    faulty.arm(after);
    assert!(node.begin_checkpoint());
    let frozen_at = node.frozen_at;
    node.sleep(Duration::from_millis(100)).await;
    // Reads and writes go on, whatever is the matter.
    node.write(&entry(7), &mut history).await.unwrap();
    node.check();
    let halted = !settle_in_time(&node).await;
    if !halted {
        assert_eq!(node.group.flushed_index(), frozen_at);
        assert!(node.checkpoint().await, "the next one is written too");
        let unready = node.files_of("new");
        assert!(unready.is_empty(), "{unready:?}");
    }
    node.journal.mark().await.unwrap();
    node.process.kill();
    for crash in [Crash::Process, Crash::LoseAll] {
        let vfs = faulty.inner.fork(1).crash(crash);
        let mut again = Node::start(vfs, &history).await.unwrap();
        assert_eq!(again.model, node.model);
        again.write(&entry(8), &mut history).await.unwrap();
        assert!(again.checkpoint().await);
        again.process.kill();
    }
    halted
}

/// How many operations a checkpoint takes after so many others.
async fn operations_of(before: u16) -> u64 {
    let (mut node, faulty, _) = node_with(before).await;
    let seen = faulty.seen();
    assert!(node.checkpoint().await);
    node.process.kill();
    faulty.seen() - seen
}

/// The very first checkpoint, one above others, and one that brings a merge.
#[test]
fn at_every_operation_nothing_is_lost_and_it_is_tried_again_or_the_process_stops() {
    simulate(async {
        for before in [0, 1, 3] {
            let operations = operations_of(before).await;
            let mut halts = 0;
            for after in 0..operations {
                halts += u64::from(fails_once(before, after).await);
            }
            // Renaming a file and syncing its name, twice for a run and its manifest.
            let [names, files] = [4, if before == 3 { 2 } else { 1 }];
            let first = if before == 0 { 2 } else { 0 };
            assert_eq!(halts, names * files + first, "of {operations} operations");
        }
    });
}

/// What a failed attempt has begun must not be what keeps the disk full.
#[test]
fn a_full_disk_is_not_filled_further_and_the_checkpoint_comes_when_there_is_room() {
    simulate(async {
        let (mut node, faulty, mut history) = node_with(1).await;
        node.journal.mark().await.unwrap();
        let files = node.files();
        faulty.inner.set_free_bytes(15_000);
        assert!(node.begin_checkpoint());
        for _ in 0..20 {
            node.sleep(Duration::from_secs(7)).await;
            assert!(!node.process.is_halted());
            assert!(node.is_busy());
            assert_eq!(node.files(), files, "nothing is left of a failed attempt");
            node.check();
        }
        assert!(faulty.inner.faults().full > 2, "it was tried again");
        faulty.inner.set_free_bytes(1 << 30);
        node.sleep(Duration::from_secs(61)).await;
        assert!(node.settle().await);
        assert_eq!(node.group.flushed_index(), node.frozen_at);
        node.check();
        node.write(&entry(5), &mut history).await.unwrap();
        assert!(node.checkpoint().await);
        node.process.kill();
    });
}

/// Rows may be applied that are on the disks of others only: no checkpoint has them before this one's has.
#[test]
fn a_checkpoint_waits_for_the_journal() {
    simulate(async {
        let (mut node, faulty, mut history) = node_with(1).await;
        node.journal.mark().await.unwrap();
        faulty.held.store(true, Ordering::Relaxed);
        node.write(&entry(3), &mut history).await.unwrap();
        assert!(node.begin_checkpoint());
        node.sleep(Duration::from_secs(5)).await;
        assert_eq!(node.group.flushed_index(), 1);
        assert_eq!(
            node.files().len(),
            2,
            "a run of it may not even be named: {:?}",
            node.files()
        );
        let lost = faulty.inner.fork(0).crash(Crash::LoseAll);
        let again = Node::start(lost, &history).await.unwrap();
        assert_eq!((again.group.flushed_index(), again.model.applied), (1, 2));
        again.process.kill();
        faulty.held.store(false, Ordering::Relaxed);
        assert!(node.settle().await);
        assert_eq!(node.group.flushed_index(), 3);
        node.process.kill();
        let vfs = faulty.inner.crash(Crash::LoseAll);
        let mut node = Node::start(vfs, &history).await.unwrap();
        assert_eq!(node.model.applied, 3);
        node.check();
        node.process.kill();
    });
}
