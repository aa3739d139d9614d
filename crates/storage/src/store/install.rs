//! Snapshots of a group: what is given away, what is taken in, and the step that makes it count.
//!
//! Installing replaces everything that a group has: after it the layers are a fresh memory and the snapshot's files,
//! nothing else. The change of the manifest is the commit point. Before it the old state goes on as if nothing had been;
//! behind it nothing of the old state may ever be named again:
//! - The folder is held from the check to the new layers, so whoever commits does so before or after all of it.
//! - A flush whose rows were frozen before sees that they are frozen no more, and drops them (`flush`).
//! - A merge of runs from before sees that the layers are others, and drops what it merged (`merge`).
//! - Views made before hold on to the layers they began with, and the rows that they read from files stay in the cache with
//!   these: the fresh memory begins a space of its own there ([`crate::row_cache`]; `tests/snapshots/cached`).
//!
//! The group's log is not touched here. Whoever has it cuts off what contradicts the snapshot, before, and purges it up to the
//! snapshot, afterwards. Between the two it may end before the checkpoint; the manifest says that this is in order
//! (`installed`). It never names another entry there: the journal is synced before the manifest is changed. As soon as the purge
//! is durable the manifest stops saying so ([`GroupStore::forget_installed`]): a log that ends too early after that has lost
//! entries.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atoll_env::{Env, trouble, watch};
use atoll_types::{ClusterId, GroupKey, LogId};

use super::flush::entry_of;
use super::group::{GroupStore, Restored};
use super::options::StoreOptions;
use super::thread::Retry;
use crate::index::{IndexWriter, Layers, Memory};
use crate::journal::Journal;
use crate::manifest::Manifest;
use crate::snapshot::{
    Promised, SnapshotError, SnapshotPosition, SnapshotReader, SnapshotThread, SnapshotWriter, StagedSnapshot,
};
use crate::store::merging::evacuate::Refused;

impl GroupStore {
    /// The last entry of the newest durable checkpoint, as it is now and whenever it changes.
    pub fn durable(&self) -> watch::Receiver<Option<LogId>> {
        self.0.durable_at.subscribe()
    }

    /// Pins the newest durable checkpoint, to be given away; `None` if there is none. Reads nothing yet.
    pub fn snapshot(&self) -> Option<SnapshotReader> {
        let durable = self.0.durable.lock();
        let position = durable.clone()?;
        // Under the same lock, or they could be those of the next checkpoint.
        let below = self.0.index.layers().below.clone();
        drop(durable);
        Some(SnapshotReader::new(self, position, below))
    }

    /// Begins to take in a snapshot of this position, whose version is not looked at: the snapshot says it at its end. Writes
    /// nothing yet.
    pub fn receive(&self, position: SnapshotPosition) -> SnapshotWriter {
        SnapshotWriter::new(self, position)
    }

    /// Makes a snapshot the group's state, durably. Views made before go on seeing what was there; every later one sees the
    /// snapshot and nothing else. If the log has another entry in the place of the snapshot's last, cut it off before; purge
    /// the log up to that one afterwards.
    ///
    /// Between two entries. A manifest that cannot be written is tried again until the store is closed, as a checkpoint is: a
    /// disk may be full for a while. After an error nothing has changed, but if the manifest's own change failed, nobody knows
    /// what the disk has, and the process ends soon. If this is given up, it may come to its end nevertheless: nothing must be applied then
    /// before the group is opened again.
    pub async fn install(
        &self,
        writer: &mut IndexWriter,
        staged: StagedSnapshot,
    ) -> Result<Restored, SnapshotError> {
        let staged = Arc::new(staged);
        let synced = Arc::new(AtomicBool::new(false));
        let mut retry: Option<Retry> = None;
        let installed = loop {
            let (group, staged, marked) = (self.clone(), staged.clone(), synced.clone());
            // The wait is here and not there: others have their snapshots written meanwhile.
            let work = async move { group.replace_state(&staged, &marked).await };
            match self.0.node.snapshots.run(work).await? {
                Err(SnapshotError::Io(error)) if self.may_install_again(&synced).await => {
                    let next = Retry::after(retry, self.0.node.env.clock.now());
                    tracing::error!(group = %self.0.key, %error, retry_in = ?next.wait(), "a snapshot could not be installed");
                    self.0.node.env.clock.sleep(next.wait()).await;
                    retry = Some(next);
                }
                installed => break installed,
            }
        };
        writer.follow_index();
        installed
    }

