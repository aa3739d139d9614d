//! The store of a node: its groups, and what waits to be written of them.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};

use atoll_env::{Env, watch};
use atoll_types::{GroupKey, ReplicaId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::group::{GroupStore, Inner, Restored, StoreError};
use super::options::StoreOptions;
use super::progress::{Board, Progress, Written};
use super::relief::{Relief, RowMemory};
use super::space::Named;
use super::thread;
use crate::codec::Packer;
use crate::index::{NodeRows, ValueFiles};
use crate::journal::{Identity, Journal};
use crate::manifest::{self, FolderOwner, GROUPS, GroupFolder, Manifest, folder_name};
use crate::row_cache::RowCache;
use crate::run::{BlockCache, Run};
use crate::snapshot::{Promised, SnapshotThread};
use crate::store::space::backlog::Backlog;

/// What all groups of a node share.
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) identity: Identity,
    pub(super) journal: Journal,
    pub(super) options: StoreOptions,
    /// Packs what goes into value files.
    pub(super) packer: Arc<Packer>,
    pub(super) cache: Arc<BlockCache>,
    /// What the memories of all groups share.
    pub(super) rows: NodeRows,
    pub(super) relief: Relief,
    pub(super) snapshots: SnapshotThread,
    /// What snapshots that are coming in will still write.
    pub(super) promised: Promised,
    pub(super) board: Board,
    /// There is hardly room left on the disk.
    pub(super) urgent: AtomicBool,
    /// What files may take that only wait to be used again.
    pub(super) spare_room: AtomicU64,
    pub(super) backlog: Arc<Backlog>,
    data: PathBuf,
    /// Groups that are open, or that something is still written of; of those that were, what is known.
    open: Mutex<BTreeMap<GroupKey, Known>>,
    pub(super) queue: Mutex<Queue>,
    /// Something is to be flushed, or the node stops.
    pub(super) work: Notify,
    /// Something may be to be merged, or the node stops.
    pub(super) look: Notify,
    /// Something may be to be let go of, or the node stops.
    pub(super) tidy: Notify,
    pub(super) ended: watch::Sender<bool>,
}

/// A group that was opened here.
#[derive(Default)]
struct Known {
    inner: Weak<Inner>,
    named: Arc<Named>,
}

/// What is to be done, and what is being done.
#[derive(Default)]
pub(super) struct Queue {
    /// Each group at most once.
    pub(super) groups: VecDeque<GroupStore>,
    pub(super) closing: bool,
    /// A group is being flushed.
    pub(super) flushing: bool,
    /// There may be something to merge, or it is being merged, or it failed and is tried again soon.
    pub(super) merging: bool,
}

/// The checkpoints of a node. A cheap handle.
#[derive(Clone)]
pub struct Store(pub(super) Arc<Shared>);

impl Store {
    /// Starts the maintenance thread. `data` is the node's data directory, which one process uses at a time.
    pub fn start(
        env: &Env,
        data: &Path,
        journal: Journal,
        identity: Identity,
        options: StoreOptions,
    ) -> Self {
        let shared = Arc::new(Shared {
            env: env.clone(),
            identity,
            journal,
            options,
            packer: Arc::new(Packer::new(options.compression.of_files())),
            cache: Arc::new(BlockCache::new(options.block_cache)),
            rows: NodeRows {
                cache: (options.row_cache > 0).then(|| Arc::new(RowCache::new(options.row_cache))),
                ..NodeRows::default()
            },
            relief: Relief::default(),
            snapshots: SnapshotThread::start(&env.spawn),
            promised: Promised::default(),
            board: Board::default(),
            urgent: AtomicBool::new(false),
            spare_room: AtomicU64::new(u64::MAX),
            backlog: Arc::new(Backlog::new(options.journal_budget)),
            data: data.to_owned(),
            open: Mutex::default(),
            queue: Mutex::default(),
            work: Notify::new(),
            look: Notify::new(),
            tidy: Notify::new(),
            ended: watch::Sender::new(false),
        });
        let own = shared.clone();
        env.spawn
            .dedicated("storage-maintain", async move { thread::run(own).await });
        Self(shared)
    }

    /// Opens a group's checkpoint. Everything that it needs is read and checked but for blocks of rows, which are checked
    /// when they are read. May wait for the disk. Fails with [`StoreError::InUse`] until the last handle of the group is
    /// gone, and what was being written of it has ended.
    pub fn open_group(
        &self,
        key: GroupKey,
        replica: ReplicaId,
    ) -> Result<(GroupStore, Option<Restored>), StoreError> {
        let Shared {
            env, identity, data, ..
        } = &*self.0;
        let owner = FolderOwner {
            identity: *identity,
            group: key,
            replica,
        };
        // Held to the end: of two at a time the second must find the first.
        let mut open = self.0.open.lock();
        // Opening removes files that no manifest names yet, which whoever has the folder open may be about to name.
        if open.get(&key).is_some_and(|known| known.inner.strong_count() > 0) {
            return Err(StoreError::InUse);
        }
        // If it cannot be opened, its manifest tells what it needs, and else nobody knows.
        let named = Arc::<Named>::default();
        let known = Known {
            inner: Weak::new(),
            named: named.clone(),
        };
        open.insert(key, known);
        let found = GroupFolder::open(env, data, owner);
        let said = match &found {
            Ok((_, manifest)) => manifest.clone(),
            Err(_) => manifest_of(env, data, &owner),
        };
        if let Some(manifest) = said {
            named.set_by(&manifest);
        }
        let (folder, manifest) = found?;
        let opened = GroupStore::open(self.0.clone(), key, folder, manifest)?;
        let group = &opened.0;
        group.remember_named();
        let known = Known {
            inner: Arc::downgrade(&group.0),
            named: group.0.space.named.clone(),
        };
        open.insert(key, known);
        drop(open);
        self.0.look_soon();
        Ok(opened)
    }

