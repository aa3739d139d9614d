//! Starts the replicas that belong on this node and brings new groups to life.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Task, trouble, watch};
use atoll_placement::ShardMap;
use atoll_raft::{ProposeError, RaftError};
use atoll_types::{GroupId, GroupKey, ReplicaId};
use parking_lot::Mutex;

use super::{Registry, birth};
use crate::directory::Directory;
use crate::shard::{Shard, Shared};

const RETRY: Duration = Duration::from_millis(300);
/// Between tries to start a replica that does not, in the end.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Keeps the set of running shards equal to what the map places here.
pub(crate) struct Keeper {
    shared: Shared,
    directory: Arc<Directory>,
    registry: Arc<Registry>,
    /// One task per replica: start, make, give slots.
    tended: Mutex<BTreeMap<GroupKey, Task<()>>>,
    /// Replicas that do not start because of what stands on this disk: the node serves without them.
    damaged: Mutex<BTreeSet<GroupKey>>,
}

impl Keeper {
    pub(crate) fn new(shared: Shared, directory: Arc<Directory>, registry: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            directory,
            registry,
            tended: Mutex::default(),
            damaged: Mutex::default(),
        })
    }

    /// Follows the map until stopped.
    pub(crate) async fn run(self: Arc<Self>) {
        for (key, replica) in self.shared.journal.groups() {
            self.tend(key, replica);
        }
        let mut map = self.directory.watch();
        loop {
            let placed = self.placed(&map.borrow_and_update());
            for (key, replica) in placed {
                self.tend(key, replica);
            }
            if map.changed().await.is_err() {
                return;
            }
        }
    }

    /// True once everything that the map places here runs and serves.
    pub(crate) fn complete(&self) -> bool {
        let map = self.directory.map();
        let given_out = map.group_of(atoll_types::SlotId(0)).is_some();
        let ready = |key: GroupKey| self.registry.get(key.id).is_some_and(|shard| shard.is_ready());
        let quarantined = self.shared.journal.quarantined();
        given_out
            && self.placed(&map).into_iter().all(|(key, _)| {
                ready(key) || quarantined.contains(&key) || self.damaged.lock().contains(&key)
            })
    }

    /// Stops starting things.
    pub(crate) async fn stop(&self) {
        let tasks = std::mem::take(&mut *self.tended.lock());
        for task in tasks.into_values() {
            task.stop();
            task.await;
        }
    }

    fn placed(&self, map: &ShardMap) -> Vec<(GroupKey, ReplicaId)> {
        let local = self.directory.local_node();
        let data = map.groups.iter().filter(|(id, _)| **id != GroupId::CONTROL);
        data.filter_map(|(&id, entry)| {
            let mut here = entry.replicas.iter().filter(|(_, node)| **node == local);
            here.next()
                .map(|(&replica, _)| (GroupKey::new(id, entry.generation), replica))
        })
        .collect()
    }

    fn tend(self: &Arc<Self>, key: GroupKey, replica: ReplicaId) {
        if key.id == GroupId::CONTROL {
            return;
        }
        let mut tended = self.tended.lock();
        if tended.contains_key(&key) {
            return;
        }
        if self.shared.journal.quarantined().contains(&key) {
            trouble::sometimes("a replica was kept in quarantine");
            tracing::error!(group = %key, %replica, "its log is damaged: this replica does not start and must be replaced");
            return;
        }
        let keeper = self.clone();
        tended.insert(
            key,
            self.shared
                .env
                .spawn
                .spawn(async move { keeper.start(key, replica).await }),
        );
    }

    async fn start(&self, key: GroupKey, replica: ReplicaId) {
        let mut pause = RETRY;
        loop {
            match Shard::start(&self.shared, key, replica).await {
                Ok(shard) => {
                    self.damaged.lock().remove(&key);
                    self.registry.insert(shard.clone());
                    return self.bring_to_life(&shard).await;
                }
                Err(error) => {
                    tracing::error!(group = %key, %replica, %error, "the replica did not start; trying again");
                    self.note_damage(key, &error);
                }
            }
            self.shared.env.clock.sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    fn note_damage(&self, key: GroupKey, error: &RaftError) {
        if matches!(error, RaftError::Damaged(_)) {
            self.damaged.lock().insert(key);
        }
    }

    /// Makes the group, and gives it its slots if this replica leads. Both are idempotent; ends once
    /// both are known to have happened.
    async fn bring_to_life(&self, shard: &Shard) {
        self.make(shard).await;
        let (mut leader, mut map) = (shard.group().watch_leader(), self.directory.watch());
        loop {
            let now = map.borrow_and_update().clone();
            let leads = *leader.borrow_and_update() == Some(shard.group().replica());
            if shard.info().has_genesis {
                return;
            }
            if leads && !self.give_slots(shard, &now).await {
                self.shared.env.clock.sleep(RETRY).await;
                continue;
            }
            if !either_changed(&mut leader, &mut map).await {
                return;
            }
        }
    }

    /// Returns once there is nothing left to make here.
    async fn make(&self, shard: &Shard) {
        let key = shard.group().key();
        let mut map = self.directory.watch();
        let known = |map: &Arc<ShardMap>| {
            let entry = map.groups.get(&key.id);
            entry.is_some_and(|entry| entry.generation >= key.generation)
        };
        let entry = match map.wait_for(known).await {
            Ok(map) => map.groups.get(&key.id).cloned(),
            Err(_) => None,
        };
        // A newer generation is another group, with other replicas.
        let Some(entry) = entry.filter(|entry| entry.generation == key.generation) else {
            return;
        };
        // Placements do not change yet, so these are the voters the group was created with.
        let voters = entry.replicas.keys().copied().collect();
        birth::make(&self.shared.env, shard.group(), &voters).await;
    }

    /// True if nothing is left to do for now.
    async fn give_slots(&self, shard: &Shard, map: &ShardMap) -> bool {
        let key = shard.group().key();
        let slots = map.slots.runs_of(key.id);
        let epoch = slots
            .first()
            .and_then(|(first, _)| map.slot_epoch(atoll_types::SlotId(*first)));
        let Some(epoch) = epoch.filter(|_| !shard.info().has_genesis) else {
            return true;
        };
        match shard.genesis(&slots, epoch).await {
            Ok(()) => {
                tracing::info!(group = %key, runs = slots.len(), "the group has its slots");
                true
            }
            Err(ProposeError::Stopped) => true,
            // A fresh leader refuses until a quorum has answered it; if it was deposed, the caller sees.
            Err(ProposeError::NotLeader { .. }) => false,
            Err(error) => {
                tracing::warn!(group = %key, %error, "the group has no slots yet");
                false
            }
        }
    }
}

/// False once one of them ends.
async fn either_changed(
    leader: &mut watch::Receiver<Option<ReplicaId>>,
    map: &mut watch::Receiver<Arc<ShardMap>>,
) -> bool {
    tokio::select! {
        biased;
        changed = leader.changed() => changed.is_ok(),
        changed = map.changed() => changed.is_ok(),
    }
}
