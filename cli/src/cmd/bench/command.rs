//! Options of `bench`, and its course: preload, warm up, measure, report.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use atoll_client::Options;
use atoll_env::Env;
use clap::{Args, ValueEnum};

use super::figures::Cpu;
use super::load::Load;
use super::plan::Plan;
use super::recorder::Recorder;
use super::scan::ScanPlan;
use super::target::Target;
use super::{figures, load, report};
use crate::cmd::import::{parse_in_flight, parse_value_size};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::options::{Connect, Reading};
use crate::output::{Output, Report};
use crate::runtime;
use crate::screen::Screen;
use crate::survey::Survey;
use crate::units::{count, parse_duration, per_second};

const EXAMPLES: &str = "\
Examples:
  atoll bench put
  atoll bench get --preload --in-flight 512
  atoll bench mixed --read-percent 50 --duration 30s --output json
  atoll bench put --unary                   one plain gRPC call per operation
  atoll bench put --in-flight 1             latency of a single writer
  atoll bench get --routing round-robin     linearizable reads on all replicas
  atoll bench scan --keys-only              rows per second, in key order

Every put is durable on a majority and every get is linearizable unless --consistency asks for less. The keys
k0000000000, k0000000001, … are overwritten. The longest gap without a successful operation is what a
user notices of a node that is killed meanwhile.";

/// How long the workers may take to end after the window.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Durable writes.
    Put,
    /// Linearizable reads.
    Get,
    /// Both.
    Mixed,
    /// All keys there are, in order, again and again.
    Scan,
}

/// Measure throughput, latency and CPU time per operation.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// What to do.
    #[arg(value_enum)]
    pub(super) workload: Workload,

    /// Operations in flight.
    #[arg(long, default_value_t = 256, value_parser = parse_in_flight, value_name = "N")]
    pub(super) in_flight: usize,

    /// Bytes of a value.
    #[arg(long, default_value_t = 256, value_parser = parse_value_size, value_name = "BYTES")]
    pub(super) value_size: usize,

    /// Different keys, chosen uniformly.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(super) keys: u64,

    /// How long to measure.
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "TIME")]
    pub(super) duration: Duration,

    /// How long to run before measuring.
    #[arg(long, default_value = "1s", value_parser = parse_duration, value_name = "TIME")]
    pub(super) warm_up: Duration,

    /// Reads among 100 operations of `mixed`.
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(super) read_percent: u8,

    /// One gRPC call per operation, round robin over the endpoints, instead of the client's pipe.
    #[arg(long)]
    pub(super) unary: bool,

    /// Write every key once before.
    #[arg(long)]
    pub(super) preload: bool,

    #[command(flatten)]
    pub(super) scan: ScanPlan,

    /// Threads of the load generator.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) client_threads: u16,

    /// Keys and values are the same for the same seed.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    pub(super) output: Report,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    pub(super) connect: Connect,
}

impl Bench {
    /// Runs the load on a runtime of its own.
    pub(crate) fn run(self, screen: Screen) -> Result {
        if self.duration < Duration::from_millis(100) {
            return Err(
                Failure::usage("--duration is too short to measure anything").next("give at least 100ms")
            );
        }
        runtime::run(usize::from(self.client_threads), async {
            self.measure(&Context::once(screen)).await
        })
    }

    async fn measure(&self, context: &Context) -> Result {
        let env = &context.env;
        let plan = Plan::new(self.read_percent(), self.keys, self.value_size, self.seed);
        if self.preload {
            let client = self.connect.client(context).await?;
            note(&format!("writing {} keys", count(self.keys)));
            load::preload(env, &client, &plan, self.in_flight).await?;
            client.close().await;
        }
        if self.workload == Workload::Scan {
            return self.measure_scan(context).await;
        }
        let load = Load {
            env: env.clone(),
            target: self.target(context).await?,
            plan,
            recorder: Recorder::new(env.clock.now()),
        };
        let figures = self.window(env, Arc::new(load)).await?;
        let mut output = Output::stdout();
        match self.output {
            Report::Table | Report::Raw => {
                for line in report::lines(self, &figures) {
                    output.line(&line)?;
                }
            }
            Report::Json => output.json(&report::json(self, &figures))?,
        }
        output.finish()
    }

    /// Warms up, measures, drains.
    async fn window(&self, env: &Env, load: Arc<Load>) -> Result<figures::Figures> {
        let workers = load::start(&load, self.in_flight);
        env.clock.sleep(self.warm_up).await;
        let before = Survey::take(env, &self.connect.endpoints).await?.counters();
        let cpu_before = Cpu::now();
        let start = env.clock.now();
        load.recorder.open(start);
        let watched = io::stderr().is_terminal();
        let mut passed = Duration::ZERO;
        while passed < self.duration {
            let step = self.duration.saturating_sub(passed).min(Duration::from_secs(1));
            passed += step;
            env.clock.sleep_until(start + passed).await;
            let (done, failed) = load.recorder.tick();
            if watched {
                let speed = count(per_second(done, step));
                let second = passed.as_secs_f64();
                note(&format!(
                    "{second:6.1} s  {speed:>9} operations/s  {failed} failed"
                ));
            }
        }
        let recording = load.recorder.close(env.clock.now());
        let cpu_after = Cpu::now();
        // A node may be down at the end; the figures then leave it out.
        let after = Survey::take(env, &self.connect.endpoints)
            .await
            .map(|survey| survey.counters());
        load::stop(env, workers, DRAIN_MAX).await;
        Ok(figures::Figures {
            recording,
            client_cpu_us: cpu_after.since(cpu_before),
            nodes: figures::nodes(&before, &after.unwrap_or_default()),
        })
    }

    async fn target(&self, context: &Context) -> Result<Target> {
        if !self.unary {
            return Ok(Target::Pipe(self.reading.client(&self.connect, context).await?));
        }
        if self.reading.is_named() {
            let what = "--unary reads are linearizable, wherever they arrive";
            return Err(Failure::usage(what).next("leave the options on reading out"));
        }
        let deadline = self.connect.deadline_or(Options::default().deadline);
        Ok(Target::unary(
            &context.env,
            self.connect.endpoints.clone(),
            deadline,
        ))
    }

    /// Reads among 100 operations of this workload.
    pub(super) fn read_percent(&self) -> u8 {
        match self.workload {
            Workload::Put => 0,
            Workload::Get | Workload::Scan => 100,
            Workload::Mixed => self.read_percent,
        }
    }
}

/// Tells a watching user something that is no result.
fn note(line: &str) {
    // Progress is not worth failing for.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
