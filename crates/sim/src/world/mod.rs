//! Machines, and the network between them and their clients.
//!
//! A process is an [`atoll_env::Scope`]: a crash drops its tasks, its connections and whatever its disk
//! had not made durable, in the same instant. A process that ends by itself (a halt, a refusal to
//! start, a replica that stops) is right to do so if its disk gave it a reason; then it is started
//! again, as somebody would. Without a reason it is a violation.

mod apply;
mod machine;
mod watch;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::MemNet;
use atoll_env::trouble;
use atoll_env::vfs::{MemLatency, MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Instant, Rng, Scope, Spawn};
use atoll_server::{Compression, KeyRing, Node, NodeConfig, SessionLimits, StoreOptions};
use parking_lot::Mutex;

use crate::invariants::Invariants;
use crate::luck::{Luck, derive};
use crate::scenario::Scenario;
use crate::trace::Trace;
use machine::Machine;

/// Any time will do, as long as it is the same in every run.
const WALL_MS: u64 = 1_700_000_000_000;

pub(crate) fn node_name(number: usize) -> String {
    format!("n{number}")
}

pub(crate) fn node_address(number: usize) -> String {
    format!("n{number}:7000")
}

pub(crate) fn client_name(number: usize) -> String {
    format!("c{number}")
}

/// What went wrong, from wherever it was noticed.
pub(crate) type Violations = Arc<Mutex<Vec<String>>>;

/// A process that wants to end: node, number of the process, why.
type Endings = Arc<Mutex<Vec<(usize, u64, String)>>>;

/// Everything but the clients.
pub(crate) struct World {
    seed: u64,
    scenario: Scenario,
    luck: Luck,
    clock: Clock,
    net: MemNet,
    machines: BTreeMap<usize, Machine>,
    endings: Endings,
    /// What ends, or begins, when.
    agenda: BTreeMap<(Instant, u64), apply::Due>,
    planned: u64,
    tally: BTreeMap<&'static str, u64>,
    pub(crate) trace: Trace,
    pub(crate) violations: Violations,
    pub(crate) invariants: Rc<RefCell<Invariants>>,
    pub(crate) trouble: trouble::Installed,
}

impl World {
    /// A network with empty disks. Takes the thread's [`trouble`] for itself.
    pub(crate) fn new(seed: u64, scenario: &Scenario, (keep_trace, keep_facts): (bool, bool)) -> Self {
        let luck = Luck::new(seed, "world");
        let net = MemNet::new(scenario.net.clone());
        let machines = (1..=scenario.nodes).map(|node| (node, machine(scenario, &luck)));
        let invariants = Rc::new(RefCell::new(Invariants::default()));
        let told = Rc::clone(&invariants);
        let options = trouble::Options {
            seed: luck.bits64(),
            per_million_max: scenario.trouble_per_million,
            pause_max: scenario.trouble_pause,
        };
        let trace = Trace::new(net.clone(), keep_trace);
        let remarks = trace.clone();
        let trouble = trouble::install(options, move |name, facts| {
            let node = Scope::current().map_or(0, |scope| scope.number());
            if keep_facts {
                remarks.remark(format!("                n{node}     {name} {facts:?}"));
            }
            told.borrow_mut().hear(node as usize, name, facts);
        });
        Self {
            seed,
            machines: machines.collect(),
            scenario: scenario.clone(),
            luck,
            clock: Clock::simulated(1.0, 0),
            trace,
            net,
            endings: Endings::default(),
            agenda: BTreeMap::new(),
            planned: 0,
            tally: BTreeMap::new(),
            violations: Violations::default(),
            invariants,
            trouble,
        }
    }

    /// Frames delivered so far.
    pub(crate) fn frames(&self) -> u64 {
        self.net.deliveries()
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Faults so far, by kind.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.tally.clone();
        let mut add = |what, count| *all.entry(what).or_default() += count;
        let net = self.net.faults();
        add("frames lost", net.lost);
        add("frames late", net.late);
        add("requests delivered twice", net.copied_calls);
        add("raft frames delivered twice", net.copied_frames);
        for machine in self.machines.values() {
            let disk = machine.disk.faults();
            add("read errors", disk.read_errors);
            add("write errors", disk.write_errors);
            add("sync errors", disk.sync_errors);
            add("disk full", disk.full);
            add("misdirected writes", disk.misdirected);
            add("bits flipped", disk.flipped);
            add("sync stalls", disk.stalls);
        }
        for (_, troubles) in self.trouble.found().troubles {
            add("troubles in the product", troubles);
        }
        all.retain(|_, count| *count > 0);
        all
    }

    /// A process without a disk.
    pub(crate) fn visitor(&self, name: &str) -> Env {
        let rng = Rng::seeded(derive(self.seed, name, 0));
        let scope = Scope::new(rng.clone());
        let rate = 1.0 + self.scenario.drift * (rng.fraction() * 2.0 - 1.0);
        self.env(name, scope, rate, MemVfs::default(), Halt::simulated(|_| {}))
    }

