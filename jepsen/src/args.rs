//! The command line, the same for `atoll-jepsen` and for `atoll verify`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use atoll_env::Env;
use clap::ValueEnum;
use clap::error::ErrorKind;

use crate::interrupt::Interrupt;
use crate::nemesis::nemeses;
use crate::options::{NetKind, Options};
use crate::regression;
use crate::run::{self, Failed, Progress};
use crate::workload::workloads;

/// Shown below the options.
pub const EXAMPLES: &str = "\
Examples:
  PROGRAM                                             register and counter, partitions and kills, a minute
  PROGRAM --list                                      every workload and every nemesis
  PROGRAM --workload all --nemesis all --time 300     everything this build can do here
  PROGRAM --nemesis partition/leader,pause/leader     two variants only
  PROGRAM --workload register --nemesis kill --seed 7 --nodes 3
  PROGRAM --matrix --workload register,set+counter --nemesis none,kill,partition+pause

Nothing outside of --store is touched; nodes listen on loopback, at ports chosen by the system. Ctrl-C heals,
stops all nodes, and judges what there is.

Exit codes:
  0   no promise was broken, and there was enough to break one
  1   a promise was broken
  2   unknown: a checker could not decide, or too little happened for a test
  64  wrong usage";

/// How many seconds faults are injected by default.
const TIME_S: &str = "60";
/// A day: longer histories fit no memory.
const TIME_MAX: Duration = Duration::from_secs(86_400);

/// What to break, how, for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What clients do; several run side by side. See --list.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME,…",
        default_value = "register,counter"
    )]
    workload: Vec<String>,

    /// What is broken: families of faults, single variants (partition/leader), all, or none. See --list.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME,…",
        default_value = "partition,kill"
    )]
    nemesis: Vec<String>,

    /// How long faults are injected: seconds, or with a unit (90s, 5m).
    #[arg(long, value_name = "TIME", default_value = TIME_S, value_parser = parse_time)]
    time: Duration,

    /// Decides every fault and every operation [default: a random one, which is shown].
    #[arg(long)]
    seed: Option<u64>,

    /// How many nodes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,

    /// Data groups.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: u32,

    /// Operations per second that all clients together aim at.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,

    /// Clients that ask at the same time.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,

    /// How nodes reach each other.
    #[arg(long, value_enum, default_value_t = Links::Proxy)]
    net: Links,

    /// The folder under which each run makes one of its own.
    #[arg(long, value_name = "DIR", default_value = "verify-store")]
    store: PathBuf,

    /// The `atoll` program to test [default: this one; from atoll-jepsen, the one beside it, or built by cargo].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,

    /// Wake a deliberate bug in every node; only a build with `--features faults` has any.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,

    /// Run every workload with every nemesis, one after the other, and print a table; `+` joins several into one run.
    #[arg(long)]
    matrix: bool,

    /// Replay the runs that are kept in this folder, one file for each bug, and print a table.
    #[arg(long, value_name = "DIR", conflicts_with = "matrix")]
    regressions: Option<PathBuf>,

    /// Show all workloads and nemeses.
    #[arg(long, conflicts_with = "matrix")]
    list: bool,

    /// The form of the summary.
    #[arg(long, short, value_enum, default_value_t = Form::Text)]
    output: Form,
}

/// How nodes and clients reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Links {
    /// A proxy for each ordered pair, in this process; needs nothing.
    Proxy,
    /// A bridge between network namespaces, with packet filters; needs root.
    Netns,
}

/// The form of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Whoever is started by a command line.
#[derive(Clone, Debug)]
pub struct Program {
    /// How it is called: `atoll verify`.
    pub name: &'static str,
    /// What to test if nothing was named; asked only then. The error is for people.
    pub binary: fn() -> Result<PathBuf, String>,
}

impl Args {
    /// Does what was asked for: the summary to stdout, progress and errors to stderr. Gives the exit code.
    pub async fn run(self, program: &Program) -> u8 {
        match self.execute(program).await {
            Ok(code) => code,
            Err(failed) => {
                // Without a stderr the exit code still tells.
                let _ = writeln!(io::stderr(), "error: {failed}");
                failed.exit_code()
            }
        }
    }

