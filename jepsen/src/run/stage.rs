//! Where a run plays: its world, its schedule, its clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::{Clock, Env};
use atoll_history::History;
use parking_lot::Mutex;

use super::faults::{Installations, inject};
use super::gate::Span;
use super::judgement::Played;
use super::progress::{self, Progress, Watched};
use super::scene::Scene;
use super::{folder, schedule};
use crate::cluster::{Cluster, Sampler};
use crate::field::Field;
use crate::interrupt::Interrupt;
use crate::nemesis::Chosen;
use crate::net::Net;
use crate::options::Options;
use crate::record::{Phase, Record};
use crate::workload::{Driver, Plan, Recorder, Workload};

/// One run's world.
pub(super) struct Stage {
    pub(super) field: Field,
    dir: PathBuf,
}

impl Stage {
    pub(super) fn build(env: &Env, options: Options, net: Arc<dyn Net>, dir: &Path) -> std::io::Result<Self> {
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

    pub(super) fn clock(&self) -> &Clock {
        &self.field.env.clock
    }

    pub(super) fn empty(&self, version: &str, command: String, not_injected: Vec<String>) -> Record {
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
            began_unix_ms: self
                .clock()
                .wall_ms()
                .saturating_sub(self.field.now_ns() / 1_000_000),
            history: History::default(),
            faults: Vec::new(),
            leaders: Vec::new(),
            phases: Vec::new(),
            checks: Vec::new(),
            gate: Vec::new(),
            not_injected,
            spared: Vec::new(),
            log_findings: Vec::new(),
            last_words: Vec::new(),
        }
    }

    /// The phases.
    pub(super) async fn play(
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
        let mut scene = Scene::new(self, phase);
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
