//! The running shards.

use std::sync::Arc;

use atoll_types::GroupId;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::shard::Shard;

/// Running shards by group. Looked into for every request, changed almost never.
#[derive(Default)]
pub(crate) struct Registry(RwLock<FxHashMap<GroupId, Arc<Shard>>>);

impl Registry {
    /// The group's shard, if it runs here.
    pub(crate) fn get(&self, group: GroupId) -> Option<Arc<Shard>> {
        self.0.read().get(&group).cloned()
    }

    /// Makes a shard reachable.
    pub(crate) fn insert(&self, shard: Arc<Shard>) {
        self.0.write().insert(shard.group().key().id, shard);
    }

    /// All of them, by group.
    pub(crate) fn all(&self) -> Vec<Arc<Shard>> {
        let mut shards: Vec<_> = self.0.read().values().cloned().collect();
        shards.sort_unstable_by_key(|shard| shard.group().key());
        shards
    }

    /// Makes all unreachable and returns them, to be stopped.
    pub(crate) fn take_all(&self) -> Vec<Arc<Shard>> {
        let shards = self.all();
        self.0.write().clear();
        shards
    }
}
