//! One run: a cluster, clients, bad times, and the question whether everything is still true.
//!
//! Clients work while the steps of the plan are taken. Then everything is healed: all nodes with an
//! undamaged disk must serve again within a bound, every key is read, replicas must come to the same
//! point, and the history is judged. Invariants are judged all the while, as things happen.

mod options;
mod report;

pub use options::Options;
pub use report::{Counts, Report};

use std::time::Duration;

use atoll_client::admin::{self, InitOptions};
use atoll_client::{Client, Options as ClientOptions};
use atoll_env::{Clock, Instant, Task};

use crate::history::{Call, Level, Outcome};
use crate::judge::judge;
use crate::panics;
use crate::scenario::Scenario;
use crate::workload::{COUNTERS, Plan, Recorder, SETS, Stray, ask, key_name};
use crate::world::{World, client_name, node_address};
use crate::{nemesis, nemesis::Step};

/// How often the world is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How often it is looked at closely, in looks.
const CLOSELY: u64 = 10;
/// How long the cluster may need to serve once nothing is broken any more.
const RECOVERY: Duration = Duration::from_secs(30);
/// Keys written when all is well again: enough to meet every group.
const PROBES: usize = 16;
/// How often they are written, at most.
const ROUNDS: usize = 20;
/// Replicas of a group.
const REPLICAS: usize = 3;
/// How much longer than planned a run may take, whatever waits for whatever.
const PATIENCE: Duration = Duration::from_secs(180);