    /// Nothing but writing the manifest beside the one that counts has failed.
    async fn may_install_again(&self, synced: &AtomicBool) -> bool {
        synced.load(Ordering::Relaxed) && !self.is_broken().await
    }

    async fn replace_state(
        &self,
        staged: &StagedSnapshot,
        synced: &AtomicBool,
    ) -> Result<Restored, SnapshotError> {
        if !self.is(staged.sweep.group()) {
            return Err(SnapshotError::Foreign);
        }
        let SnapshotPosition { applied, version, .. } = staged.position;
        // Or what was cut off the log could come back after a crash, and contradict the checkpoint. Nothing is added to the log
        // meanwhile, so once is enough: a frame takes room.
        if !synced.load(Ordering::Relaxed) {
            self.0.node.journal.mark().await?;
            synced.store(true, Ordering::Relaxed);
        }
        let mut folder = self.0.folder.lock().await;
        self.check_newer(applied.index)?;
        trouble::pause("storage: a snapshot is staged, no manifest names it").await;
        folder.commit(manifest_of(staged)).await?;
        trouble::sometimes("a snapshot was installed");
        self.0.rotten.lock().clear();
        self.0.log_bytes.store(0, Ordering::Relaxed);
        self.0.installed.store(true, Ordering::Relaxed);
        self.advance(staged.position.clone(), |_| Layers {
            active: Arc::new(Memory::restored(version, applied.index, &self.0.node.rows)),
            frozen: None,
            below: staged.below.clone(),
        });
        self.0.member.begins_anew();
        self.0.space.note_frozen();
        *self.0.space.refused.lock() = Refused::default();
        self.remember_named();
        self.0.node.look_soon();
        Ok(Restored {
            checkpoint: staged.checkpoint.clone(),
            installed: true,
        })
    }

    /// Once the log is purged up to a snapshot, durably, no later log may end before it. Until the manifest says so, a log that lost
    /// what came after the snapshot would be taken for one that there was no time to purge.
    pub(super) async fn forget_installed(&self) -> io::Result<()> {
        if !self.0.installed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let manifest = self.0.folder.lock().await.manifest().cloned();
        let installed = manifest.and_then(|manifest| manifest.installed);
        let log = self.0.node.journal.group(self.0.key);
        let purged = log.and_then(|log| log.state().purged);
        if let Some(installed) = installed {
            if purged.is_none_or(|purged| purged.index < installed.index) {
                return Ok(());
            }
            // The purge is durable then.
            self.0.node.journal.mark().await?;
        }
        let mut folder = self.0.folder.lock().await;
        let mut manifest = folder.manifest().cloned().unwrap_or_default();
        // Another one was installed meanwhile, or a checkpoint has said the same.
        if manifest.installed != installed {
            return Ok(());
        }
        if installed.is_some() {
            manifest.installed = None;
            folder.commit(manifest).await?;
        }
        self.0.installed.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn check_newer(&self, snapshot: u64) -> Result<(), SnapshotError> {
        let applied = self.0.index.layers().active.published.lock().applied_index;
        if snapshot < applied {
            return Err(SnapshotError::Outdated { snapshot, applied });
        }
        Ok(())
    }

    /// Has files that nobody needs any more removed in the background.
    pub(crate) fn sweep(&self) {
        self.0.node.enqueue(self.clone());
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn snapshot_thread(&self) -> &SnapshotThread {
        &self.0.node.snapshots
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.0.node.options
    }

    pub(crate) fn env(&self) -> &Env {
        &self.0.node.env
    }

    /// Bytes free on the disk.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        self.0.node.env.vfs.free_bytes(self.0.node.data())
    }

    /// What snapshots that are coming in will still write, of all groups.
    pub(crate) fn promised(&self) -> &Promised {
        &self.0.node.promised
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.0.node.journal
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        self.0.node.identity.cluster
    }

    pub(crate) fn key(&self) -> GroupKey {
        self.0.key
    }
}

/// It names the snapshot's files and no others.
fn manifest_of(staged: &StagedSnapshot) -> Manifest {
    let SnapshotPosition {
        applied,
        version,
        membership,
        membership_id,
    } = staged.position.clone();
    Manifest {
        applied: Some(applied),
        membership,
        membership_id,
        installed: Some(applied),
        last_version: version,
        horizon: staged.below.horizon(),
        runs: vec![entry_of(&staged.run)],
        value_files: staged.values.iter().map(|values| values.entry).collect(),
        ..Manifest::default()
    }
}
