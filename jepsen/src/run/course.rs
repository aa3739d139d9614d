//! One run from its beginning to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Clock, Env, Instant};
use atoll_history::{History, Verdict, Violation};
use parking_lot::Mutex;

use super::faults::{Installations, inject};
use super::gate::{self, Evidence, Span};
use super::progress::{self, Progress, Watched};
use super::{folder, logs, schedule};
use crate::cluster::{Cluster, Sampler};
use crate::field::Field;
use crate::interrupt::Interrupt;
use crate::judge::{Rules, judge};
use crate::nemesis::{Chosen, choose, clock};
use crate::options::Options;
use crate::record::{Check, Conclusion, Demand, Phase, Record};
use crate::workload::{self, Driver, Notes, Plan, Recorder, Workload};
use crate::{mutants, net, program, report};

/// Workloads run alone for a tenth of the faults' time, within these bounds.
const WARM_UP: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(10));
/// And this long after the faults.
const AFTER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// With the cluster whole again they run at least this long.
const WHOLE_MIN: Duration = Duration::from_secs(4);
/// The cluster must be whole again this long after everything was healed.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// Final reads take no longer.
const FINAL_MAX: Duration = Duration::from_secs(180);

/// A run that took place.
pub struct Ended {
    /// Everything about it.
    pub record: Record,
    /// Where its report and its logs are.
    pub dir: PathBuf,
}

/// Why there was no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It cannot be what was meant.
    #[error("{0}")]
    Usage(String),
    /// The cluster could not be made, or the report could not be written.
    #[error("{0}")]
    Setup(String),
}

impl Failed {
    /// 64 for wrong usage; 2, as for everything that is not known, else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Setup(_) => 2,
        }
    }
}

