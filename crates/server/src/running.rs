//! The parts of a node that exist once it is part of a cluster.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atoll_env::watch;
use atoll_env::{Env, Task};
use atoll_raft::{Group, RaftError, RaftHost, RaftOptions};
use atoll_storage::{Identity, Journal, Packer, Scrub, Store, StoreOptions};
use atoll_types::{GroupId, GroupKey, NodeId, ReplicaId};
use parking_lot::Mutex;

use crate::config::NodeConfig;
use crate::control::balance::{Balancer, caught_up};
use crate::control::reconcile::Reconciler;
use crate::control::{
    ControlMachine, ControlState, FIRST_GENERATION, KeptControl, Registrar, clock_guard, follow,
};
use crate::directory::Directory;
use crate::identity::Ident;
use crate::membership::Membership;
use crate::patience;
use crate::peers::CheckedPeers;
use crate::reclaim::Reclaim;
use crate::room::{DiskRoom, Handover, MemoryRoom, Watch, relief};
use crate::rpc::{KvService, PeerClient};
use crate::shard::{ReadPool, Shared, damaged, unopened};
use crate::state_backend::Backends;
use crate::store::{Keeper, Registry, birth};

const LOOK: Duration = Duration::from_millis(20);

/// Bytes that all files of the node may take together.
fn files_max(env: &Env, config: &NodeConfig) -> u64 {
    let disk = env.vfs.total_bytes(&config.data_dir).unwrap_or(u64::MAX);
    let disk = disk.saturating_sub(config.disk_keep_free_bytes);
    config.disk_quota_bytes.unwrap_or(u64::MAX).min(disk)
}

/// On a small disk, or with a small quota, the journal has a quarter at most: values that could have left it would else hold up writes.
fn store_options(env: &Env, config: &NodeConfig) -> StoreOptions {
    StoreOptions {
        journal_budget: config.store.journal_budget.min(files_max(env, config) / 4),
        keep_free: config.disk_keep_free_bytes,
        ..config.store
    }
}

/// Under a quota the sending of a snapshot may hold back no more than a quarter of it.
fn raft_options(config: &NodeConfig) -> RaftOptions {
    let quota = config.disk_quota_bytes.unwrap_or(u64::MAX);
    RaftOptions {
        snapshot_holds: config.raft.snapshot_holds.min(quota / 4),
        ..config.raft.clone()
    }
}

/// Of a small disk or quota, a read may hold back no more than a sixteenth.
fn pin_bytes(env: &Env, config: &NodeConfig) -> u64 {
    config.pin_bytes.min(files_max(env, config) / 16)
}

/// Journal, Raft, shards, and on some nodes the control plane.
pub(crate) struct Running {
    env: Env,
    ident: Ident,
    journal: Journal,
    store: Store,
    scrub: Scrub,
    host: RaftHost,
    directory: Arc<Directory>,
    registry: Arc<Registry>,
    keeper: Arc<Keeper>,
    room: Arc<DiskRoom>,
    memory_room: Arc<MemoryRoom>,
    /// What this node may take of memory.
    memory_bytes: u64,
    kv: KvService,
    /// Where group 0 has a replica.
    registrar: OnceLock<Registrar>,
    tasks: Mutex<Vec<Task<()>>>,
}

