//! A node from start to shutdown.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{DetourNet, Serving};
use atoll_env::{Env, Instant, Task};
use atoll_raft::RaftError;
use atoll_storage::{Identity, Journal, JournalOptions, OpenError};
use atoll_types::{ClusterId, NodeId};
use futures_util::future::join_all;
use parking_lot::RwLock;

use crate::config::{ConfigError, NodeConfig};
use crate::crypt;
use crate::identity::Ident;
use crate::membership::{Greeter, Greeting, Joiner, Membership, Standing};
use crate::room::least;
use crate::rpc::{PeerClient, Router};
use crate::running::Running;
use crate::shard::ReplicaState;

/// How long leaderships are waited for at shutdown.
const HAND_OVER: Duration = Duration::from_secs(2);
/// How long calls in progress may take at shutdown.
const DRAIN: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);
/// How long peers are given at start to say that they are another cluster.
const CHECK: Duration = Duration::from_millis(500);

/// Why a node did not start. Nothing of it runs any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another process uses the data directory.
    #[error("{0}")]
    Locked(String),
    /// The data directory is damaged, of another format, or cannot be read or written.
    #[error("{0}")]
    DataDir(String),
    /// The address cannot be served at.
    #[error("cannot serve at {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The node is admitted, so its journal held something once, and now it holds nothing.
    #[error(
        "{} holds nothing although this is node {node} of cluster {cluster}: its log is lost, so it must not vote \
         again. Start a new node in an empty directory instead",
        journal.display()
    )]
    LogLost {
        /// The journal's folder.
        journal: std::path::PathBuf,
        /// The node.
        node: NodeId,
        /// Its cluster.
        cluster: ClusterId,
    },
    /// The nodes to join belong to another cluster than the data directory.
    #[error(
        "the data directory is of node {node} of cluster {ours}, but {address} belongs to cluster {theirs}: use \
         another --data-dir or other --join addresses"
    )]
    OtherCluster {
        /// The cluster of the data directory.
        ours: ClusterId,
        /// The node of the data directory.
        node: NodeId,
        /// The cluster of the peer.
        theirs: ClusterId,
        /// The peer.
        address: String,
    },
    /// The cluster knows the data directory's node as another directory.
    #[error(
        "the data directory says that it is node {node} of cluster {cluster}, but to that cluster (asked at {address}) \
         this is another directory: it was never admitted. Start a new node in an empty directory instead"
    )]
    NotAdmitted {
        /// The node.
        node: NodeId,
        /// Its cluster.
        cluster: ClusterId,
        /// Who was asked.
        address: String,
    },
    /// The data directory needs keys and got none or other ones, or got keys and needs none.
    #[error("{0}")]
    Keys(String),
    /// The disk is so small that writes could never be taken again once they were refused.
    #[error("{0}")]
    DiskTooSmall(String),
    /// The folder holds other things, or cannot be written to.
    #[error("{0}")]
    BadFolder(String),
    /// The journal cannot be opened.
    #[error("the journal: {0}")]
    Journal(#[from] OpenError),
    /// Raft cannot be started.
    #[error("{0}")]
    Raft(#[from] RaftError),
}

/// How far a node has come.
#[derive(Clone)]
pub(crate) enum Phase {
    /// Not part of a cluster.
    Waiting,
    /// Opening its journal.
    Starting,
    /// All parts exist.
    Running(Arc<Running>),
    /// Shutting down; data is refused, Raft still works.
    Stopping(Option<Arc<Running>>),
}

/// What the node's parts and its RPC share.
pub(crate) struct Core {
    pub(crate) env: Env,
    pub(crate) config: NodeConfig,
    pub(crate) membership: Arc<Membership>,
    pub(crate) peers: PeerClient,
    pub(crate) started: Instant,
    phase: RwLock<Phase>,
}

impl Core {
    pub(crate) fn phase(&self) -> Phase {
        self.phase.read().clone()
    }

    /// The running parts, also while they are being stopped.
    pub(crate) fn running(&self) -> Option<Arc<Running>> {
        match self.phase() {
            Phase::Running(running) | Phase::Stopping(Some(running)) => Some(running),
            Phase::Waiting | Phase::Starting | Phase::Stopping(None) => None,
        }
    }

    /// For people: what the node is doing.
    pub(crate) fn state(&self) -> &'static str {
        match self.phase() {
            Phase::Waiting => match self.membership.standing() {
                Standing::Fresh => "waiting for init",
                Standing::Joining(_) => "joining",
                Standing::Claimed(_) | Standing::Admitted(..) => "claimed",
            },
            Phase::Running(running) if running.is_serving() => "serving",
            Phase::Starting | Phase::Running(_) => "starting",
            Phase::Stopping(_) => "stopping",
        }
    }

    /// Opens the journal, becomes admitted if that is still to do, and starts everything over it.
    async fn run(&self, ident: Ident) -> Result<(), StartError> {
        *self.phase.write() = Phase::Starting;
        let options = JournalOptions {
            segment_bytes: self.config.segment_bytes,
            preallocate: self.config.preallocate,
            tail_bytes: self.config.tail_bytes,
            // Whole rows are kept instead, above the journal (`StoreOptions::row_cache`).
            cache_bytes: 0,
        };
        let dir = self.membership.dir();
        dir.create_journal()?;
        let identity = Identity {
            cluster: ident.cluster,
            node: ident.node,
        };
        let journal = Journal::open(&self.env, &dir.journal(), identity, options).await?;
        if self.membership.ident().is_some() && journal.frames_found() == 0 {
            journal.close().await;
            return Err(StartError::LogLost {
                journal: dir.journal(),
                node: ident.node,
                cluster: ident.cluster,
            });
        }
        if self.membership.ident().is_none() {
            // From here on a journal without a frame is a lost one.
            journal.mark().await.map_err(OpenError::from)?;
            self.membership.become_admitted(ident).await?;
        }
        let running = Running::start(&self.env, ident, journal, &self.config, &self.membership).await?;
        *self.phase.write() = Phase::Running(running);
        tracing::info!(node = %ident.node, cluster = %ident.cluster, address = self.membership.address(), "started");
        Ok(())
    }

    /// Refuses to run a directory beside nodes of another cluster. Who does not answer soon is met later.
    async fn check_cluster(&self, ident: Ident) -> Result<(), StartError> {
        let anonymous = Greeting {
            uuid: self.membership.dir().uuid(),
            ..Greeting::default()
        };
        let join = self.config.join.iter();
        let asked = join.map(|address| self.peers.hello(address, &anonymous, CHECK));
        for (answer, address) in join_all(asked).await.into_iter().zip(&self.config.join) {
            let theirs = answer
                .ok()
                .and_then(|answer| answer.ident)
                .map(|(cluster, _)| cluster);
            if let Some(theirs) = theirs.filter(|theirs| *theirs != ident.cluster) {
                let Ident { cluster: ours, node } = ident;
                return Err(StartError::OtherCluster {
                    ours,
                    node,
                    theirs,
                    address: address.clone(),
                });
            }
            if theirs.is_some() {
                self.check_admitted(ident, address).await?;
            }
        }
        Ok(())
    }

    /// Refuses an id that the cluster gave to another directory. A map without it may be an old one.
    async fn check_admitted(&self, ident: Ident, address: &str) -> Result<(), StartError> {
        let Ok(Some(map)) = self.peers.map(address, 0, CHECK).await else {
            return Ok(());
        };
        let (entry, own) = (map.nodes.get(&ident.node), self.membership.dir().uuid());
        if map.cluster == ident.cluster && entry.is_some_and(|entry| entry.uuid != own) {
            return Err(StartError::NotAdmitted {
                node: ident.node,
                cluster: ident.cluster,
                address: address.to_owned(),
            });
        }
        Ok(())
    }
}

