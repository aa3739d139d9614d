//! The thread that writes.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_env::{Env, watch};
use atoll_types::{GroupKey, ReplicaId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::group::{GroupStore, Inner, Restored, StoreError};
use crate::journal::{Identity, Journal};
use crate::manifest::{FolderOwner, GroupFolder};
use crate::run::BlockCache;

/// How long to wait before what failed is tried again; twice as long after every failure in a row.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// When checkpoints are made and what reading them may keep in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of one group's index in memory from which on it is frozen and written to a run.
    pub checkpoint_memory: usize,
    /// Bytes of entries applied since the last checkpoint from which on there is another, so that a restart has no
    /// more than that to apply per group, and about as much again that came while one was written.
    pub checkpoint_log: u64,
    /// Bytes of blocks of runs kept in memory for all groups; 0: none.
    pub block_cache: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            checkpoint_memory: 32 * 1024 * 1024,
            checkpoint_log: 64 * 1024 * 1024,
            block_cache: 64 * 1024 * 1024,
        }
    }
}

/// What all groups of a node share.
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) identity: Identity,
    pub(super) journal: Journal,
    pub(super) options: StoreOptions,
    pub(super) cache: Arc<BlockCache>,
    data: PathBuf,
    /// Groups that are open, or that something is still written of.
    open: Mutex<BTreeMap<GroupKey, Weak<Inner>>>,
    queue: Mutex<Queue>,
    work: Notify,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Queue {
    /// Each group at most once.
    groups: VecDeque<GroupStore>,
    /// The thread is not at any group.
    #[cfg(test)]
    idle: bool,
    closing: bool,
}

/// The checkpoints of a node. A cheap handle.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

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
            cache: Arc::new(BlockCache::new(options.block_cache)),
            data: data.to_owned(),
            open: Mutex::default(),
            queue: Mutex::default(),
            work: Notify::new(),
            ended: watch::Sender::new(false),
        });
        let own = shared.clone();
        env.spawn
            .dedicated("storage-maintain", async move { run(own).await });
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
        if open.get(&key).is_some_and(|inner| inner.strong_count() > 0) {
            return Err(StoreError::InUse);
        }
        let (folder, manifest) = GroupFolder::open(env, data, owner)?;
        let opened = GroupStore::open(self.0.clone(), key, folder, manifest)?;
        open.insert(key, Arc::downgrade(&opened.0.0));
        Ok(opened)
    }

    /// True while the thread has nothing to do.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let queue = self.0.queue.lock();
        queue.idle && queue.groups.is_empty()
    }

    /// Lets what is being written come to its end, and the thread with it. What is frozen and not begun stays
    /// unwritten: the log has it.
    pub async fn close(&self) {
        self.0.queue.lock().closing = true;
        self.0.work.notify_one();
        let mut ended = self.0.ended.subscribe();
        // An error means that the thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

impl Shared {
    pub(super) fn enqueue(&self, group: GroupStore) {
        let mut queue = self.queue.lock();
        if queue.closing {
            // Nobody would take it out again, and what it holds would stay open.
            return;
        }
        queue.groups.push_back(group);
        drop(queue);
        self.work.notify_one();
    }

    fn next(&self) -> Option<GroupStore> {
        let mut queue = self.queue.lock();
        let next = queue.groups.pop_front();
        #[cfg(test)]
        {
            queue.idle = next.is_none();
        }
        next
    }

    fn is_closing(&self) -> bool {
        self.queue.lock().closing
    }
}

async fn run(shared: Arc<Shared>) {
    let mut wait = RETRY;
    while !shared.is_closing() {
        let Some(group) = shared.next() else {
            shared.work.notified().await;
            continue;
        };
        match group.maintain().await {
            Ok(()) => wait = RETRY,
            Err(error) => {
                if group.is_broken().await {
                    // A retry would be refused for ever, quietly, while memory grows. A start finds out what the disk has.
                    let reason = format!(
                        "what the disk has of group {} cannot be told: {error}",
                        group.0.key
                    );
                    shared.env.halt.now(&reason).await;
                }
                tracing::error!(group = %group.0.key, %error, retry_in = ?wait, "a checkpoint or a merge failed");
                shared.enqueue(group);
                // Ends early only to close.
                let closing = shared.closing();
                let _ = shared.env.clock.timeout(wait, closing).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    }
    shared.queue.lock().groups.clear();
    shared.ended.send_replace(true);
}

impl Shared {
    /// Comes back when the node stops.
    async fn closing(&self) {
        while !self.is_closing() {
            self.work.notified().await;
        }
    }
}
