//! One group's checkpoints.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atoll_env::watch;
use atoll_types::{GroupKey, LogId, Version};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::maintenance::Shared;
use super::planner::Avoided;
use super::relief::Member;
use super::space::Space;
use super::thread::Retry;
use crate::index::{Ask, Below, GroupIndex, IndexWriter, Layers, Memory, Missed, ValueFiles};
use crate::journal::ReadError;
use crate::manifest::{FolderError, GroupFolder, Manifest, RunEntry, ValueFileEntry};
use crate::run::{Run, RunError, RunIdentity, RunValue, SPACE_SYSTEM};
use crate::snapshot::SnapshotPosition;
use crate::value_file::{ValueFile, ValueFileError, ValueFileId};

/// A row that the state machine keeps for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemRow {
    /// Its key, of at most 64 bytes.
    pub key: Bytes,
    /// Its value, of at most 4 MiB; `None`: the row is gone.
    pub value: Option<Bytes>,
}

/// Everything that was made of a group's log up to one entry, but for the rows of users, which are frozen with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The entry.
    pub applied: LogId,
    /// The group's last version there.
    pub version: Version,
    /// The membership there, opaque.
    pub membership: Bytes,
    /// The entry that made it.
    pub membership_id: Option<LogId>,
    /// What changed in the rows of the system since the checkpoint before, by key.
    pub rows: Vec<SystemRow>,
}

impl Checkpoint {
    pub(super) fn position(&self) -> SnapshotPosition {
        SnapshotPosition {
            applied: self.applied,
            version: self.version,
            membership: self.membership.clone(),
            membership_id: self.membership_id,
        }
    }
}

/// What a restart, or a replica that has installed a snapshot, begins with. The rows of users are in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The last checkpoint, with all rows of the system, by key.
    pub checkpoint: Checkpoint,
    /// The checkpoint is a snapshot that was installed. Only then the group's log may end before it: there was no time to purge
    /// it.
    pub installed: bool,
}

/// Why a group's checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// One of its runs.
    #[error("{}: {error}", file.display())]
    Run {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: RunError,
    },
    /// One of its value files.
    #[error("{}: {error}", file.display())]
    Values {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: ValueFileError,
    },
    /// It is a run, but not the one that the manifest names.
    #[error("{} is not the run that the manifest names", file.display())]
    OtherRun {
        /// Its file.
        file: PathBuf,
    },
    /// A row of the system is not what such rows are.
    #[error("a row of the system has no bytes of its own")]
    SystemRow,
    /// Rows that it must begin with.
    #[error("the rows of the system cannot be read: {0}")]
    Rows(#[from] Missed),
    /// It is open, or was until now and something of it is still being written.
    #[error("the group is in use")]
    InUse,
    /// The operating system could not read or write.
    #[error("the checkpoint could not be opened")]
    Io(#[from] io::Error),
}

impl StoreError {
    /// True if another try may succeed: nothing is known to be wrong with what stands on the disk.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::InUse | Self::Io(_) | Self::Folder(FolderError::Io(_)) => true,
            Self::Run { error, .. } => matches!(error, RunError::Io(_)),
            Self::Values { error, .. } => matches!(error, ValueFileError::Io(_)),
            Self::Rows(missed) => matches!(missed, Missed::WouldBlock | Missed::Failed(ReadError::Io(_))),
            Self::Folder(_) | Self::OtherRun { .. } | Self::SystemRow => false,
        }
    }
}

/// What is frozen and waits to be written.
pub(super) struct Frozen {
    pub(super) memory: Arc<Memory>,
    pub(super) checkpoint: Checkpoint,
    /// The journal bytes that the rows point at are known to be durable.
    pub(super) synced: AtomicBool,
}

pub(super) struct Inner {
    pub(super) node: Arc<Shared>,
    pub(super) key: GroupKey,
    pub(super) index: GroupIndex,
    pub(super) folder: AsyncMutex<GroupFolder>,
    pub(super) frozen: Mutex<Option<Arc<Frozen>>>,
    /// Something is frozen: the same as above, for whoever applies.
    pub(super) busy: Arc<AtomicBool>,
    /// Its part in the memory of all groups.
    pub(super) member: Arc<Member>,
    /// Bytes of entries applied since the last checkpoint began.
    pub(super) log_bytes: AtomicU64,
    /// The newest entry that a durable checkpoint has.
    pub(super) flushed: AtomicU64,
    /// The newest durable checkpoint; it changes together with the layers that have it, under this lock.
    pub(super) durable: Mutex<Option<SnapshotPosition>>,
    /// Its entry, for those who wait for it.
    pub(super) durable_at: watch::Sender<Option<LogId>>,
    /// Runs that could not be read whole: they are not merged for a while.
    pub(super) rotten: Mutex<Avoided<u64>>,
    pub(super) space: Space,
    /// The manifest may excuse a log that ends too early, and should not for longer than it must.
    pub(super) installed: AtomicBool,
    /// The last checkpoint could not be written.
    pub(super) flush_retry: Mutex<Option<Retry>>,
}