/// One run. The same seed and options give the same report.
pub fn run(seed: u64, options: &Options) -> Report {
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let (trace, panics) = panics::during(seed, || {
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

async fn session(report: &mut Report, options: &Options) -> (u64, Vec<String>) {
    let clock = Clock::simulated(1.0, 0);
    let mut session = Session::new(report.seed, options.clone(), clock.clone());
    let ended = clock.timeout(options.length + PATIENCE, session.play()).await;
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
    scenario: Scenario,
    options: Options,
    clock: Clock,
    world: World,
    recorder: Recorder,
    steps: Vec<Step>,
    planned: usize,
    looks: u64,
}

impl Session {
    fn new(seed: u64, options: Options, clock: Clock) -> Self {
        let scenario = Scenario::draw(seed, options.profile);
        let world = World::new(seed, &scenario, (options.keep_trace, options.keep_facts));
        world.trace.event("sim", &format!("{scenario:?}"));
        let recorder = Recorder::new(clock.clone(), world.trace.clone(), world.violations.clone());
        let steps = nemesis::plan(seed, &scenario, options.length);
        Self {
            scenario,
            options,
            clock,
            world,
            recorder,
            planned: steps.len(),
            steps,
            looks: 0,
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
        let env = self.world.visitor("final");
        let client = Client::connect(&env, &self.addresses(), ClientOptions::default()).await;
        let client = client.map_err(|error| format!("no connection in the end: {error}"))?;
        self.write_once_more(&client).await?;
        self.read_everything(&client).await?;
        client.close().await;
        self.replicas_agree().await
    }

    fn addresses(&self) -> Vec<String> {
        (1..=self.scenario.nodes).map(node_address).collect()
    }

    async fn make_cluster(&mut self) -> Result<(), String> {
        for node in 1..=self.scenario.nodes {
            self.world.start(node);
        }
        let env = self.world.visitor("admin");
        let options = InitOptions {
            addresses: self.addresses(),
            groups: self.scenario.groups,
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
            self.look().await;
        }
        self.all_serve().await
    }

    /// Ends with everything as the plan left it, and clients that are still waiting for answers.
    async fn bad_times(&mut self) -> Vec<Task<()>> {
        let clients = (1..=self.scenario.clients).map(client_name);
        let mut clients: Vec<_> = clients.map(|name| self.start_client(name)).collect();
        clients.extend(self.start_stray());
        let began = self.clock.now();
        let end = began + self.options.chaos();
        for step in std::mem::take(&mut self.steps) {
            let at = began + step.at;
            if at >= end {
                break;
            }
            self.watch_until(at).await;
            if !self.options.without.contains(&step.number) {
                self.world.take(&step);
            }
        }
        self.watch_until(end).await;
        clients
    }

    /// There must be a group that is the wrong one.
    fn start_stray(&self) -> Option<Task<()>> {
        let env = self.world.visitor("stray");
        let until = env.clock.now() + self.options.chaos();
        let stray = Stray {
            env,
            addresses: self.addresses(),
            recorder: self.recorder.clone(),
        };
        (self.scenario.groups > 1).then(|| stray.start(until))
    }

    fn start_client(&self, name: String) -> Task<()> {
        let env = self.world.visitor(&name);
        let plan = Plan {
            name,
            seeds: self.addresses(),
            workers: self.scenario.workers,
            keys: self.scenario.keys,
            rest: self.scenario.rest,
            length: self.options.chaos(),
            sessions_last: self.scenario.session_ttl.is_none(),
        };
        plan.start(env, self.recorder.clone())
    }

    async fn watch_until(&mut self, until: Instant) {
        while self.clock.now() < until {
            let now = self.clock.now();
            let due = self.world.next_due().unwrap_or(until);
            let next = until.min(due).min(now + LOOK).max(now);
            self.clock.sleep_until(next).await;
            self.glance();
        }
    }

    async fn look(&mut self) {
        self.clock.sleep(LOOK).await;
        self.glance();
    }

    fn glance(&mut self) {
        self.world.do_due();
        self.world.look();
        self.looks += 1;
        if self.looks.is_multiple_of(CLOSELY) {
            self.world.look_closely();
        }
    }

    async fn all_serve(&mut self) -> Result<(), String> {
        let until = self.clock.now() + RECOVERY;
        loop {
            let others = self.world.not_serving();
            if others.is_empty() {
                self.world.trace.event("sim", "all nodes serve");
                return Ok(());
            }
            if self.clock.now() > until {
                return Err(format!("not all nodes serve within {RECOVERY:?}: {others:?}"));
            }
            self.look().await;
        }
    }

    async fn probe(&self, client: &Client, number: usize) -> Result<(), String> {
        let key = format!("probe {number}");
        let call = Call::Put {
            value: self.recorder.value().to_string(),
        };
        match ask(&self.recorder, "final", client, &key, call).await {
            Outcome::Written { .. } => Ok(()),
            other => Err(format!("{key} cannot be written in the end: {other:?}")),
        }
    }

    /// Writes must work again; and with more written behind the damage, a damaged disk shows.
    async fn write_once_more(&mut self, client: &Client) -> Result<(), String> {
        for _ in 0..ROUNDS {
            for number in 0..PROBES {
                self.probe(client, number).await?;
            }
            self.look().await;
            if self.world.replace_damaged() {
                break;
            }
        }
        // A node that has written nothing by now leads no group that clients use: it may stay as it is.
        self.all_serve().await
    }

    async fn read_everything(&mut self, client: &Client) -> Result<(), String> {
        let level = Level::Linearizable;
        let registers = (0..self.scenario.keys).map(|number| (key_name(number), Call::Get { level }));
        let counters = COUNTERS.map(|key| (key.to_owned(), Call::CounterRead { level }));
        let sets = SETS.map(|key| (key.to_owned(), Call::SetRead { level }));
        for (key, call) in registers.chain(counters).chain(sets) {
            match ask(&self.recorder, "final", client, &key, call).await {
                Outcome::Failed | Outcome::Unknown => return Err(format!("{key} cannot be read in the end")),
                _ => {}
            }
        }
        Ok(())
    }

    async fn replicas_agree(&mut self) -> Result<(), String> {
        let until = self.clock.now() + RECOVERY;
        loop {
            let differences = self.world.differences();
            if differences.is_empty() {
                self.world.trace.event("sim", "all replicas are equal");
                return Ok(());
            }
            if self.clock.now() > until {
                return Err(format!(
                    "replicas are apart after {RECOVERY:?}: {}",
                    differences.join(", ")
                ));
            }
            self.look().await;
        }
    }

    fn fill(&mut self, report: &mut Report) {
        self.world.look();
        let history = self.recorder.history();
        for operation in &history {
            let kind = match operation.outcome {
                Outcome::Written { .. } | Outcome::Added(_) | Outcome::Done { .. } => "writes",
                Outcome::Read(_) | Outcome::Counted(_) | Outcome::Elements(_) | Outcome::Rows(_) => "reads",
                Outcome::Conflict { .. } | Outcome::Refused { .. } => "conflicts",
                Outcome::Failed => "failed",
                Outcome::Unknown => "unknown",
            };
            *report.operations.entry(kind).or_default() += 1;
        }
        report.faults = self.world.faults();
        report.reached = self.world.trouble.found().reached;
        report.checked = self.world.invariants.borrow().checked().clone();
        report.frames = self.world.frames();
        report.steps = self.planned;
        report.violations.append(&mut self.world.violations.lock());
        // A client asks every replica before it says that bytes are damaged.
        if self.world.unreadable_disks() < REPLICAS {
            report.violations.extend(self.recorder.corrupt());
        }
        let judgement = judge(&history, self.scenario.drift);
        report.violations.extend(judgement.violations);
        for (name, judged) in judgement.judged {
            *report.checked.entry(name).or_default() += judged;
        }
    }
}