/// Runs workloads against a cluster while things break, judges, and writes the report. `command` repeats it.
pub async fn run(
    env: &Env,
    options: Options,
    command: String,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Ended, Failed> {
    let workloads = workload::workloads(&options.workloads).map_err(Failed::Usage)?;
    let chosen = choose(&options.nemeses).map_err(Failed::Usage)?;
    let setup = |error: std::io::Error| Failed::Setup(error.to_string());
    let version = program::version(&options.binary).map_err(Failed::Setup)?;
    let dir = folder::make(&options, env.clock.wall_ms()).map_err(setup)?;
    let stage = Stage::build(env, options, &dir).map_err(setup)?;
    if let Some(mutant) = &stage.field.options.mutant {
        mutants::wake(&stage.field.cluster, &stage.field.options.binary, mutant).map_err(Failed::Usage)?;
    }
    let (chosen, not_injected) = possible(&stage.field, chosen);
    let mut record = stage.empty(&version, command, not_injected);
    progress.say(&format!("starting {} nodes in {}", record.nodes, dir.display()));
    let launched = tokio::select! {
        launched = stage.field.cluster.launch(stage.field.options.groups) => launched,
        () = interrupt.raised() => Err("stopped before it began".to_owned()),
    };
    let stopped = match launched {
        Ok(()) => {
            stage
                .play(&mut record, &chosen, &workloads, interrupt, progress)
                .await
        }
        Err(why) => Err(why),
    };
    stage.field.cluster.stop_all().await;
    let played = stopped.map_err(|why| Failed::Setup(format!("{why}; see the logs in {}", dir.display())))?;
    progress.say("judging");
    stage
        .conclude(&mut record, &chosen, played, interrupt.is_raised())
        .await?;
    report::write(&record, &dir).map_err(setup)?;
    if record.conclusion() == Conclusion::Pass {
        folder::remove_data(&dir).map_err(setup)?;
    }
    Ok(Ended { record, dir })
}

/// What of the chosen can be injected here, and what cannot, with the reason.
fn possible(field: &Field, chosen: Vec<Chosen>) -> (Vec<Chosen>, Vec<String>) {
    let mut missing = Vec::new();
    let mut able = Vec::new();
    for mut one in chosen {
        let family = one.nemesis.family();
        one.variants.retain(|variant| {
            let why = one.nemesis.missing(field, variant);
            missing.extend(why.iter().map(|why| format!("{family}/{variant}: {why}")));
            why.is_none()
        });
        // What is required and impossible stays, so that the gate misses it.
        if !one.variants.is_empty() || one.required {
            able.push(one);
        }
    }
    (able, missing)
}

struct Stage {
    field: Field,
    dir: PathBuf,
}

/// What the phases leave for the judgement.
struct Played {
    notes: Notes,
    installations: Installations,
    spans: [Span; 3],
    recovery: Result<Duration, String>,
    demands: Vec<Demand>,
}

impl Stage {
    fn build(env: &Env, options: Options, dir: &Path) -> std::io::Result<Self> {
        let net = net::make(options.net, options.nodes, env)?;
        let began = env.clock.now();
        let options = Arc::new(options);
        let cluster = Cluster::prepare(env, Arc::clone(&net), Arc::clone(&options), dir, began)?;
        let field = Field {
            env: env.clone(),
            cluster: Arc::new(cluster),
            net,
            options,
            began,
        };
        let dir = dir.to_owned();
        Ok(Self { field, dir })
    }

    fn clock(&self) -> &Clock {
        &self.field.env.clock
    }

    fn empty(&self, version: &str, command: String, not_injected: Vec<String>) -> Record {
        let options = &self.field.options;
        let program = match &options.mutant {
            Some(mutant) => format!("{version}, with the mutant {mutant} awake"),
            None => version.to_owned(),
        };
        Record {
            workloads: options.workloads.clone(),
            nemeses: options.nemeses.clone(),
            seed: options.seed,
            nodes: options.nodes,
            groups: options.groups,
            program,
            command,
            began_unix_ms: self.clock().wall_ms(),
            history: History::default(),
            faults: Vec::new(),
            leaders: Vec::new(),
            phases: Vec::new(),
            checks: Vec::new(),
            gate: Vec::new(),
            not_injected,
            log_findings: Vec::new(),
        }
    }

    /// The phases.
    async fn play(
        &self,
        record: &mut Record,
        chosen: &[Chosen],
        workloads: &[Arc<dyn Workload>],
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<Played, String> {
        let field = &self.field;
        let lanes = self.plan(chosen)?;
        let sampler = Sampler::start(field);
        let recorder = Recorder::new(self.clock().clone(), field.began);
        let driver = Arc::new(self.connect(&recorder).await?);
        let installations = Arc::<Mutex<Installations>>::default();
        let phase = Arc::new(Mutex::new("warm-up"));
        let watched = Watched {
            clock: self.clock().clone(),
            began: field.began,
            phase: Arc::clone(&phase),
            recorder: recorder.clone(),
            installations: Arc::clone(&installations),
        };
        let shown = progress.clone();
        let showing = field
            .env
            .spawn
            .spawn(async move { progress::show(&shown, &watched).await });
        let mut scene = Scene {
            stage: self,
            phase,
            phases: Vec::new(),
            began_phase: field.began,
        };
        let acts = async {
            let load = scene.warm_up(&driver, workloads, interrupt).await;
            scene.turn("faults");
            inject(field, chosen, &lanes, interrupt, &installations).await;
            interrupt
                .sleep(self.clock(), load.faults_end.since(self.clock().now()))
                .await;
            scene.turn("recovery");
            installations.lock().broken.extend(field.cluster.heal());
            let (recovery, whole) = scene.recover(&driver, workloads, load, interrupt).await;
            scene.turn("final reads");
            let finished = scene.finish(&driver, workloads, interrupt).await;
            (recovery, whole, finished)
        };
        let (recovery, whole, finished) = Box::pin(acts).await;
        scene.turn("over");
        showing.stop();
        driver.close().await;
        record.phases = scene.phases;
        record.leaders = sampler.looks.samples();
        record.history = recorder.history();
        let installations = installations.lock().clone();
        record.faults.clone_from(&installations.faults);
        let spans = [
            span(&record.phases, "warm-up"),
            span(&record.phases, "faults"),
            whole,
        ];
        Ok(Played {
            notes: recorder.notes(),
            installations,
            spans,
            recovery,
            demands: vec![finished],
        })
    }

    /// The schedule, kept in a file before anything happens.
    fn plan(&self, chosen: &[Chosen]) -> Result<Vec<schedule::Lane>, String> {
        let options = &self.field.options;
        let variants = |one: &Chosen| one.variants.iter().map(|&variant| variant.to_owned()).collect();
        let families: Vec<(String, Vec<String>)> = chosen
            .iter()
            .map(|one| (one.nemesis.family().to_owned(), variants(one)))
            .collect();
        let lanes = schedule::schedule(&families, options.time, options.seed);
        let text = format!("{:#}\n", schedule::json(&lanes));
        folder::write(&self.dir, "schedule.json", &text).map_err(|error| error.to_string())?;
        Ok(lanes)
    }

    async fn connect(&self, recorder: &Recorder) -> Result<Driver, String> {
        let options = &self.field.options;
        let cluster = Arc::clone(&self.field.cluster);
        let plan = Plan {
            addresses: Arc::new(move || cluster.numbers().map(|node| cluster.address(node)).collect()),
            concurrency: options.concurrency,
            rate: options.rate,
            seed: options.seed,
        };
        Driver::connect(self.field.env.clone(), plan, recorder.clone()).await
    }

    /// What was done to nodes that changes what they may answer.
    fn rules(&self, installations: &Installations) -> Rules {
        let slow = installations
            .faults
            .iter()
            .any(|fault| fault.name == "clock/rate");
        Rules {
            drift: if slow { clock::SLOWER_MAX } else { 0.0 },
            spoiled: self
                .field
                .cluster
                .spoiled()
                .into_iter()
                .map(|(node, _)| node)
                .collect(),
        }
    }

    /// Judges everything.
    async fn conclude(
        &self,
        record: &mut Record,
        chosen: &[Chosen],
        played: Played,
        interrupted: bool,
    ) -> Result<(), Failed> {
        let (history, notes) = (record.history.clone(), played.notes);
        let rules = self.rules(&played.installations);
        let judged = move || judge(&history, &notes, &rules);
        record.checks = self.field.env.spawn.blocking(judged).await;
        if !interrupted {
            record.checks.push(recovery(&played.recovery));
        }
        record.log_findings =
            logs::findings(&self.field.cluster).map_err(|error| Failed::Setup(error.to_string()))?;
        let options = &self.field.options;
        record.gate = gate::demands(&Evidence {
            history: &record.history,
            chosen,
            installations: &played.installations,
            leaders: &record.leaders,
            rate: options.rate,
            time: options.time,
            nodes: options.nodes,
            spans: played.spans,
            interrupted,
        });
        record.gate.extend(played.demands);
        let broken = &played.installations.broken;
        record
            .not_injected
            .extend(broken.iter().map(|what| format!("went wrong: {what}")));
        Ok(())
    }
}

/// The phases as they go by.
struct Scene<'a> {
    stage: &'a Stage,
    phase: Arc<Mutex<&'static str>>,
    phases: Vec<Phase>,
    began_phase: Instant,
}

/// Clients at work.
struct Load {
    task: atoll_env::Task<()>,
    faults_end: Instant,
    until: Instant,
}

impl Scene<'_> {
    /// Ends a phase and begins the next.
    fn turn(&mut self, next: &'static str) {
        let field = &self.stage.field;
        let now = self.stage.clock().now();
        let name = std::mem::replace(&mut *self.phase.lock(), next);
        self.phases.push(Phase {
            name,
            begin_ns: field.at_ns(self.began_phase),
            end_ns: field.at_ns(now),
        });
        self.began_phase = now;
    }

    async fn warm_up(
        &mut self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        interrupt: &Interrupt,
    ) -> Load {
        let time = self.stage.field.options.time;
        let warm_up = (time / 10).clamp(WARM_UP.0, WARM_UP.1);
        let now = self.stage.clock().now();
        self.began_phase = now;
        let faults_end = now + warm_up + time;
        let until = faults_end + (time / 6).clamp(AFTER.0, AFTER.1);
        let task = self.work(driver, workloads, until);
        interrupt.sleep(self.stage.clock(), warm_up).await;
        Load {
            task,
            faults_end,
            until,
        }
    }

    fn work(
        &self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        until: Instant,
    ) -> atoll_env::Task<()> {
        let (driver, workloads) = (Arc::clone(driver), workloads.to_vec());
        let spawn = &self.stage.field.env.spawn;
        spawn.spawn(async move { workload::run(&driver, &workloads, until).await })
    }

    /// Waits until the cluster is whole again and has worked for a while then. Gives how long it took, and the time
    /// in which it was whole and worked.
    async fn recover(
        &mut self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        load: Load,
        interrupt: &Interrupt,
    ) -> (Result<Duration, String>, Span) {
        let (field, clock) = (&self.stage.field, self.stage.clock());
        let recovery = tokio::select! {
            recovery = field.cluster.recovered(RECOVERY_MAX) => recovery,
            () = interrupt.raised() => Err("the run was stopped early".to_owned()),
        };
        let whole = clock.now();
        // Those that began before it was whole end first: what follows is measured from a fresh beginning.
        let mut until = load.until;
        ended(load.task, interrupt).await;
        let mut begin = whole;
        if until.since(whole) < WHOLE_MIN && recovery.is_ok() {
            begin = clock.now();
            until = begin + WHOLE_MIN;
            ended(self.work(driver, workloads, until), interrupt).await;
        }
        let span = Span {
            begin_ns: field.at_ns(begin),
            end_ns: field.at_ns(until.max(begin)),
        };
        (recovery, span)
    }

    /// Reads everything once more.
    async fn finish(
        &mut self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        interrupt: &Interrupt,
    ) -> Demand {
        let clock = self.stage.clock();
        let reads = clock.timeout(FINAL_MAX, workload::finish(driver, workloads));
        let finished = tokio::select! {
            reads = reads => reads.is_ok(),
            () = interrupt.raised() => false,
        };
        Demand {
            what: "final reads that came to their end".to_owned(),
            wanted: 1.0,
            was: f64::from(u8::from(finished)),
            met: finished,
        }
    }
}

/// Waits for clients to come to their end; not if somebody wants to stop.
async fn ended(load: atoll_env::Task<()>, interrupt: &Interrupt) {
    tokio::select! {
        _ = load => {}
        () = interrupt.raised() => {}
    }
}

fn span(phases: &[Phase], name: &str) -> Span {
    let phase = phases.iter().find(|phase| phase.name == name);
    phase.map_or(
        Span {
            begin_ns: 0,
            end_ns: 0,
        },
        |phase| Span {
            begin_ns: phase.begin_ns,
            end_ns: phase.end_ns,
        },
    )
}

fn recovery(result: &Result<Duration, String>) -> Check {
    let verdict = match result {
        Ok(_) => Verdict::Ok { judged: 1 },
        Err(what) => Verdict::Violation(vec![Violation {
            checker: "recovery",
            key: String::new(),
            message: what.clone(),
            operation: None,
            prefix: Vec::new(),
        }]),
    };
    Check {
        name: "recovery".to_owned(),
        about: "Once everything is healed, every undamaged node serves and every group has a leader.",
        verdict,
    }
}
