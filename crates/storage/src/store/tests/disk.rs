//! The disk of a node that ran and stopped, for whoever looks at disks from outside.

use std::path::{Path, PathBuf};

use atoll_env::Env;
use atoll_env::vfs::{Crash, MemVfs};
use atoll_types::{GroupGen, GroupId, GroupKey, LogId, ReplicaId};
use bytes::Bytes;

use super::model::History;
use super::process::Process;
use super::{Node, Op};
use crate::check::CheckOptions;
use crate::journal::{AppendDone, GroupLog, Journal, JournalOptions, LogEntry};
use crate::manifest::{FolderOwner, GroupFolder, Manifest};

pub(crate) use super::process::{sealed, simulate};
pub(crate) use super::world::{GROUP, IDENTITY, REPLICA, group_dir};

/// A second group.
pub(crate) const OTHER: GroupKey = GroupKey::new(GroupId(0x20), GroupGen(1));
/// Segments are made ahead, so the files of freed ones are used again.
const AHEAD: JournalOptions = JournalOptions {
    segment_bytes: 32 * 1024,
    preallocate: true,
    tail_bytes: 1 << 20,
    cache_bytes: 0,
};

/// The data directory.
pub(crate) fn data() -> &'static Path {
    Path::new(super::world::DATA)
}

/// The journal's folder.
pub(crate) fn journal_dir() -> PathBuf {
    data().join("journal")
}

/// A process on a disk that does nothing.
pub(crate) fn env(vfs: &MemVfs) -> Env {
    Process::on(vfs.clone()).env
}

/// Starts a node on a disk, lets it write entries and checkpoints of all kinds, and stops it. `false` if the disk did
/// not let it come to the end.
pub(crate) async fn write(vfs: &MemVfs) -> bool {
    let mut history = History::default();
    let Ok(mut node) = Node::start(vfs.clone(), &history).await else {
        return false;
    };
    let done = write_all(&mut node, &mut history).await.is_some();
    if done {
        node.store.close().await;
        node.journal.close().await;
    }
    node.process.kill();
    done
}

async fn write_all(node: &mut Node, history: &mut History) -> Option<()> {
    for round in 0..3_u16 {
        let first = round * 20;
        let ops = [
            Op::Put {
                first,
                count: 30,
                len: 20,
            },
            Op::put(first + 40, 600),
            Op::put(first + 42, 300),
            Op::Append {
                key: first + 40,
                len: 200,
            },
            Op::Append {
                key: first + 1,
                len: 50,
            },
            Op::Delete {
                first: first + 5,
                count: 3,
            },
            Op::System {
                key: round as u8,
                len: Some(40),
            },
        ];
        node.write(&ops, history).await?.await.ok()?.ok()?;
        // The last round stands in the log alone.
        if round < 2 && !node.checkpoint().await {
            return None;
        }
    }
    Some(())
}

/// The disk of a node that gave up the front of its log.
pub(crate) async fn purged(vfs: &MemVfs) -> MemVfs {
    let (node, _) = Node::open(Process::on(vfs.clone())).await.unwrap();
    node.log.purge(super::world::id(1)).await.unwrap();
    node.store.close().await;
    node.journal.close().await;
    node.process.kill();
    vfs.crash(Crash::Process)
}

/// Writes a journal whose front was freed and whose newest segment stands in a file that was used before, beside a checkpoint
/// of what the log gave up. `false` if the disk did not let it come to the end.
pub(crate) async fn write_freed(vfs: &MemVfs) -> bool {
    let process = Process::on(vfs.clone());
    let done = free(&process).await.is_some();
    process.kill();
    done
}

