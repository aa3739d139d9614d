//! A small cluster, a few clients, ten bad seconds, and the question whether everything is still true.
//!
//! Three nodes with one data group. Clients put, get and compare-and-set a handful of keys while
//! nodes crash and restart, all of them at once at some point, and links are cut in one direction or
//! both (`plan`). Then everything is healed: all nodes must serve again within a bound, every key is
//! read, replicas must have reached the same state, and the history is judged.

mod options;
mod plan;
mod report;
mod workload;
mod world;

pub use options::Options;
pub use report::Report;

use std::time::Duration;

use atoll_client::admin::{self, InitOptions};
use atoll_client::{Client, Options as ClientOptions};
use atoll_env::{Clock, Rng, Task};

use crate::check::check;
use crate::history::{Call, Operation, Outcome};
use crate::panics;
use workload::{Plan, Recorder, key_name};
use world::World;

const NODES: usize = 3;
/// How often replicas are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long the cluster may need to serve once nothing is broken any more.
const RECOVERY: Duration = Duration::from_secs(15);
/// No run takes longer, whatever waits for whatever.
const LIMIT: Duration = Duration::from_secs(180);

/// One run. The same seed and options give the same report.
pub fn run(seed: u64, options: &Options) -> Report {
    let ((), mut report) = (
        (),
        Report {
            seed,
            ..Report::default()
        },
    );
    let (trace, panics) = panics::during(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing that can be missing");
        runtime.block_on(Box::pin(session(&mut report, options)))
    });
    report.violations.extend(panics);
    (report.trace_hash, report.trace) = trace;
    report
}

/// A number for one purpose, from the run's seed.
fn derive(seed: u64, purpose: &str, number: u64) -> u64 {
    let mut hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    for byte in purpose.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Rng::seeded(hash).bits64()
}

fn node_name(number: usize) -> String {
    format!("n{number}")
}

fn node_address(number: usize) -> String {
    format!("n{number}:7000")
}

fn client_name(number: usize) -> String {
    format!("c{number}")
}

async fn session(report: &mut Report, options: &Options) -> (u64, Vec<String>) {
    let clock = Clock::simulated(1.0, 0);
    let mut session = Session::new(report.seed, options.clone(), clock.clone());
    let ended = clock.timeout(LIMIT, session.play()).await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(trouble)) => report.violations.push(trouble),
        Err(_) => report.violations.push("the run does not end".to_owned()),
    }
    report.simulated_ms = (clock.now().as_nanos() / 1_000_000).max(1);
    session.fill(report);
    session.world.trace.take()
}

struct Session {
    seed: u64,
    options: Options,
    clock: Clock,
    world: World,
    recorder: Recorder,
}

impl Session {
    fn new(seed: u64, options: Options, clock: Clock) -> Self {
        let world = World::new(seed, NODES, options.keep_trace);
        let recorder = Recorder::new(world.trace.clone(), world.troubles.clone());
        Self {
            seed,
            options,
            clock,
            world,
            recorder,
        }
    }

    async fn play(&mut self) -> Result<(), String> {
        self.make_cluster().await?;
        let clients = self.bad_times().await;
        self.world.heal_all();
        self.all_serve().await?;
        for client in clients {
            client.await;
        }
        self.read_everything().await?;
        self.replicas_agree().await
    }

    fn addresses() -> Vec<String> {
        (1..=NODES).map(node_address).collect()
    }

    async fn make_cluster(&mut self) -> Result<(), String> {
        for node in 1..=NODES {
            self.world.start(node);
        }
        let env = self.world.visitor("admin");
        let options = InitOptions {
            addresses: Self::addresses(),
            groups: 1,
            ..InitOptions::default()
        };
        // The node may not listen yet.
        self.clock.sleep(Duration::from_secs(1)).await;
        let until = self.clock.now() + RECOVERY;
        // A frame may be lost; to ask again is what one is told to do.
        while let Err(error) = admin::init(&env, &node_address(1), options.clone()).await {
            if self.clock.now() > until {
                return Err(format!("init: {error}"));
            }
            self.clock.sleep(LOOK).await;
        }
        self.all_serve().await
    }