    fn env(&self, name: &str, scope: Scope, rate: f64, disk: MemVfs, halt: Halt) -> Env {
        let rng = scope.rng().clone();
        scope.tempo().set_rate(rate);
        let spawn = Spawn::simulated(scope);
        let error = self.scenario.wall_error_ms;
        let now = WALL_MS + self.clock.now().as_nanos() / 1_000_000;
        Env {
            clock: Clock::simulated(rate, now - error + rng.below(2 * error + 1)),
            net: Arc::new(self.net.node(name, spawn.clone())),
            rng,
            spawn,
            vfs: Arc::new(disk),
            halt,
        }
    }

    /// Starts a node's next process, unless one runs. It may end again before it has started.
    pub(crate) fn start(&mut self, node: usize) {
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        if machine.process.is_some() {
            return;
        }
        machine.processes += 1;
        let name = node_name(node);
        let (processes, disk, rate) = (machine.processes, machine.disk.clone(), machine.rate);
        let rng = Rng::seeded(derive(self.seed, &name, processes));
        let scope = Scope::numbered(node as u64, rng);
        let started = machine.begin(scope.clone());
        let endings = self.endings.clone();
        let halt = Halt::simulated(move |reason| {
            endings
                .lock()
                .push((node, processes, format!("halted: {reason}")));
        });
        let env = self.env(&name, scope, rate, disk, halt);
        let (trace, endings, spawn) = (self.trace.clone(), self.endings.clone(), env.spawn.clone());
        let config = config(node, &self.scenario);
        spawn.spawn(Box::pin(async move {
            match Node::start(env, config).await {
                Ok(node) => {
                    trace.event(&name, "started");
                    *started.lock() = Some(node);
                }
                Err(error) => endings
                    .lock()
                    .push((node, processes, format!("did not start: {error}"))),
            }
        }));
    }
}

/// Processes that ended may have left circles behind, which would keep every disk of a campaign.
impl Drop for World {
    fn drop(&mut self) {
        for machine in self.machines.values() {
            machine.disk.destroy();
        }
    }
}

fn machine(scenario: &Scenario, luck: &Luck) -> Machine {
    let latency = MemLatency {
        clock: Clock::simulated(1.0, 0),
        write: Duration::ZERO..Duration::ZERO,
        sync: Duration::from_micros(200)..scenario.sync.max(Duration::from_micros(201)),
    };
    let disk = MemVfs::new(MemVfsOptions {
        seed: luck.bits64(),
        cold_reads_permille: scenario.cold_reads_permille,
        sector_bytes: scenario.sector_bytes,
        latency: Some(latency),
        ..MemVfsOptions::default()
    });
    Machine::new(disk, 1.0 + scenario.drift * (luck.fraction() * 2.0 - 1.0))
}

fn config(node: usize, scenario: &Scenario) -> NodeConfig {
    let mut config = NodeConfig::new("/data", node_address(node));
    config.insecure = true;
    if scenario.sealed {
        let keys = KeyRing::parse(&[*b"0123456789abcdef"; 2].concat());
        config.keys = Some(Arc::new(keys.expect("32 bytes are a key")));
    }
    config.raft.keep_log.entries = scenario.keep_entries;
    config.raft.keep_log.segments = scenario.keep_segments;
    config.disk_keep_free_bytes = scenario.disk_keep_free;
    // A page that takes a second lets go of its view if anything could go without it.
    config.pin_bytes = 0;
    config.segment_bytes = 8 * 1024 * 1024;
    config.preallocate = false;
    // So little that followers who fall behind, and readers, are served from the disk.
    config.tail_bytes = 16 * 1024;
    let cache = if scenario.cold_reads_permille > 0 {
        0
    } else {
        1024 * 1024
    };
    config.store = StoreOptions {
        // A memory of a few rows takes about as much as one of a thousand.
        checkpoint_memory: scenario.checkpoint_bytes.max(512 << 10) as usize,
        checkpoint_log: scenario.checkpoint_bytes,
        // Of several groups the largest is made to go before it must.
        row_memory: 2 << 20,
        block_cache: cache,
        // Also where all else is cold: a stale row would be seen.
        row_cache: 256 * 1024,
        snapshot_chunk: 16 * 1024,
        keep_free: scenario.disk_keep_free,
        journal_budget: scenario.journal_budget,
        value_file_bytes: 64 * 1024,
        maintenance_rate: 0,
        // Each in another way: what one leader packs, others read, and move to files as they are set to.
        compression: match node % 3 {
            0 => Compression::Off,
            1 => Compression::Lz4,
            _ => Compression::Zstd,
        },
    };
    if let Some(ttl) = scenario.session_ttl {
        config.sessions = SessionLimits {
            ttl_ms: ttl.as_millis() as u64,
            max: 3,
        };
    }
    config
}
