//! `atoll-sim`: runs, repeats and gathers simulations.
//!
//! Exit codes: 0 all well, 1 a violation, 2 nothing wrong was found but not enough was reached to say
//! so.

mod gate;
mod output;

use std::process::ExitCode;
use std::time::Duration;

use atoll_sim::campaign::{campaign, missing};
use atoll_sim::{Options, Profile, run, shrink};
use clap::{Args, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "atoll-sim", about = "The deterministic simulator")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One seed, with a summary; a failure is made smaller.
    Run(One),
    /// One seed again, with the trace if wanted.
    Replay {
        #[command(flatten)]
        one: One,
        /// Print everything that happened.
        #[arg(long)]
        trace: bool,
        /// And every fact that replicas tell: group, generation, replica, and what the name says.
        #[arg(long)]
        facts: bool,
    },
    /// Every deliberate bug must be found.
    Mutants(gate::Gate),
    /// One search of the above.
    #[cfg(feature = "mutants")]
    #[command(hide = true)]
    Hunt(gate::Hunter),
    /// Many seeds.
    Campaign {
        /// `A..B`: from A up to, without, B.
        #[arg(long, value_parser = parse_seeds)]
        seeds: std::ops::Range<u64>,
        /// No new seed is begun after this time.
        #[arg(long)]
        minutes: Option<u64>,
        /// Threads.
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        #[command(flatten)]
        kind: Kind,
    },
}

#[derive(Args)]
struct One {
    /// The seed.
    #[arg(long)]
    seed: u64,
    /// Heal after so many milliseconds already.
    #[arg(long)]
    until_ms: Option<u64>,
    /// Numbers of steps to leave out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<usize>,
    #[command(flatten)]
    kind: Kind,
}

#[derive(Args)]
struct Kind {
    /// Simulated seconds with faults.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Small runs with crashes and cuts only.
    #[arg(long)]
    smoke: bool,
}

impl Kind {
    fn options(&self) -> Options {
        Options {
            profile: if self.smoke {
                Profile::Smoke
            } else {
                Profile::Swarm
            },
            length: Duration::from_secs(self.seconds),
            ..Options::default()
        }
    }
}

impl One {
    fn options(&self) -> Options {
        Options {
            until: self.until_ms.map(Duration::from_millis),
            without: self.without.iter().copied().collect(),
            ..self.kind.options()
        }
    }
}

fn parse_seeds(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("seeds are A..B")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    Ok(number(first)?..number(end)?)
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(one) => run_one(&one),
        Command::Mutants(gate) => gate.run(),
        #[cfg(feature = "mutants")]
        Command::Hunt(hunter) => hunter.run(),
        Command::Replay { one, trace, facts } => replay(&one, trace, facts),
        Command::Campaign {
            seeds,
            minutes,
            jobs,
            kind,
        } => run_many(seeds, minutes, jobs, &kind.options()),
    }
}

fn run_one(one: &One) -> ExitCode {
    let options = one.options();
    let report = run(one.seed, &options);
    output::report(&report);
    if report.violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    output::failed(&report, &options);
    let (smaller, runs) = shrink(one.seed, &options);
    output::shrunk(one.seed, &smaller, runs);
    ExitCode::from(1)
}

fn replay(one: &One, trace: bool, facts: bool) -> ExitCode {
    let options = Options {
        keep_trace: trace || facts,
        keep_facts: facts,
        ..one.options()
    };
    let report = run(one.seed, &options);
    output::trace(&report);
    output::report(&report);
    ExitCode::from(u8::from(!report.violations.is_empty()))
}

fn run_many(seeds: std::ops::Range<u64>, minutes: Option<u64>, jobs: usize, options: &Options) -> ExitCode {
    let limit = minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let totals = campaign(seeds, limit, jobs, options, |report| {
        if report.violations.is_empty() {
            output::line(report);
        } else {
            output::failed(report, options);
        }
    });
    output::totals(&totals);
    if let Some(seed) = totals.failures.keys().next() {
        let (smaller, runs) = shrink(*seed, options);
        output::shrunk(*seed, &smaller, runs);
        return ExitCode::from(1);
    }
    ExitCode::from(if missing(&totals).is_empty() { 0 } else { 2 })
}
