//! Nodes with real journals on disks that can crash, and the network between them.

mod troubles;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{MemNet, MemNetOptions};
use atoll_env::vfs::{Crash, MemLatency, MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_raft::{Group, ProposeError, RaftError, RaftHost, RaftOptions, ReadError, ReadPoint};
use atoll_storage::{Identity, Journal, JournalOptions, LogState};
use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, NodeId, Outcome, ReplicaId};
use bytes::Bytes;
use parking_lot::Mutex;

pub use crate::keeper::payload;
use crate::keeper::{Applied, Ever, Keeper};
use crate::links::Numbered;
pub use crate::links::{STREAM, Streams};
pub use crate::running::Running;
use crate::shelf::{Shelf, Shelves};

const DIR: &str = "/data/journal";

/// The group of most tests.
pub const GROUP: GroupKey = group(1);

pub const fn group(id: u64) -> GroupKey {
    GroupKey {
        id: GroupId(id),
        generation: GroupGen(3),
    }
}

/// Replicas are not numbered as nodes are, so that neither can be taken for the other.
pub fn replica(group: GroupKey, node: u64) -> ReplicaId {
    ReplicaId(100 * group.id.0 + node)
}

pub fn name(node: u64) -> String {
    format!("n{node}")
}

pub fn address(node: u64) -> String {
    format!("n{node}:7000")
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs a test on one thread with a clock that jumps when nothing else can happen.
pub fn simulate<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

/// A process.
pub struct Process {
    pub scope: Scope,
    pub env: Env,
    pub journal: Journal,
    pub host: RaftHost,
    pub groups: BTreeMap<GroupId, (Group, Applied)>,
    /// How often it has dialled whom.
    pub dialled: Arc<Mutex<BTreeMap<u64, u64>>>,
}

/// A machine, and what runs on it.
struct Machines {
    disk: MemVfs,
    starts: u64,
    process: Option<Process>,
}

/// How a world differs from the usual one.
#[derive(Clone)]
pub struct Options {
    pub net: MemNetOptions,
    pub raft: RaftOptions,
    pub journal: JournalOptions,
    pub groups: Vec<GroupKey>,
    /// Entries between the checkpoints that replicas make by themselves; 0: none. `None`: they cannot make any.
    pub checkpoints: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            net: MemNetOptions::default(),
            raft: RaftOptions::default(),
            journal: JournalOptions::dev(),
            groups: vec![GROUP],
            checkpoints: None,
        }
    }
}

/// All nodes.
pub struct World {
    pub net: MemNet,
    pub clock: Clock,
    pub options: Options,
    nodes: BTreeMap<u64, Machines>,
    ever: Ever,
    shelves: Shelves,
    forks: Arc<Mutex<Vec<String>>>,
    halts: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// Nodes `1..=nodes`, running, with groups that were not initialized.
    pub async fn blank(nodes: u64, options: Options) -> Self {
        let clock = Clock::simulated(1.0, 0);
        let disk = |node| {
            let latency = MemLatency {
                clock: clock.clone(),
                write: Duration::ZERO..Duration::ZERO,
                sync: ms(1)..ms(3),
            };
            MemVfs::new(MemVfsOptions {
                seed: node,
                latency: Some(latency),
                ..MemVfsOptions::default()
            })
        };
        let machines = (1..=nodes).map(|node| {
            let machine = Machines {
                disk: disk(node),
                starts: 0,
                process: None,
            };
            (node, machine)
        });
        let mut world = Self {
            net: MemNet::new(options.net.clone()),
            options,
            nodes: machines.collect(),
            clock,
            ever: Arc::default(),
            shelves: Arc::default(),
            forks: Arc::default(),
            halts: Arc::default(),
        };
        for node in 1..=nodes {
            world.start(node).await;
        }
        world
    }