/// A running node. [`Node::shutdown`] ends it in order; just dropping it lets it run on.
pub struct Node {
    core: Arc<Core>,
    serving: Serving,
    tasks: Vec<Task<()>>,
}

impl Node {
    /// Opens the data directory, serves at `listen`, and, if the directory is part of a cluster,
    /// opens the journal and starts its groups. Otherwise it waits to be claimed by an `init`, and asks the
    /// nodes of `join` whether they are of a cluster that it may join.
    pub async fn start(mut env: Env, config: NodeConfig) -> Result<Self, StartError> {
        config.validate()?;
        env.net = DetourNet::around(env.net, &config.dial_map);
        let dir = crypt::open(&mut env, &config).await?;
        let membership = Membership::open(&env, dir).await?;
        let core = Arc::new(Core {
            peers: PeerClient::new(&env),
            started: env.clock.now(),
            membership,
            config,
            env,
            phase: RwLock::new(Phase::Waiting),
        });
        let listen = &core.config.listen;
        let router = Arc::new(Router::new(core.clone()));
        let serving = match core.env.net.serve(listen, router).await {
            Ok(serving) => serving,
            Err(source) => {
                core.membership.dir().unlock();
                return Err(StartError::Listen {
                    address: listen.clone(),
                    source,
                });
            }
        };
        let address = core
            .config
            .advertise
            .clone()
            .unwrap_or_else(|| serving.address().to_owned());
        core.membership.set_place(address, core.config.zone.clone());
        match Self::begin(&core).await {
            Ok(tasks) => Ok(Self { core, serving, tasks }),
            Err(error) => {
                serving.stop().await;
                core.membership.dir().unlock();
                Err(error)
            }
        }
    }