    /// What is being done now: at most a flush, and beside it a merge of some kind.
    pub fn progress(&self) -> Vec<Progress> {
        self.0.board.read()
    }

    /// What checkpoints and merges have written since the start.
    pub fn written(&self) -> Written {
        self.0.board.written()
    }

    /// How much memory the rows of all groups take.
    pub fn row_memory(&self) -> RowMemory {
        self.0.row_memory()
    }

    /// The blocks of runs kept in memory.
    pub fn block_cache(&self) -> &BlockCache {
        &self.0.cache
    }

    /// The rows kept in memory after they were read from files, if any are.
    pub fn row_cache(&self) -> Option<&RowCache> {
        self.0.rows.cache.as_deref()
    }

    /// Waits for a group that has to checkpoint because the rows of all groups take too much memory, and that had no entry
    /// just now to do so: whoever applies its log should be made to begin one, if it may ([`GroupStore::may_checkpoint`]). For one
    /// caller.
    pub async fn called(&self) -> GroupKey {
        self.0.relief.called().await
    }

    /// Has a group checkpoint if the rows of all groups take too much memory, although none of them has an entry. To be called
    /// now and then: where writes are refused for want of memory, nothing else would ever give some back.
    pub fn relieve(&self) {
        if self.0.rows_are_many() {
            self.0.relief.choose_for(None, self.0.env.clock.now());
        }
    }

    /// True while the thread has nothing to do.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let queue = self.0.queue.lock();
        queue.groups.is_empty() && !queue.flushing && !queue.merging
    }

    /// Lets what is being flushed come to its end, and the thread with it. What is frozen and not begun stays
    /// unwritten: the log has it. A merge ends unfinished.
    pub async fn close(&self) {
        self.0.queue.lock().closing = true;
        self.0.work.notify_one();
        self.0.look.notify_one();
        self.0.tidy.notify_one();
        let mut ended = self.0.ended.subscribe();
        // An error means that the thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
        self.0.snapshots.close().await;
    }
}

/// The manifest of this very group, if it can be read.
fn manifest_of(env: &Env, data: &Path, owner: &FolderOwner) -> Option<Manifest> {
    let dir = data.join(GROUPS).join(folder_name(owner.group));
    let (manifest, found) = manifest::read_any(&*env.vfs, &dir).ok()?;
    (found == *owner).then_some(manifest)
}

impl Shared {
    pub(super) fn row_memory(&self) -> RowMemory {
        RowMemory {
            bytes: self.rows.bytes.all(),
            limit: self.options.row_memory,
        }
    }

    /// Rows that are not frozen take more than their half.
    pub(super) fn rows_are_many(&self) -> bool {
        self.rows.bytes.active() > self.options.row_memory / 2
    }

    pub(super) fn enqueue(&self, group: GroupStore) {
        let mut queue = self.queue.lock();
        if queue.closing {
            // Nobody would take it out again, and what it holds would stay open.
            return;
        }
        if !queue.groups.iter().any(|waiting| waiting.is(&group)) {
            queue.groups.push_back(group);
        }
        drop(queue);
        self.work.notify_one();
    }

    /// There may be something to merge.
    pub(super) fn look_soon(&self) {
        self.queue.lock().merging = true;
        self.look.notify_one();
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn is_closing(&self) -> bool {
        self.queue.lock().closing
    }

    pub(super) fn open_groups(&self) -> Vec<GroupStore> {
        let open = self.open.lock();
        let groups = open.values().filter_map(|known| known.inner.upgrade());
        groups.map(GroupStore).collect()
    }

    /// The groups that are open.
    pub(super) fn open_keys(&self) -> Vec<GroupKey> {
        let open = self.open.lock();
        let open = open.iter().filter(|(_, known)| known.inner.strong_count() > 0);
        open.map(|(key, _)| *key).collect()
    }

    /// The files of a group that is open, pinned.
    pub(super) fn files_of(&self, key: GroupKey) -> Option<(Vec<Arc<Run>>, ValueFiles)> {
        let group = self.open.lock().get(&key)?.inner.upgrade()?;
        let below = group.index.layers().below.clone();
        Some((below.runs().to_vec(), below.values().clone()))
    }

    /// True if a group is open that has a checkpoint.
    pub(super) fn has_checkpoint(&self, key: GroupKey) -> bool {
        let group = self.open.lock().get(&key).and_then(|known| known.inner.upgrade());
        group.is_some_and(|group| group.durable.lock().is_some())
    }

    /// True if all of these were opened here.
    pub(super) fn knows(&self, groups: &[(GroupKey, ReplicaId)]) -> bool {
        let open = self.open.lock();
        groups.iter().all(|(group, _)| open.contains_key(group))
    }

    /// All groups that were opened here, those that are not open any more too.
    pub(super) fn known(&self) -> Vec<(Option<GroupStore>, Arc<Named>)> {
        let open = self.open.lock();
        let known = open.values();
        known
            .map(|known| (known.inner.upgrade().map(GroupStore), known.named.clone()))
            .collect()
    }
}