    async fn execute(self, program: &Program) -> Result<u8, Failed> {
        if self.list {
            return say(&list()).map(|()| 0);
        }
        let env = Env::real();
        let options = self.options(&env, program)?;
        let progress = Progress::stderr();
        let interrupt = Interrupt::new();
        let raised = interrupt.clone();
        let told = progress.clone();
        let signals = env.spawn.spawn(async move {
            if let Err(error) = raised.on_signals().await {
                told.say(&format!("Ctrl-C cannot be heard: {error}"));
            }
        });
        let command = |options: &Options| self.command(program, options);
        let code = if let Some(dir) = &self.regressions {
            let replayed = regression::replay(&env, dir, &options, command, &interrupt, &progress).await?;
            say(&replayed.table)?;
            replayed.exit_code
        } else if self.matrix {
            let matrix = run::matrix(&env, &options, command, &interrupt, &progress).await?;
            progress.say(&format!("the table is in {}", matrix.file.display()));
            say(&matrix.table)?;
            matrix.exit_code
        } else {
            let line = command(&options);
            let ended = run::run(&env, options, line, &interrupt, &progress).await?;
            match self.output {
                Form::Text => say(&run::text(&ended.record, &ended.dir))?,
                Form::Json => say(&format!("{:#}\n", run::json(&ended.record, &ended.dir)))?,
            }
            ended.record.conclusion().exit_code()
        };
        signals.stop();
        Ok(code)
    }

    fn options(&self, env: &Env, program: &Program) -> Result<Options, Failed> {
        let binary = match &self.binary {
            Some(binary) => binary.clone(),
            None => (program.binary)().map_err(Failed::Setup)?,
        };
        Ok(Options {
            workloads: self.workload.clone(),
            nemeses: self.nemesis.clone(),
            time: self.time,
            // Small enough for every tool that reads JSON.
            seed: self.seed.unwrap_or_else(|| env.rng.below(1 << 32)),
            nodes: self.nodes,
            groups: self.groups,
            rate: self.rate,
            concurrency: self.concurrency,
            net: match self.net {
                Links::Proxy => NetKind::Proxy,
                Links::Netns => NetKind::Netns,
            },
            store: self.store.clone(),
            binary,
            mutant: self.mutant.clone(),
        })
    }

    /// The command that repeats a run.
    fn command(&self, program: &Program, options: &Options) -> String {
        let mut words = vec![program.name.to_owned()];
        let mut add = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        let nemeses = if options.nemeses.is_empty() {
            "none".to_owned()
        } else {
            options.nemeses.join(",")
        };
        add("workload", options.workloads.join(","));
        add("nemesis", nemeses);
        add("time", shown_time(options.time));
        add("seed", options.seed.to_string());
        add("nodes", options.nodes.to_string());
        add("groups", options.groups.to_string());
        add("rate", options.rate.to_string());
        add("concurrency", options.concurrency.to_string());
        if options.net == NetKind::Netns {
            add("net", "netns".to_owned());
        }
        if let Some(binary) = &self.binary {
            add("binary", binary.display().to_string());
        }
        if let Some(mutant) = &options.mutant {
            add("mutant", mutant.clone());
        }
        words.join(" ")
    }
}

/// Tells why a command line is wrong, or the help that it asked for.
pub fn misused(error: &clap::Error) -> ExitCode {
    // Without an output the exit code still tells.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(64),
    }
}

fn say(text: &str) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failed::Setup(error.to_string())),
    }
}

/// Every workload and every nemesis.
fn list() -> String {
    let mut lines = vec!["Workloads (--workload)".to_owned()];
    for workload in workloads(&["all".to_owned()]).unwrap_or_default() {
        lines.push(format!("  {:<12} {}", workload.name(), workload.about()));
    }
    lines.push(String::new());
    lines.push("Nemeses (--nemesis): families, and their variants as family/variant".to_owned());
    for nemesis in nemeses() {
        lines.push(format!(
            "  {:<12} {}",
            nemesis.family(),
            nemesis.variants().join(", ")
        ));
    }
    lines.join("\n") + "\n"
}

/// Seconds, or a number with `s`, `m` or `h`.
fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|symbol: char| symbol.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        _ => return Err("a time is a number of seconds, or has the unit s, m or h".to_owned()),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "a time is a whole number, with s, m or h behind it".to_owned())?;
    let time = Duration::from_secs(count.saturating_mul(unit));
    if time.is_zero() || time > TIME_MAX {
        return Err("faults are injected for one second to one day".to_owned());
    }
    Ok(time)
}

fn shown_time(time: Duration) -> String {
    time.as_secs().to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    const PROGRAM: Program = Program {
        name: "atoll verify",
        binary: || Ok(PathBuf::from("/bin/atoll")),
    };

    #[tokio::test]
    async fn the_command_repeats_the_run() {
        let line =
            "x --workload set --nemesis kill/one,pause --time 2m --nodes 3 --mutant NoFsync --net netns";
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        let options = line.args.options(&Env::real(), &PROGRAM).unwrap();
        let command = line.args.command(&PROGRAM, &options);
        let words = command.strip_prefix("atoll ").unwrap().split(' ');
        let again = Line::try_parse_from(words).unwrap();
        assert_eq!(again.args.options(&Env::real(), &PROGRAM).unwrap(), options);
    }

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(parse_time("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "0", "-1", "5x", "m", "25h", "99999999999999999999"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_list_has_everything() {
        let list = list();
        for name in ["register", "kill", "pause", "rolling"] {
            assert!(list.contains(name), "{name} is missing:\n{list}");
        }
    }
}