    async fn begin(core: &Arc<Core>) -> Result<Vec<Task<()>>, StartError> {
        least::check(&*core.env.vfs, &core.config)
            .map_err(|small| StartError::DiskTooSmall(small.to_string()))?;
        let spawn = &core.env.spawn;
        let mut tasks = Vec::new();
        if let Some(ident) = core.membership.ident() {
            core.check_cluster(ident).await?;
            core.run(ident).await?;
        } else {
            tasks.push(spawn.spawn(start_when_complete(core.clone())));
            let (membership, peers) = (core.membership.clone(), core.peers.clone());
            let joiner = Joiner::new(&core.env, membership, peers, &core.config.join);
            tasks.push(spawn.spawn(joiner.run()));
        }
        let greeter = Greeter::new(
            &core.env,
            core.membership.clone(),
            core.peers.clone(),
            &core.config.join,
        );
        tasks.push(spawn.spawn(greeter.run()));
        Ok(tasks)
    }

    /// Where others reach this node.
    pub fn address(&self) -> &str {
        self.core.membership.address()
    }

    /// "waiting for init", "claimed", "joining", "starting", "serving", "stopping".
    pub fn state(&self) -> &'static str {
        self.core.state()
    }

    pub(crate) fn running(&self) -> Option<Arc<Running>> {
        self.core.running()
    }

    /// The node's id, once it has one.
    pub fn id(&self) -> Option<NodeId> {
        self.core.membership.ident().map(|ident| ident.node)
    }

    /// How far each data group's replica here is, by group: to compare with the same groups' replicas
    /// elsewhere.
    pub fn replica_states(&self) -> Vec<ReplicaState> {
        let shards = self.core.running().map(|running| running.registry().all());
        let shards = shards.into_iter().flatten();
        shards.map(|shard| shard.replica_state()).collect()
    }

    /// Waits until every replica placed on this node serves. For ever, if nobody calls `init`.
    pub async fn wait_serving(&self) {
        while self.state() != "serving" {
            self.core.env.clock.sleep(LOOK).await;
        }
    }

    /// Refuses new work, hands leaderships to others, ends everything in order and unlocks the data
    /// directory. Everything acknowledged is durable with or without this.
    pub async fn shutdown(self) {
        let Self { core, serving, tasks } = self;
        for task in tasks {
            task.stop();
            task.await;
        }
        let running = core.running();
        *core.phase.write() = Phase::Stopping(running.clone());
        if let Some(running) = &running {
            let anybody = |_| true;
            running
                .give_leaderships_away(&core.membership, anybody, HAND_OVER)
                .await;
        }
        if core.env.clock.timeout(DRAIN, serving.stop()).await.is_err() {
            tracing::warn!("calls in progress were cut off");
        }
        if let Some(running) = &running {
            running.stop().await;
        }
        *core.phase.write() = Phase::Stopping(None);
        if let Err(error) = core.membership.save_hints().await {
            tracing::warn!(%error, "the address hints were not saved");
        }
        core.membership.dir().unlock();
        tracing::info!(address = core.membership.address(), "stopped");
    }
}

/// Starts the node once its set is complete or it joins. What fails here cannot be reported to anyone
/// but the log, and a node that half exists must not go on.
async fn start_when_complete(core: Arc<Core>) {
    let ident = core.membership.completed().await;
    if let Err(error) = core.run(ident).await {
        core.env
            .halt
            .now(&format!("the node cannot start: {error}"))
            .await;
    }
}
