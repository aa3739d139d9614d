//! Everything that is printed.
#![expect(clippy::print_stdout, reason = "this is what the command is for")]

use std::fmt::Write as _;

use atoll_sim::campaign::{Totals, missing};
use atoll_sim::{Counts, Options, Profile, Report};

/// The command that repeats a run.
pub(crate) fn command(seed: u64, options: &Options) -> String {
    let mut line = format!(
        "cargo run --release -p atoll-sim -- replay --seed {seed} --seconds {}",
        options.length.as_secs()
    );
    if options.profile == Profile::Smoke {
        line.push_str(" --smoke");
    }
    if let Some(until) = options.until {
        let _ = write!(line, " --until-ms {}", until.as_millis());
    }
    if !options.without.is_empty() {
        let steps: Vec<String> = options.without.iter().map(ToString::to_string).collect();
        let _ = write!(line, " --without {}", steps.join(","));
    }
    line + " --trace"
}

fn counts(title: &str, counts: &Counts) {
    println!("{title}:");
    for (name, count) in counts {
        println!("  {count:>12}  {name}");
    }
}

pub(crate) fn trace(report: &Report) {
    for line in &report.trace {
        println!("{line}");
    }
}

pub(crate) fn line(report: &Report) {
    println!(
        "seed {}: trace {:016x}, {} ms, {} operations, {} faults, {} frames, {} violations",
        report.seed,
        report.trace_hash,
        report.simulated_ms,
        report.operations.values().sum::<u64>(),
        report.faults.values().sum::<u64>(),
        report.frames,
        report.violations.len()
    );
}

pub(crate) fn report(report: &Report) {
    counts("operations", &report.operations);
    counts("faults", &report.faults);
    counts("states reached", &report.reached);
    counts("checked", &report.checked);
    line(report);
    for violation in &report.violations {
        println!("VIOLATION {violation}");
    }
}

pub(crate) fn failed(report: &Report, options: &Options) {
    println!("seed {} FAILED", report.seed);
    for violation in report.violations.iter().take(5) {
        println!("  VIOLATION {violation}");
    }
    println!("  repeat: {}", command(report.seed, options));
}

pub(crate) fn shrunk(seed: u64, options: &Options, runs: usize) {
    println!("  smaller (after {runs} runs): {}", command(seed, options));
}

pub(crate) fn totals(totals: &Totals) {
    counts("operations", &totals.operations);
    counts("faults", &totals.faults);
    counts("states reached", &totals.reached);
    counts("checked", &totals.checked);
    println!(
        "{} runs, {:.0} simulated s in {:.1} s: {:.0} simulated s per s; {} frames; {} seeds failed",
        totals.runs,
        totals.simulated.as_secs_f64(),
        totals.wall.as_secs_f64(),
        totals.speed(),
        totals.frames,
        totals.failures.len()
    );
    for name in missing(totals) {
        println!("NEVER REACHED: {name}");
    }
}