/// One group's checkpoints and its index. A cheap handle.
#[derive(Clone)]
pub struct GroupStore(pub(super) Arc<Inner>);

impl GroupStore {
    pub(super) fn new(
        node: Arc<Shared>,
        key: GroupKey,
        index: GroupIndex,
        folder: GroupFolder,
        durable: Option<SnapshotPosition>,
    ) -> Self {
        let applied = durable.as_ref().map(|position| position.applied);
        let busy = Arc::<AtomicBool>::default();
        let member = Member::new(key, busy.clone());
        node.relief.join(&member);
        Self(Arc::new(Inner {
            node,
            key,
            index,
            folder: AsyncMutex::new(folder),
            frozen: Mutex::new(None),
            busy,
            member,
            log_bytes: AtomicU64::new(0),
            flushed: AtomicU64::new(applied.map_or(0, |applied| applied.index)),
            durable: Mutex::new(durable),
            durable_at: watch::Sender::new(applied),
            rotten: Mutex::default(),
            space: Space::new(),
            installed: AtomicBool::new(false),
            flush_retry: Mutex::default(),
        }))
    }

    /// The group's rows.
    pub fn index(&self) -> &GroupIndex {
        &self.0.index
    }

    /// Index of the newest entry that a restart need not apply again; 0 if there is none.
    pub fn flushed_index(&self) -> u64 {
        self.0.flushed.load(Ordering::Acquire)
    }

    /// How many runs the group's rows stand in, and how many bytes these have.
    pub fn runs(&self) -> (usize, u64) {
        let layers = self.0.index.layers();
        let runs = layers.below.runs();
        (runs.len(), runs.iter().map(|run| run.summary().file_len).sum())
    }

    /// Counts an entry that was applied; true if it is time for a checkpoint. Cheap: it is asked for every entry.
    pub fn note_applied(&self, writer: &IndexWriter, payload_bytes: usize) -> bool {
        let log_bytes = self.0.log_bytes.load(Ordering::Relaxed) + payload_bytes as u64;
        self.0.log_bytes.store(log_bytes, Ordering::Relaxed);
        self.note_unflushed();
        let bytes = writer.count_bytes();
        self.0.member.note(bytes);
        let options = &self.0.node.options;
        let due = log_bytes >= options.checkpoint_log
            || bytes >= options.checkpoint_memory
            || self.wants_checkpoint_for_space();
        (due || self.is_chosen()) && !self.0.busy.load(Ordering::Acquire)
    }

    /// True if nothing is being written of the group, so that a checkpoint may begin, and there is something to write.
    pub fn may_checkpoint(&self, applied: u64) -> bool {
        applied > self.flushed_index() && !self.0.busy.load(Ordering::Acquire)
    }

    /// Freezes what is applied, between two entries, and has it written in the background. Call only when
    /// [`GroupStore::note_applied`] or [`GroupStore::may_checkpoint`] said so.
    pub fn checkpoint(&self, writer: &mut IndexWriter, checkpoint: Checkpoint) {
        debug_assert!(!self.0.busy.load(Ordering::Acquire), "one checkpoint at a time");
        let memory = writer.freeze();
        // First, or a flush that a retry has begun could end in between, and the group would be busy for ever.
        self.0.busy.store(true, Ordering::Release);
        self.0.member.begins_anew();
        *self.0.frozen.lock() = Some(Arc::new(Frozen {
            memory,
            checkpoint,
            synced: AtomicBool::new(false),
        }));
        self.0.log_bytes.store(0, Ordering::Relaxed);
        self.0.space.note_frozen();
        self.0.node.enqueue(self.clone());
    }

    /// Puts other layers into the place of those of now, of which a checkpoint of this position has become durable. While the
    /// folder is held; nothing is frozen from here on.
    pub(super) fn advance(&self, position: SnapshotPosition, change: impl FnOnce(&Layers) -> Layers) {
        let applied = position.applied;
        let mut durable = self.0.durable.lock();
        self.0.index.replace(change);
        *durable = Some(position);
        drop(durable);
        self.0.flushed.store(applied.index, Ordering::Release);
        *self.0.frozen.lock() = None;
        self.0.busy.store(false, Ordering::Release);
        self.0.durable_at.send_replace(Some(applied));
    }

