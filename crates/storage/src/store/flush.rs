//! From what is frozen to a run.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_env::trouble;
use atoll_types::{Key, Mutant, Version, mutant};

use super::group::{Checkpoint, Frozen, GroupStore};
use super::progress::{Running, WorkKind};
use super::rows::{system_key, user_key};
use crate::index::{Below, Horizon, Layers, Memory, PAGE_ROWS, ValueRef};
use crate::journal::value_crc;
use crate::manifest::{GroupFolder, Manifest, RunEntry};
use crate::run::{RowValue, Run, RunIdentity, RunWriter};
use crate::store::merging::accounts::count_references;

impl GroupStore {
    /// Writes what is frozen, if anything is. After an error nothing has changed but the folder's numbers, and it
    /// may be tried again; if the manifest's own change failed, the folder says so at every later try.
    pub(super) async fn flush(&self) -> io::Result<()> {
        let Some(frozen) = self.0.frozen.lock().clone() else {
            return Ok(());
        };
        // Rows point at entries that may be committed by others' disks and not on this one yet.
        // Not again when it is tried again: a frame takes room, of which a full disk has none.
        if !frozen.synced.load(Ordering::Relaxed) && !mutant::is(Mutant::CheckpointBeforeSync) {
            self.0.node.journal.mark().await?;
            frozen.synced.store(true, Ordering::Relaxed);
        }
        trouble::pause("storage: before a run is written").await;
        let mut folder = self.0.folder.lock().await;
        if !self.is_frozen(&frozen) {
            // A snapshot was installed meanwhile: these rows are older than it, and must never come above it.
            return Ok(());
        }
        let total = frozen.memory.tree.read().memory_bytes() as u64;
        let running = self.0.node.board.begin(WorkKind::Flush, self.0.key, total);
        let horizon = self.0.index.horizon();
        let run = self.write_run(&mut folder, &frozen, horizon, &running).await?;
        trouble::pause("storage: a run is published, no manifest names it").await;
        let below = self
            .0
            .index
            .layers()
            .below
            .with_newest(run.clone(), horizon.least);
        let manifest = manifest_with(&folder, &frozen.checkpoint, &below);
        let oldest = run.summary().journal_bytes.first().map(|(id, _)| *id);
        self.0.space.named.lower(oldest);
        folder.commit(manifest).await?;
        trouble::sometimes("a checkpoint was written");
        self.advance(frozen.checkpoint.position(), |layers| Layers {
            active: layers.active.clone(),
            frozen: None,
            below,
        });
        Ok(())
    }

    /// This is still what is frozen. While the folder is held, it stays so.
    fn is_frozen(&self, frozen: &Arc<Frozen>) -> bool {
        let now = self.0.frozen.lock();
        now.as_ref().is_some_and(|now| Arc::ptr_eq(now, frozen))
    }

    async fn write_run(
        &self,
        folder: &mut GroupFolder,
        frozen: &Frozen,
        horizon: Horizon,
        running: &Running<'_>,
    ) -> io::Result<Arc<Run>> {
        let new = folder.create_run().await?;
        let identity = self.run_identity(new.number());
        let salt = self.0.node.env.rng.bits64();
        let rows = frozen.memory.tree.read().rows() + frozen.checkpoint.rows.len();
        let mut writer = RunWriter::create(new.file(), identity, salt, rows);
        let keep_deletions = !self.0.index.layers().below.is_empty();
        add_users_rows(&mut writer, &frozen.memory, (horizon, keep_deletions), running).await?;
        add_system_rows(&mut writer, &frozen.checkpoint, keep_deletions).await?;
        writer.finish(frozen.checkpoint.applied).await?;
        let file = folder.publish(new).await?;
        let run = Run::open(file, identity, self.0.node.cache.clone()).map_err(io::Error::other)?;
        Ok(Arc::new(run))
    }

    pub(super) fn run_identity(&self, number: u64) -> RunIdentity {
        RunIdentity {
            identity: self.0.node.identity,
            group: self.0.key,
            number,
        }
    }
}

/// Of every key the newest row, and older ones as far as history needs them. A frozen memory is not written to any more, so
/// pages of it fit together.
async fn add_users_rows(
    writer: &mut RunWriter,
    memory: &Memory,
    (horizon, keep_deletions): (Horizon, bool),
    running: &Running<'_>,
) -> io::Result<()> {
    let mut from: Option<(Key, Version)> = None;
    loop {
        let page = page(memory, from.as_ref(), horizon.keep);
        let before = writer.bytes();
        for (key, version, value) in &page {
            if value.is_some() || keep_deletions || *version > horizon.keep {
                let value = RowValue::from(value.as_ref());
                writer.add(&user_key(key.as_bytes()), *version, value).await?;
            }
        }
        running.add(writer.bytes().saturating_sub(before));
        match page.into_iter().next_back() {
            Some((last, version, _)) => from = Some((last, version)),
            None => return Ok(()),
        }
    }
}

type Row = (Key, Version, Option<ValueRef>);

/// Rows behind a version of a key, as many as one hold of the lock gives.
fn page(memory: &Memory, behind: Option<&(Key, Version)>, horizon: Version) -> Vec<Row> {
    let tree = memory.tree.read();
    let rows = tree.versions(behind.map(|(key, version)| (key, *version)), horizon);
    let rows = rows.map(|(key, (version, value))| (key.clone(), version, value));
    rows.take(PAGE_ROWS).collect()
}

async fn add_system_rows(
    writer: &mut RunWriter,
    checkpoint: &Checkpoint,
    keep_deletions: bool,
) -> io::Result<()> {
    let version = row_version(checkpoint);
    for row in &checkpoint.rows {
        let key = system_key(&row.key);
        match &row.value {
            Some(bytes) => {
                let vcrc = value_crc(&row.key, bytes);
                let value = RowValue::Inline { bytes, vcrc };
                writer.add(&key, version, value).await?;
            }
            None if keep_deletions => writer.add(&key, version, RowValue::Tombstone).await?,
            None => {}
        }
    }
    Ok(())
}

/// Rows of the system have no versions of their own: that of a later checkpoint is higher, because more was applied.
fn row_version(checkpoint: &Checkpoint) -> Version {
    Version(checkpoint.applied.index)
}

/// The last manifest with one run more, the first of these.
fn manifest_with(folder: &GroupFolder, checkpoint: &Checkpoint, below: &Below) -> Manifest {
    let runs = below.runs();
    let mut manifest = folder.manifest().cloned().unwrap_or_default();
    manifest.applied = Some(checkpoint.applied);
    manifest.membership = checkpoint.membership.clone();
    manifest.membership_id = checkpoint.membership_id;
    manifest.last_version = checkpoint.version;
    manifest.horizon = below.horizon();
    manifest
        .runs
        .splice(..0, runs.first().map(|newest| entry_of(newest)));
    count_references(&mut manifest, runs);
    manifest
}

/// What a manifest says of a run.
pub(super) fn entry_of(run: &Run) -> RunEntry {
    let summary = run.summary();
    RunEntry {
        number: run.identity().number,
        len: summary.file_len,
        footer_crc: summary.footer_crc,
        entries: summary.entries,
        tombstones: summary.tombstones,
        min_key: summary.min_key.clone(),
        max_key: summary.max_key.clone(),
        min_version: summary.min_version,
        max_version: summary.max_version,
        journal_bytes: summary.journal_bytes.clone(),
    }
}