impl Running {
    /// Starts everything over an open journal. Replaying the groups goes on in the background.
    pub(crate) async fn start(
        env: &Env,
        ident: Ident,
        journal: Journal,
        config: &NodeConfig,
        membership: &Arc<Membership>,
    ) -> Result<Arc<Self>, RaftError> {
        let peers = PeerClient::new(env);
        let directory = Arc::new(Directory::new(ident, membership.clone()));
        let registry = Arc::new(Registry::default());
        let dialer = CheckedPeers::new(directory.clone(), membership.clone(), peers.clone());
        let host = RaftHost::new(
            env.clone(),
            journal.clone(),
            Arc::new(dialer),
            raft_options(config),
        );
        let identity = Identity {
            cluster: ident.cluster,
            node: ident.node,
        };
        let store = Store::start(
            env,
            &config.data_dir,
            journal.clone(),
            identity,
            store_options(env, config),
        );
        let told = config.clone();
        let backends = env.spawn.blocking(move || Backends::open(&told)).await?;
        let room = Arc::new(DiskRoom::new(
            config.disk_quota_bytes,
            config.disk_keep_free_bytes,
        ));
        let memory_room = Arc::<MemoryRoom>::default();
        let shared = Shared {
            env: env.clone(),
            host: host.clone(),
            journal: journal.clone(),
            store: store.clone(),
            backends,
            pool: ReadPool::new(env.spawn.clone()),
            packer: Arc::new(Packer::new(config.store.compression.of_entries())),
            cluster: ident.cluster,
            sessions: config.sessions,
            history: config.history,
            pin_bytes: pin_bytes(env, config),
            room: room.clone(),
            memory_room: memory_room.clone(),
        };
        let keeper = Keeper::new(shared, directory.clone(), registry.clone());
        let running = Arc::new(Self {
            env: env.clone(),
            ident,
            kv: KvService::new(env.clone(), registry.clone(), directory.clone()),
            journal,
            scrub: Scrub::start(&store, config.scrub),
            store,
            host,
            directory,
            registry,
            keeper,
            room,
            memory_room,
            memory_bytes: config.memory_bytes,
            registrar: OnceLock::new(),
            tasks: Mutex::default(),
        });
        running.start_control(membership, &peers).await?;
        running.spawn_tasks(config, membership, peers);
        Ok(running)
    }

    fn spawn_tasks(self: &Arc<Self>, config: &NodeConfig, membership: &Arc<Membership>, peers: PeerClient) {
        self.spawn(self.keeper.clone().run());
        let (directory, registry) = (self.directory.clone(), self.registry.clone());
        let watch = Watch::new(&self.env, &config.data_dir, self.room.clone());
        self.spawn(watch.run(self.journal.clone()));
        let (room, journal) = (self.room.clone(), self.journal.clone());
        // The control group has few entries, and without it nobody can be told to do anything about a full disk.
        let refuses = move |group| {
            let is_data = group != GroupId::CONTROL;
            is_data
                .then(|| room.refuses_entries(journal.used_bytes()))
                .flatten()
        };
        self.host.guard_intake(refuses);
        self.spawn(relief::run(
            self.env.clock.clone(),
            self.store.clone(),
            self.host.clone(),
        ));
        let reclaim = Reclaim {
            env: self.env.clone(),
            store: self.store.clone(),
            host: self.host.clone(),
            journal: self.journal.clone(),
            room: self.room.clone(),
        };
        self.spawn(reclaim.run());
        let handover = Handover {
            env: self.env.clone(),
            host: self.host.clone(),
            journal: self.journal.clone(),
            room: self.room.clone(),
        };
        self.spawn(handover.run());
        self.spawn(patience::run(self.env.clone(), self.journal.clone()));
        self.spawn(clock_guard::run(
            self.env.clone(),
            Arc::downgrade(self),
            membership.clone(),
        ));
        self.spawn(Balancer::new(&self.env, directory, registry, membership.clone(), peers).run());
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().push(self.env.spawn.spawn(work));
    }

