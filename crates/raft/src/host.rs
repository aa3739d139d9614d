//! All groups of one node.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use atoll_env::net::Link;
use atoll_env::{Env, watch};
use atoll_storage::{GroupLog, Journal};
use atoll_types::{GroupId, GroupKey, NodeId, ReplicaId};
use parking_lot::Mutex;

use crate::facts;
use crate::group::{Group, Raft};
use crate::intake::Intake;
use crate::leaving::{Leaving, Reluctance};
use crate::log_store::LogStore;
use crate::machine::{Applier, Machine};
use crate::network::Network;
use crate::read_gate::ReadGate;
use crate::snapshot::{Parts, Room, Sender, Snapshots};
use crate::transport::{Peers, Transport, TransportStats, serve};
use crate::{RaftError, RaftOptions};

/// The groups of a node, on its one journal and its one transport. Cheap to clone.
#[derive(Clone)]
pub struct RaftHost(Arc<Inner>);

struct Inner {
    env: Env,
    journal: Journal,
    options: RaftOptions,
    transport: Arc<Transport>,
    peers: Arc<dyn Peers>,
    room: Room,
    reluctance: Reluctance,
    intake: Intake,
    groups: Mutex<BTreeMap<GroupId, Group>>,
}

impl RaftHost {
    /// A host without groups.
    pub fn new(env: Env, journal: Journal, peers: Arc<dyn Peers>, options: RaftOptions) -> Self {
        Self(Arc::new_cyclic(|weak: &Weak<Inner>| {
            let host = weak.clone();
            let on_up = Box::new(move |node| host.upgrade().iter().for_each(|inner| inner.node_up(node)));
            let transport = Transport::new(env.clone(), peers.clone(), on_up);
            let room = Room::new(options.snapshot_holds);
            Inner {
                env,
                journal,
                options,
                transport,
                peers,
                room,
                reluctance: Reluctance::default(),
                intake: Intake::default(),
                groups: Mutex::default(),
            }
        }))
    }

    /// Starts a replica: creates it in the journal if it is new, re-applies what was committed before
    /// a restart, and only then takes calls.
    pub async fn start_group(
        &self,
        key: GroupKey,
        replica: ReplicaId,
        machine: Box<dyn Machine>,
    ) -> Result<Group, RaftError> {
        if self.0.groups.lock().contains_key(&key.id) {
            return Err(RaftError::Running);
        }
        let inner = &self.0;
        let log = inner.journal.create_group(key, replica).await?;
        facts::opened(&log);
        let config = inner.options.to_config()?;
        let (applied_sender, applied) = watch::channel(0);
        let reached = applied.clone();
        let snapshots = machine.snapshots();
        let logs = (log.clone(), inner.journal.clone());
        let applier = Applier::open(machine, logs, applied_sender).await?;
        facts::restored(&log, *reached.borrow());
        let sender = inner.sender((key, replica), log.clone());
        let (holds, board) = (Arc::clone(&sender.holds), Arc::clone(&sender.board));
        let unreadable = sender.unreadable.subscribe();
        let network = Network::new(sender);
        let store = LogStore::new(log.clone());
        let raft = Raft::build(replica.0, config, network.clone(), store, applier)
            .await
            .map_err(|error| RaftError::Raft(error.to_string()))?;
        let reads = ReadGate::start(&inner.env, raft.clone(), network, replica, applied.clone());
        let snapshots = Snapshots::start(Parts {
            env: inner.env.clone(),
            raft: raft.clone(),
            log: log.clone(),
            store: snapshots,
            holds,
            board,
            room: inner.room.clone(),
            keep: inner.options.keep_log,
        });
        let who = (key, replica);
        let leaving = inner.leaving(who, raft.clone());
        let group = Group::new(
            inner.env.clone(),
            who,
            raft.clone(),
            (reads, snapshots),
            applied,
            (leaving, unreadable),
        );
        // Reachable before it runs, so that no call finds a running group that cannot be routed to.
        inner.transport.register(key, group.inbound(inner.intake.clone()));
        inner.groups.lock().insert(key.id, group.clone());
        facts::serves(&log, *reached.borrow());
        raft.run();
        tracing::info!(group = %key, %replica, applied = group.applied_index(), "replica started");
        Ok(group)
    }

    /// Serves a Raft stream that another node dialed.
    pub fn accept(&self, link: Link) {
        self.0.env.spawn.spawn(serve(self.0.transport.clone(), link));
    }

    /// A running group.
    pub fn group(&self, id: GroupId) -> Option<Group> {
        self.0.groups.lock().get(&id).cloned()
    }

    /// All groups that run here.
    pub fn groups(&self) -> Vec<Group> {
        self.0.groups.lock().values().cloned().collect()
    }

    /// Says whether the disk has hardly any room left: then much less of it is kept from being freed for followers that get
    /// snapshots, and theirs begin anew sooner.
    pub fn set_tight(&self, tight: bool) {
        self.0.room.set_tight(tight);
    }

    /// Says why replicas of this node should not be handed leadership now; `None`: they may be. They may be elected nevertheless.
    pub fn set_reluctance(&self, why: Option<&str>) {
        self.0.reluctance.set(why);
    }

    /// Asks this before commands of a group are taken that others lead: `Some` says why they are not. It is asked often, and must not
    /// block. To be set once.
    pub fn guard_intake(&self, refuses: impl Fn(GroupId) -> Option<String> + Send + Sync + 'static) {
        self.0.intake.guard(refuses);
    }

    /// Counts since start.
    pub fn stats(&self) -> TransportStats {
        self.0.transport.stats()
    }

    /// Stops one group.
    pub async fn stop_group(&self, id: GroupId) {
        let group = self.0.groups.lock().remove(&id);
        if let Some(group) = group {
            self.0.transport.unregister(group.key());
            group.shutdown().await;
        }
    }

    /// Stops all groups, then the streams. The journal is closed by its owner afterwards.
    pub async fn shutdown(&self) {
        let ids: Vec<GroupId> = self.0.groups.lock().keys().copied().collect();
        for id in ids {
            self.stop_group(id).await;
        }
        self.0.transport.close();
    }
}

impl Inner {
    /// What sends a replica's snapshots.
    fn sender(&self, (group, replica): (GroupKey, ReplicaId), log: GroupLog) -> Sender {
        Sender {
            env: self.env.clone(),
            transport: Arc::clone(&self.transport),
            group,
            replica,
            log,
            room: self.room.clone(),
            holds: Arc::default(),
            board: Arc::default(),
            unreadable: watch::Sender::new(None),
        }
    }

    fn leaving(&self, who: (GroupKey, ReplicaId), raft: Raft) -> Leaving {
        let (env, transport) = (self.env.clone(), Arc::clone(&self.transport));
        Leaving::new(env, who, raft, transport, self.reluctance.clone())
    }

    /// Lets replication to a node that came back start at once instead of after its backoff.
    fn node_up(&self, node: NodeId) {
        let groups: Vec<Group> = self.groups.lock().values().cloned().collect();
        let peers = self.peers.clone();
        self.env.spawn.spawn(async move {
            for group in groups {
                let mut back = group.status().voters;
                back.retain(|id| peers.node_of(group.key(), *id) == Some(node));
                group.peers_up(back).await;
            }
        });
    }
}