    /// Nodes `1..=nodes`; node 1 leads all groups.
    pub async fn new(nodes: u64, options: Options) -> Self {
        let world = Self::blank(nodes, options).await;
        for key in world.options.groups.clone() {
            world.initialize(1, key, nodes).await;
            world.leads(1, key).await;
        }
        world
    }

    /// Has a node make a group of the replicas on nodes `1..=voters`.
    pub async fn initialize(&self, node: u64, key: GroupKey, voters: u64) {
        let voters: BTreeSet<ReplicaId> = (1..=voters).map(|node| replica(key, node)).collect();
        let group = self.group_of(node, key);
        let made = self.on(node, async move { group.initialize(&voters).await });
        made.await.unwrap();
    }

    fn env(&self, node: u64, scope: &Scope, disk: &MemVfs) -> Env {
        let spawn = Spawn::simulated(scope.clone());
        let halts = Arc::clone(&self.halts);
        Env {
            clock: self.clock.clone(),
            rng: scope.rng().clone(),
            net: Arc::new(self.net.node(&name(node), spawn.clone())),
            spawn,
            vfs: Arc::new(disk.clone()),
            halt: Halt::simulated(move |reason| halts.lock().push(format!("n{node}: {reason}"))),
        }
    }

    /// Starts a node's next process, and waits until it takes calls.
    pub async fn start(&mut self, node: u64) {
        self.try_start(node).await.unwrap();
    }

    /// The same, of a node that may refuse.
    pub async fn try_start(&mut self, node: u64) -> Result<(), RaftError> {
        let machine = self.nodes.get_mut(&node).unwrap();
        assert!(machine.process.is_none(), "n{node} runs");
        machine.starts += 1;
        let (starts, disk) = (machine.starts, machine.disk.clone());
        let scope = Scope::numbered(node, Rng::seeded(1000 * node + starts));
        let env = self.env(node, &scope, &disk);
        let (ever, forks, options) = (self.ever.clone(), self.forks.clone(), self.options.clone());
        let shelves = Arc::clone(&self.shelves);
        let own = scope.clone();
        let starting = scope.spawn(async move {
            let journal = open_journal(&env, node, options.journal).await;
            let dialled: Arc<Mutex<BTreeMap<u64, u64>>> = Arc::default();
            let peers = Arc::new(Numbered {
                net: env.net.clone(),
                dialled: Arc::clone(&dialled),
            });
            let host = RaftHost::new(env.clone(), journal.clone(), peers, options.raft);
            let mut groups = BTreeMap::new();
            for key in options.groups {
                let applied = Applied::default();
                let keeper = Keeper {
                    key,
                    applied: Arc::clone(&applied),
                    ever: Arc::clone(&ever),
                    forks: Arc::clone(&forks),
                    shelf: options.checkpoints.map(|_| shelf(&shelves, node, key)),
                    every: options.checkpoints.unwrap_or(0),
                    last: None,
                    spawn: env.spawn.clone(),
                    journal: journal.clone(),
                };
                let keeper = Box::new(keeper.restore());
                let group = host.start_group(key, replica(key, node), keeper).await?;
                groups.insert(key.id, (group, applied));
            }
            let streams = Arc::new(Streams(host.clone()));
            env.net.serve(&address(node), streams).await.unwrap();
            Ok::<_, RaftError>(Process {
                scope: own,
                env,
                journal,
                host,
                groups,
                dialled,
            })
        });
        let process = starting.await.unwrap().inspect_err(|_| scope.end())?;
        self.nodes.get_mut(&node).unwrap().process = Some(process);
        Ok(())
    }

    /// Ends a node's process; `how` says what is left on its disk.
    pub async fn crash(&mut self, node: u64, how: Crash) {
        let machine = self.nodes.get_mut(&node).unwrap();
        let process = machine.process.take().unwrap();
        process.scope.end();
        self.net.crash(&name(node));
        machine.disk = machine.disk.crash(how);
        drop(process);
        self.clock.sleep(ms(1)).await;
    }

