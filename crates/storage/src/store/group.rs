//! One group's checkpoints.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atoll_types::{GroupKey, LogId, Version};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::maintenance::Shared;
use crate::index::{Ask, Below, GroupIndex, IndexWriter, Memory, Missed};
use crate::journal::ReadError;
use crate::manifest::{FolderError, GroupFolder, Manifest, RunEntry};
use crate::run::{Run, RunError, RunIdentity, RunValue, SPACE_SYSTEM};

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

/// What a restart begins with. The rows of users are in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The last checkpoint, with all rows of the system, by key.
    pub checkpoint: Checkpoint,
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
    pub(super) busy: AtomicBool,
    /// Bytes of entries applied since the last checkpoint began.
    pub(super) log_bytes: AtomicU64,
    /// The newest entry that a durable checkpoint has.
    pub(super) flushed: AtomicU64,
    /// Runs that could not be read whole: they are not merged before the next start.
    pub(super) rotten: Mutex<BTreeSet<u64>>,
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
        flushed: u64,
    ) -> Self {
        Self(Arc::new(Inner {
            node,
            key,
            index,
            folder: AsyncMutex::new(folder),
            frozen: Mutex::new(None),
            busy: AtomicBool::new(false),
            log_bytes: AtomicU64::new(0),
            flushed: AtomicU64::new(flushed),
            rotten: Mutex::default(),
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
        let options = &self.0.node.options;
        let due = log_bytes >= options.checkpoint_log || writer.memory_bytes() >= options.checkpoint_memory;
        due && !self.0.busy.load(Ordering::Acquire)
    }

    /// Freezes what is applied, between two entries, and has it written in the background. Call only when
    /// [`GroupStore::note_applied`] said so.
    pub fn checkpoint(&self, writer: &mut IndexWriter, checkpoint: Checkpoint) {
        debug_assert!(!self.0.busy.load(Ordering::Acquire), "one checkpoint at a time");
        let memory = writer.freeze();
        // First, or a flush that a retry has begun could end in between, and the group would be busy for ever.
        self.0.busy.store(true, Ordering::Release);
        *self.0.frozen.lock() = Some(Arc::new(Frozen {
            memory,
            checkpoint,
            synced: AtomicBool::new(false),
        }));
        self.0.log_bytes.store(0, Ordering::Relaxed);
        self.0.node.enqueue(self.clone());
    }

    /// Does what waits to be done in the background.
    pub(super) async fn maintain(&self) -> io::Result<()> {
        let done = match self.flush().await {
            Ok(()) => self.merge().await,
            Err(error) => Err(error),
        };
        // What a failed attempt has begun goes at once: it may be what fills the disk.
        let cleaned = self.0.folder.lock().await.collect_garbage();
        done.and(cleaned.map(drop))
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
            return Ok((Self::new(node, key, GroupIndex::new(), folder, 0), None));
        };
        let runs = manifest
            .runs
            .iter()
            .map(|entry| open_run(&node, key, &folder, entry));
        let below = Below::new(runs.collect::<Result<_, _>>()?);
        let checkpoint = Checkpoint {
            applied,
            version: manifest.last_version,
            membership: manifest.membership,
            membership_id: manifest.membership_id,
            rows: system_rows(&below)?,
        };
        let index = GroupIndex::restored(checkpoint.version, applied.index, below);
        let store = Self::new(node, key, index, folder, applied.index);
        Ok((store, Some(Restored { checkpoint })))
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

/// The newest rows of the system, by key, without those that are gone.
fn system_rows(below: &Below) -> Result<Vec<SystemRow>, StoreError> {
    let ask = Ask {
        reverse: false,
        at: Version(u64::MAX),
        most: usize::MAX,
        wait: true,
        keep: false,
    };
    let page = below.raw_page((&[SPACE_SYSTEM], &[]), ask)?;
    let mut rows = Vec::with_capacity(page.rows.len());
    for (key, _, value) in page.rows {
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