async fn free(process: &Process) -> Option<()> {
    let journal = Journal::open(&process.env, &journal_dir(), IDENTITY, AHEAD).await;
    let journal = journal.ok()?;
    let log = journal.create_group(GROUP, REPLICA).await.ok()?;
    while journal.segments().newest < 4 {
        append(&log).await?;
    }
    let applied = log.state().last?;
    change_manifest(process, |manifest| manifest.applied = Some(applied)).await?;
    log.purge(applied).await.ok()?;
    journal.free_before(u32::MAX).await.ok()?;
    while journal.stats().segments_recycled == 0 {
        append(&log).await?;
    }
    append(&log).await?;
    journal.close().await;
    Some(())
}

async fn append(log: &GroupLog) -> Option<()> {
    let payload = Bytes::from(vec![7; 3_000]);
    let entry = LogEntry {
        id: super::world::id(log.state().last.map_or(1, |last| last.index + 1)),
        kind: 1,
        payload_crc: crc32fast::hash(&payload),
        payload,
    };
    let (done, durable) = tokio::sync::oneshot::channel();
    let done: AppendDone = Box::new(move |result| drop(done.send(result)));
    log.append(vec![entry], done).await.ok()?;
    durable.await.ok()?.ok()
}

async fn change_manifest(process: &Process, change: impl FnOnce(&mut Manifest)) -> Option<()> {
    let owner = FolderOwner {
        identity: IDENTITY,
        group: GROUP,
        replica: REPLICA,
    };
    let (mut folder, manifest) = GroupFolder::open(&process.env, data(), owner).ok()?;
    let mut manifest = manifest.unwrap_or_default();
    change(&mut manifest);
    folder.commit(manifest).await.ok()
}

/// The manifest of a stopped node says that a snapshot was installed, and up to where it goes.
pub(crate) async fn install(vfs: &MemVfs, installed: u64, applied: u64) {
    let change = |manifest: &mut Manifest| {
        let id = |index| {
            Some(LogId {
                index,
                ..super::world::id(1)
            })
        };
        (manifest.installed, manifest.applied) = (id(installed), id(applied));
    };
    let changed = change_manifest(&Process::on(vfs.clone()), change).await;
    changed.unwrap();
}

/// A journal that was damaged where [`GROUP`] was created, and gave up that segment since.
pub(crate) async fn damaged_and_freed() -> MemVfs {
    let process = Process::on(MemVfs::default());
    let open = async |process: &Process| {
        let journal = Journal::open(&process.env, &journal_dir(), IDENTITY, AHEAD).await;
        journal.unwrap()
    };
    let journal = open(&process).await;
    let damaged = journal.create_group(GROUP, REPLICA).await.unwrap();
    let log = journal.create_group(OTHER, ReplicaId(9)).await.unwrap();
    for log in [&damaged, &log] {
        append(log).await.unwrap();
    }
    process.kill();
    let vfs = process.vfs.crash(Crash::LoseAll);
    vfs.flip_bit(&journal_dir().join("0000000000000001.jnl"), 4096 + 70, 3);
    let process = Process::on(vfs.crash(Crash::Process));
    let journal = open(&process).await;
    let log = journal.group(OTHER).unwrap();
    log.purge(log.state().last.unwrap()).await.unwrap();
    assert!(journal.free_before(u32::MAX).await.unwrap() > 1);
    journal.close().await;
    process.kill();
    process.vfs.crash(Crash::LoseAll)
}

/// What a crash left is sound to whoever looks at every byte.
#[track_caller]
pub(crate) fn assert_sound(vfs: &MemVfs) {
    let deep = CheckOptions { deep: true };
    let report = crate::check::check(&env(vfs), data(), IDENTITY, deep, &mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:#?}");
}

/// The disk of a node that was stopped in order.
pub(crate) async fn stopped() -> MemVfs {
    let vfs = MemVfs::default();
    assert!(write(&vfs).await);
    vfs.crash(Crash::Process)
}

/// True if a node starts on a disk with all its parts, and its rows can be read.
pub(crate) async fn starts(vfs: &MemVfs) -> bool {
    let opened = Node::open(Process::on(vfs.clone())).await;
    let Ok((node, _)) = opened else { return false };
    node.process.kill();
    true
}