    /// Ends with everything as the plan left it, and clients that are still waiting for answers.
    async fn bad_times(&mut self) -> Vec<Task<()>> {
        let mut clients = Vec::new();
        for number in 1..=self.options.clients {
            let name = client_name(number);
            let env = self.world.visitor(&name);
            let plan = Plan {
                name,
                seeds: Self::addresses(),
                workers: self.options.workers,
                keys: self.options.keys,
                length: self.options.chaos,
            };
            clients.push(plan.start(env, self.recorder.clone()));
        }
        let luck = Rng::seeded(derive(self.seed, "nemesis", 0));
        let began = self.clock.now();
        for (at, step) in plan::plan(&luck, self.options.chaos, NODES, self.options.clients) {
            // What the plan ends later is ended by healing everything.
            self.watch_until(began + at.min(self.options.chaos)).await;
            if at < self.options.chaos {
                self.world.apply(&step);
            }
        }
        self.watch_until(began + self.options.chaos).await;
        clients
    }

    async fn watch_until(&mut self, until: atoll_env::Instant) {
        while self.clock.now() < until {
            self.clock.sleep(LOOK.min(until.since(self.clock.now()))).await;
            self.world.compare_replicas();
        }
    }

    async fn all_serve(&mut self) -> Result<(), String> {
        let until = self.clock.now() + RECOVERY;
        loop {
            let phases = self.world.phases();
            if phases.len() == NODES && phases.values().all(|phase| *phase == "serving") {
                self.world.trace.event("sim", "all nodes serve");
                return Ok(());
            }
            if self.clock.now() > until {
                return Err(format!("not all nodes serve within {RECOVERY:?}: {phases:?}"));
            }
            self.clock.sleep(LOOK).await;
        }
    }

    async fn read_everything(&mut self) -> Result<(), String> {
        let env = self.world.visitor("final");
        let client = Client::connect(&env, &Self::addresses(), ClientOptions::default()).await;
        let client = client.map_err(|error| format!("no connection in the end: {error}"))?;
        for key in (0..self.options.keys).map(key_name) {
            let read = self.recorder.run("final", &client, &key, Call::Get).await;
            if !matches!(read, Outcome::Read { .. }) {
                return Err(format!("{key} cannot be read in the end"));
            }
        }
        client.close().await;
        Ok(())
    }

    async fn replicas_agree(&mut self) -> Result<(), String> {
        let until = self.clock.now() + RECOVERY;
        while !self.world.compare_replicas() {
            if self.clock.now() > until {
                return Err(format!("the replicas do not become equal within {RECOVERY:?}"));
            }
            self.clock.sleep(LOOK).await;
        }
        self.world.trace.event("sim", "all replicas are equal");
        Ok(())
    }

    fn fill(&self, report: &mut Report) {
        let history = self.recorder.history();
        let count = |is: fn(&Operation) -> bool| history.iter().filter(|operation| is(operation)).count();
        report.operations = history.len();
        report.acknowledged = count(|operation| matches!(operation.outcome, Outcome::Written(_)));
        report.reads = count(|operation| matches!(operation.outcome, Outcome::Read { .. }));
        report.conflicts = count(|operation| matches!(operation.outcome, Outcome::Conflict(_)));
        report.failed = count(|operation| operation.outcome == Outcome::Nothing);
        report.unknown = count(|operation| operation.outcome == Outcome::Unknown);
        report.crashes = self.world.crashes;
        report.cuts = self.world.cuts;
        report.compared = self.world.compared;
        report.frames = self.world.frames();
        report.violations.append(&mut self.world.troubles.lock());
        report.violations.extend(check(&history));
    }
}