    /// Group 0 where it belongs, polling for the map elsewhere.
    async fn start_control(&self, membership: &Arc<Membership>, peers: &PeerClient) -> Result<(), RaftError> {
        let node = self.ident.node;
        if !self.directory.control_nodes().contains(&node) {
            self.follow(peers);
            return Ok(());
        }
        let (group, state) = match self.start_control_replica().await {
            Ok(started) => started,
            // One bad replica does not keep the others of this node from serving.
            Err(RaftError::Damaged(why)) => {
                tracing::error!(%node, why, "the control plane's data is damaged here: this replica does not start");
                self.follow(peers);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // A node is admitted only when every voter of the set has claimed it.
        if let Some(claim) = membership.initial_set() {
            let (env, group) = (self.env.clone(), group.clone());
            self.spawn(async move { birth::make(&env, &group, &claim.control_voters()).await });
        }
        // Set once, as group 0 is started once.
        let _ = self
            .registrar
            .set(Registrar::new(&self.env, group.clone(), state.clone()));
        self.spawn_reconciler(node, group, state, membership);
        Ok(())
    }

    /// Takes the map from the nodes that have it.
    fn follow(&self, peers: &PeerClient) {
        let (env, directory) = (self.env.clone(), self.directory.clone());
        self.spawn(follow::run(env, directory, peers.clone()));
    }

    async fn start_control_replica(&self) -> Result<(Group, watch::Receiver<Arc<ControlState>>), RaftError> {
        let node = self.ident.node;
        let (key, replica) = (
            GroupKey::new(GroupId::CONTROL, FIRST_GENERATION),
            ReplicaId(node.0),
        );
        if let Some(why) = self.journal.quarantine_reason(key) {
            return Err(damaged(why));
        }
        let (machine, state) = ControlMachine::new(self.directory.clone());
        let opened = self.store.open_group(key, replica).map_err(unopened)?;
        let machine = KeptControl::open(machine, opened).map_err(damaged)?;
        let group = self.host.start_group(key, replica, Box::new(machine)).await?;
        Ok((group, state))
    }

    fn spawn_reconciler(
        &self,
        node: NodeId,
        group: Group,
        state: watch::Receiver<Arc<ControlState>>,
        membership: &Arc<Membership>,
    ) {
        self.spawn(Reconciler::new(&self.env, node, group, state, membership.clone()).run());
    }

    pub(crate) fn room(&self) -> &DiskRoom {
        &self.room
    }

    pub(crate) fn memory_room(&self) -> &MemoryRoom {
        &self.memory_room
    }

    /// What this node may take of memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// What reads the files again to find damage.
    pub(crate) fn scrub(&self) -> &Scrub {
        &self.scrub
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) fn host(&self) -> &RaftHost {
        &self.host
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Gives node ids out, where group 0 has a replica.
    pub(crate) fn registrar(&self) -> Option<&Registrar> {
        self.registrar.get()
    }

    pub(crate) fn kv(&self) -> &KvService {
        &self.kv
    }

    /// True once everything that the map places here serves.
    pub(crate) fn is_serving(&self) -> bool {
        self.keeper.complete()
    }

    /// Every group with a replica here.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let control = self.host.group(GroupId::CONTROL);
        let data = self.registry.all().into_iter().map(|shard| shard.group().clone());
        control.into_iter().chain(data).collect()
    }

    /// Gives leaderships to replicas that can take them, on nodes that are `wanted`, and waits until they
    /// did, within `limit`.
    pub(crate) async fn give_leaderships_away(
        &self,
        membership: &Membership,
        wanted: impl Fn(NodeId) -> bool,
        limit: Duration,
    ) {
        let mut waiting = Vec::new();
        for group in self.groups() {
            if let Some(to) = self.successor(&group, membership, &wanted)
                && group.transfer_leader(to).await.is_ok()
            {
                waiting.push(group);
            }
        }
        let gone = async {
            while waiting.iter().any(Group::is_leader) {
                self.env.clock.sleep(LOOK).await;
            }
        };
        if self.env.clock.timeout(limit, gone).await.is_err() {
            tracing::warn!(node = %self.ident.node, "some leaderships were not taken over in time");
        }
    }

    /// Of a group led here: the reachable follower whose log is furthest, if one is caught up.
    fn successor(
        &self,
        group: &Group,
        membership: &Membership,
        wanted: impl Fn(NodeId) -> bool,
    ) -> Option<ReplicaId> {
        let status = group.status();
        if !status.is_leader {
            return None;
        }
        let now = self.env.clock.now();
        let up = |replica: ReplicaId| {
            let node = self.directory.node_of(group.key().id, replica);
            let takes = |node| membership.book().reachable(node, now) && wanted(node);
            replica != group.replica() && node.is_some_and(takes)
        };
        let candidates = status
            .matched
            .iter()
            .filter(|(replica, _)| up(*replica) && caught_up(&status, *replica));
        candidates
            .max_by_key(|(_, index)| *index)
            .map(|(replica, _)| *replica)
    }

    /// Stops everything; what was acknowledged is durable, and the journal is closed.
    pub(crate) async fn stop(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.stop();
            task.await;
        }
        self.keeper.stop().await;
        for shard in self.registry.take_all() {
            shard.shutdown().await;
        }
        self.host.shutdown().await;
        self.scrub.close().await;
        self.store.close().await;
        self.journal.close().await;
    }
}
