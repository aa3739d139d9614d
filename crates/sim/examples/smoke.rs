//! Runs the smoke simulation: `cargo run -p atoll-sim --example smoke -- [--seed N] [--count N] [--trace]`.
//!
//! Every seed runs twice, to see that it can be repeated. Exits with 1 if anything is wrong.

use std::io::Write;
use std::process::ExitCode;

use atoll_sim::smoke::{Options, Report, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, otherwise: u64| {
        let given = arguments.iter().skip_while(|argument| *argument != name).nth(1);
        given.map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let (first, count) = (number("--seed", 1), number("--count", 1));
    let options = Options {
        keep_trace: true,
        ..Options::default()
    };
    let mut good = true;
    for seed in first..first.saturating_add(count) {
        let report = run(seed, &options);
        good &= show(
            &report,
            &run(seed, &options),
            arguments.iter().any(|argument| argument == "--trace"),
        )
        .is_ok_and(|good| good);
    }
    ExitCode::from(u8::from(!good))
}

fn show(report: &Report, again: &Report, trace: bool) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    if trace {
        for line in &report.trace {
            writeln!(out, "{line}")?;
        }
    }
    let Report {
        seed,
        trace_hash,
        operations,
        acknowledged,
        reads,
        conflicts,
        failed,
        unknown,
        ..
    } = report;
    let Report {
        crashes,
        cuts,
        compared,
        frames,
        simulated_ms,
        violations,
        ..
    } = report;
    writeln!(
        out,
        "seed {seed}: trace {trace_hash:016x}, {operations} operations ({acknowledged} writes acknowledged, {reads} reads, \
         {conflicts} conflicts, {failed} failed, {unknown} unknown), {crashes} crashes, {cuts} cuts, {compared} states \
         compared, {frames} frames, {simulated_ms} ms, {} violations",
        violations.len()
    )?;
    for violation in violations {
        writeln!(out, "  VIOLATION {violation}")?;
    }
    if let Some((ours, theirs)) = report
        .trace
        .iter()
        .zip(&again.trace)
        .find(|(ours, theirs)| ours != theirs)
    {
        writeln!(out, "  NOT REPEATED, first difference:\n    {ours}\n    {theirs}")?;
    }
    Ok(violations.is_empty() && report == again)
}
