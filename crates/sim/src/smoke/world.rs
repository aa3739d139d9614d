//! Nodes, their disks and the network between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{MemNet, MemNetOptions};
use atoll_env::vfs::{Crash, MemLatency, MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_server::{Node, NodeConfig, ReplicaState};
use parking_lot::Mutex;

use super::plan::Step;
use super::{derive, node_address, node_name};
use crate::trace::Trace;

/// Any time will do, as long as it is the same in every run.
const WALL_MS: u64 = 1_700_000_000_000;

/// What went wrong, from wherever it was noticed.
pub(super) type Troubles = Arc<Mutex<Vec<String>>>;

pub(super) struct World {
    seed: u64,
    net: MemNet,
    machines: BTreeMap<usize, Machine>,
    pub(super) trace: Trace,
    pub(super) troubles: Troubles,
    pub(super) crashes: usize,
    pub(super) cuts: usize,
    /// What a replica's state was at each log index, and which node said so first.
    states: BTreeMap<(String, u64), (u64, usize)>,
    pub(super) compared: usize,
}

/// What outlives a process.
struct Machine {
    disk: MemVfs,
    processes: u64,
    process: Option<Process>,
}

struct Process {
    scope: Scope,
    /// There once it has started.
    node: Arc<Mutex<Option<Node>>>,
}

impl World {
    /// A network with `nodes` empty disks.
    pub(super) fn new(seed: u64, nodes: usize, keep_trace: bool) -> Self {
        let luck = Rng::seeded(derive(seed, "world", 0));
        let net = MemNet::new(MemNetOptions {
            seed: luck.bits64(),
            delay: Duration::from_micros(100)..Duration::from_millis(2 + luck.below(8)),
            loss_per_million: [0, 500, 5000].get(luck.below(3) as usize).copied().unwrap_or(0),
            give_up: Duration::from_millis(500 + luck.below(9500)),
            ..MemNetOptions::default()
        });
        let machine = |node: usize| {
            let latency = MemLatency {
                clock: Clock::simulated(1.0, 0),
                write: Duration::ZERO..Duration::ZERO,
                sync: Duration::from_micros(200)..Duration::from_millis(1 + luck.below(6)),
            };
            let options = MemVfsOptions {
                seed: luck.bits64(),
                cold_reads_permille: luck.below(2) * 100,
                latency: Some(latency),
                ..MemVfsOptions::default()
            };
            (
                node,
                Machine {
                    disk: MemVfs::new(options),
                    processes: 0,
                    process: None,
                },
            )
        };
        Self {
            seed,
            machines: (1..=nodes).map(machine).collect(),
            trace: Trace::new(net.clone(), keep_trace),
            net,
            troubles: Troubles::default(),
            crashes: 0,
            cuts: 0,
            states: BTreeMap::new(),
            compared: 0,
        }
    }

    /// Frames delivered so far.
    pub(super) fn frames(&self) -> u64 {
        self.net.deliveries()
    }

    /// A process without a disk.
    pub(super) fn visitor(&self, name: &str) -> Env {
        self.env(name, Rng::seeded(derive(self.seed, name, 0)), MemVfs::default())
            .0
    }

    fn env(&self, name: &str, rng: Rng, disk: MemVfs) -> (Env, Scope) {
        let scope = Scope::new(rng.clone());
        let spawn = Spawn::simulated(scope.clone());
        let (troubles, who) = (self.troubles.clone(), name.to_owned());
        let env = Env {
            // Up to a percent fast or slow; wall time differs by less than what versions may be ahead.
            clock: Clock::simulated(0.99 + rng.fraction() / 50.0, WALL_MS + rng.below(30_000)),
            net: Arc::new(self.net.node(name, spawn.clone())),
            rng,
            spawn,
            vfs: Arc::new(disk),
            halt: Halt::simulated(move |reason| troubles.lock().push(format!("{who} halts: {reason}"))),
        };
        (env, scope)
    }

    /// Does one step of the plan.
    pub(super) fn apply(&mut self, step: &Step) {
        self.trace.event("nemesis", &format!("{step:?}"));
        match step {
            Step::Crash(node, how) => self.crash(*node, *how),
            Step::Start(node) => self.start(*node),
            Step::Cut { from, to, both } => {
                self.cuts += 1;
                if *both {
                    self.net.cut(from, to);
                } else {
                    self.net.cut_one_way(from, to);
                }
            }
            Step::Heal(a, b) => self.net.heal(a, b),
        }
    }

    pub(super) fn heal_all(&mut self) {
        self.trace.event("nemesis", "heals everything");
        self.net.heal_all();
        let down = self
            .machines
            .iter()
            .filter(|(_, machine)| machine.process.is_none());
        for node in down.map(|(node, _)| *node).collect::<Vec<_>>() {
            self.start(node);
        }
    }

    fn crash(&mut self, node: usize, how: Crash) {
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        let Some(process) = machine.process.take() else {
            return;
        };
        self.crashes += 1;
        process.scope.end();
        self.net.crash(&node_name(node));
        machine.disk = machine.disk.crash(how);
    }

    /// Starts a node's next process. It may crash again before it has started.
    pub(super) fn start(&mut self, node: usize) {
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        machine.processes += 1;
        let (processes, disk) = (machine.processes, machine.disk.clone());
        let name = node_name(node);
        let rng = Rng::seeded(derive(self.seed, &name, processes));
        let (env, scope) = self.env(&name, rng, disk);
        let started = Arc::new(Mutex::new(None));
        let (slot, trace, troubles) = (started.clone(), self.trace.clone(), self.troubles.clone());
        let spawn = env.spawn.clone();
        spawn.spawn(Box::pin(async move {
            match Node::start(env, config(node)).await {
                Ok(node) => {
                    trace.event(&name, "started");
                    *slot.lock() = Some(node);
                }
                Err(error) => troubles.lock().push(format!("{name} does not start: {error}")),
            }
        }));
        if let Some(machine) = self.machines.get_mut(&node) {
            machine.process = Some(Process { scope, node: started });
        }
    }

    fn each<T>(&self, look: impl Fn(&Node) -> T) -> BTreeMap<usize, T> {
        let mut seen = BTreeMap::new();
        for (number, machine) in &self.machines {
            let node = machine.process.as_ref().map(|process| process.node.lock());
            if let Some(node) = node.as_ref().and_then(|node| node.as_ref()) {
                seen.insert(*number, look(node));
            }
        }
        seen
    }

    /// How each node that has started describes itself.
    pub(super) fn phases(&self) -> BTreeMap<usize, &'static str> {
        self.each(Node::state)
    }

    /// Compares all replicas with what any replica ever was at the same log index. True if all of
    /// them are at the same one now.
    pub(super) fn compare_replicas(&mut self) -> bool {
        let states = self.each(Node::replica_states);
        for (node, state) in states
            .iter()
            .flat_map(|(node, states)| states.iter().map(move |state| (*node, *state)))
        {
            self.compare(node, state);
        }
        let mut all = states.values();
        let first = all.next();
        states.len() == self.machines.len()
            && first.is_some_and(|first| !first.is_empty() && all.all(|one| one == first))
    }

    fn compare(&mut self, node: usize, state: ReplicaState) {
        let at = (state.group.to_string(), state.applied_index);
        let (hash, first) = *self.states.entry(at.clone()).or_insert((state.hash, node));
        self.compared += usize::from(first != node);
        if hash != state.hash {
            let (group, index) = at;
            let message = format!(
                "group {group} at index {index}: n{first} had {hash:x}, n{node} has {:x}",
                state.hash
            );
            self.troubles.lock().push(message);
        }
    }
}

fn config(node: usize) -> NodeConfig {
    let mut config = NodeConfig::new("/data", node_address(node));
    config.insecure = true;
    config.segment_bytes = 8 * 1024 * 1024;
    config.preallocate = false;
    // So little that followers who fall behind are served from the disk.
    config.tail_bytes = 16 * 1024;
    config
}