    pub fn process(&self, node: u64) -> &Process {
        self.nodes[&node].process.as_ref().unwrap()
    }

    pub fn disk(&self, node: u64) -> &MemVfs {
        &self.nodes[&node].disk
    }

    pub fn group_of(&self, node: u64, key: GroupKey) -> Group {
        self.process(node).groups[&key.id].0.clone()
    }

    /// The replica of [`GROUP`] on a node.
    pub fn group(&self, node: u64) -> Group {
        self.group_of(node, GROUP)
    }

    /// What a node's replica of [`GROUP`] has applied.
    pub fn applied(&self, node: u64) -> Vec<(LogId, Bytes)> {
        self.process(node).groups[&GROUP.id].1.lock().clone()
    }

    /// Only the payloads.
    pub fn payloads(&self, node: u64) -> Vec<Bytes> {
        let applied = self.applied(node).into_iter();
        applied.map(|(_, payload)| payload).collect()
    }

    /// Runs something as a task of a node's process.
    pub fn on<T: Send + 'static>(
        &self,
        node: u64,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        Running(self.process(node).env.spawn.spawn(work))
    }

    /// Proposes an entry of one command to [`GROUP`].
    pub fn propose(&self, node: u64, text: &str) -> Running<Result<Vec<Outcome>, ProposeError>> {
        self.propose_to(node, GROUP, text)
    }

    pub fn propose_to(
        &self,
        node: u64,
        key: GroupKey,
        text: &str,
    ) -> Running<Result<Vec<Outcome>, ProposeError>> {
        let (group, payload) = (self.group_of(node, key), payload(text));
        self.on(node, async move { group.propose(payload).await })
    }

    /// Waits for a read point of [`GROUP`].
    pub fn read(&self, node: u64) -> Running<Result<ReadPoint, ReadError>> {
        let gate = self.group(node).reads();
        self.on(node, async move { gate.wait().await })
    }

    /// Makes a replica ask for votes now.
    pub async fn campaign(&self, node: u64) {
        let group = self.group(node);
        self.on(node, async move { group.campaign().await })
            .await
            .unwrap();
    }

    /// What a node's log of [`GROUP`] remembers.
    pub fn log(&self, node: u64) -> LogState {
        self.process(node).journal.group(GROUP).unwrap().state()
    }

    /// The checkpoints of a node's replica of [`GROUP`].
    pub fn shelf(&self, node: u64) -> Arc<Shelf> {
        self.shelf_of(node, GROUP)
    }

    /// The same, of any group.
    pub fn shelf_of(&self, node: u64, key: GroupKey) -> Arc<Shelf> {
        Arc::clone(&self.shelves.lock()[&(node, key.id)])
    }

    /// Has a replica begin a checkpoint; false if it does not.
    pub async fn checkpoint(&self, node: u64) -> bool {
        let group = self.group(node);
        self.on(node, async move { group.checkpoint().await })
            .await
            .unwrap()
    }
}

/// Processes that ended may have left circles behind.
impl Drop for World {
    fn drop(&mut self) {
        for machine in self.nodes.values() {
            if let Some(process) = &machine.process {
                process.scope.end();
            }
            machine.disk.destroy();
        }
    }
}

fn shelf(shelves: &Shelves, node: u64, key: GroupKey) -> Arc<Shelf> {
    let mut shelves = shelves.lock();
    let seed = 1000 * node + key.id.0;
    let shelf = shelves
        .entry((node, key.id))
        .or_insert_with(|| Arc::new(Shelf::new(seed)));
    shelf.restart();
    Arc::clone(shelf)
}

async fn open_journal(env: &Env, node: u64, options: JournalOptions) -> Journal {
    let identity = Identity {
        cluster: ClusterId(7),
        node: NodeId(node),
    };
    Journal::open(env, Path::new(DIR), identity, options)
        .await
        .unwrap()
}