    /// Removes what nobody needs: what a failed attempt has begun goes at once, it may be what fills the disk. What cannot
    /// be removed now is tried again the next time.
    pub(super) async fn clean(&self) {
        if let Err(error) = self.0.folder.lock().await.collect_garbage() {
            tracing::warn!(group = %self.0.key, %error, "files that nobody needs could not be removed");
        }
    }

    /// The folder cannot be written to any more.
    pub(super) async fn is_broken(&self) -> bool {
        self.0.folder.lock().await.is_broken()
    }

    /// Opens what the manifest names.
    pub(super) fn open(
        node: Arc<Shared>,
        key: GroupKey,
        folder: GroupFolder,
        manifest: Option<Manifest>,
    ) -> Result<(Self, Option<Restored>), StoreError> {
        let Some((manifest, applied)) = manifest.and_then(|manifest| {
            let applied = manifest.applied?;
            Some((manifest, applied))
        }) else {
            let index = GroupIndex::first(&node.rows);
            return Ok((Self::new(node, key, index, folder, None), None));
        };
        let runs = manifest
            .runs
            .iter()
            .map(|entry| open_run(&node, key, &folder, entry));
        let runs = runs.collect::<Result<_, _>>()?;
        let values = open_values(&node, key, &folder, &manifest)?;
        let below = Below::new(runs, values, manifest.horizon);
        let checkpoint = Checkpoint {
            applied,
            version: manifest.last_version,
            membership: manifest.membership,
            membership_id: manifest.membership_id,
            rows: system_rows(&below)?,
        };
        let index = GroupIndex::restored(checkpoint.version, applied.index, below, &node.rows);
        let store = Self::new(node, key, index, folder, Some(checkpoint.position()));
        let installed = manifest.installed == Some(applied);
        store
            .0
            .installed
            .store(manifest.installed.is_some(), Ordering::Relaxed);
        let restored = Restored {
            checkpoint,
            installed,
        };
        Ok((store, Some(restored)))
    }
}

fn open_run(
    node: &Shared,
    group: GroupKey,
    folder: &GroupFolder,
    entry: &RunEntry,
) -> Result<Arc<Run>, StoreError> {
    let number = entry.number;
    // The folder has opened everything that its manifest names.
    let file = folder
        .run(number)
        .ok_or(io::Error::from(io::ErrorKind::NotFound))?;
    let path = file.path().to_owned();
    let identity = RunIdentity {
        identity: node.identity,
        group,
        number,
    };
    let run = match Run::open(file, identity, node.cache.clone()) {
        Ok(run) => run,
        Err(error) => return Err(StoreError::Run { file: path, error }),
    };
    if run.summary().footer_crc != entry.footer_crc {
        return Err(StoreError::OtherRun { file: path });
    }
    Ok(Arc::new(run))
}

/// Every value file that the manifest names.
fn open_values(
    node: &Shared,
    group: GroupKey,
    folder: &GroupFolder,
    manifest: &Manifest,
) -> Result<ValueFiles, StoreError> {
    let mut values = ValueFiles::new();
    for ValueFileEntry { number, .. } in &manifest.value_files {
        let file = folder
            .value_file(*number)
            .ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        let path = file.path().to_owned();
        let id = ValueFileId {
            identity: node.identity,
            group,
            number: *number,
        };
        match ValueFile::open(file, id) {
            Ok(file) => values.insert(*number, Arc::new(file)),
            Err(error) => return Err(StoreError::Values { file: path, error }),
        };
    }
    Ok(values)
}

/// The newest rows of the system, by key, without those that are gone.
pub(crate) fn system_rows(below: &Below) -> Result<Vec<SystemRow>, StoreError> {
    let ask = Ask {
        reverse: false,
        at: Version(u64::MAX),
        most: usize::MAX,
        wait: true,
        keep: false,
    };
    let found = below.raw_rows((&[SPACE_SYSTEM], &[]), ask)?;
    let mut rows = Vec::with_capacity(found.len());
    for (key, _, value) in found {
        let key = Bytes::copy_from_slice(key.get(1..).unwrap_or_default());
        match value {
            RunValue::Inline { bytes, .. } => rows.push(SystemRow {
                key,
                // Not a part of its block, which it would keep in memory.
                value: Some(Bytes::copy_from_slice(&bytes)),
            }),
            RunValue::Tombstone => {}
            RunValue::Journal(_) | RunValue::Filed(_) | RunValue::Joined(_) => {
                return Err(StoreError::SystemRow);
            }
        }
    }
    Ok(rows)
}
