//! Many runs, one after the other: every workload with every nemesis, and a table of what came out.

use std::fmt::Write;
use std::path::PathBuf;

use atoll_env::Env;

use super::course::{Ended, Failed, links, run};
use super::possible::possible;
use super::progress::Progress;
use super::{folder, summary};
use crate::interrupt::Interrupt;
use crate::nemesis::{Means, choose};
use crate::options::Options;
use crate::program;
use crate::record::{Conclusion, Record};
use crate::workload::workloads;

/// What came out of many runs.
pub struct Matrix {
    /// A table in Markdown, one line for each run.
    pub table: String,
    /// Where it is kept.
    pub file: PathBuf,
    /// What the worst run said.
    pub exit_code: u8,
}

/// Runs every workload of `options` with every nemesis of it. A `+` joins several into one. Each run has a seed of its
/// own, counted up from `options.seed`. `command` gives the command that repeats one run.
pub async fn matrix(
    env: &Env,
    options: &Options,
    command: impl Fn(&Options) -> String,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Matrix, Failed> {
    let cells = cells(options)?;
    refuse(env, &cells, options, &command).map_err(Failed::Setup)?;
    let file = options
        .store
        .join(format!("matrix-{}.md", folder::stamp(env.clock.wall_ms())));
    let mut table = HEAD.to_owned();
    let mut worst = Conclusion::Pass;
    for (number, cell) in cells.iter().enumerate() {
        if interrupt.is_raised() {
            worst = sterner(worst, Conclusion::Unknown);
            break;
        }
        let (done, all) = (number + 1, cells.len());
        let names = (cell.workloads.join(","), cell.nemeses.join(","));
        progress.say(&format!("run {done} of {all}: {} under {}", names.0, names.1));
        let (line, conclusion) = match run(env, cell.clone(), command(cell), interrupt, progress).await {
            Ok(ended) => {
                progress.say(&summary::text(&ended.record, &ended.dir));
                (line(&ended), ended.record.conclusion())
            }
            Err(Failed::Usage(why)) => return Err(Failed::Usage(why)),
            Err(Failed::Setup(why)) => (failed(cell, &why), Conclusion::Unknown),
        };
        table.push_str(&line);
        worst = sterner(worst, conclusion);
        // After each run: what is there is kept whatever happens to the rest.
        folder::write(&options.store, &name(&file), &table)
            .map_err(|error| Failed::Setup(error.to_string()))?;
    }
    Ok(Matrix {
        table,
        file,
        exit_code: worst.exit_code(),
    })
}

const HEAD: &str = "\
| workloads | nemeses | seed | verdict | ok | refused or failed | unknown | faults in place | s |
|---|---|---|---|---|---|---|---|---|
";

fn name(file: &std::path::Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The options of every run; all names are checked before the first one begins.
fn cells(options: &Options) -> Result<Vec<Options>, Failed> {
    let split = |cell: &String| cell.split('+').map(str::to_owned).collect::<Vec<_>>();
    let mut cells = Vec::new();
    for workload in &options.workloads {
        for nemesis in &options.nemeses {
            let cell = Options {
                workloads: split(workload),
                nemeses: split(nemesis),
                seed: options.seed.wrapping_add(cells.len() as u64),
                ..options.clone()
            };
            workloads(&cell.workloads).map_err(Failed::Usage)?;
            choose(&cell.nemeses).map_err(Failed::Usage)?;
            cells.push(cell);
        }
    }
    Ok(cells)
}

/// Refuses what some run could not inject, before the first one begins. The error is for people.
fn refuse(
    env: &Env,
    cells: &[Options],
    options: &Options,
    command: impl Fn(&Options) -> String,
) -> Result<(), String> {
    program::version(&options.binary)?;
    let net = links(env, options, &command(options))?;
    for cell in cells {
        let means = Means {
            options: cell,
            net: &*net,
        };
        possible(&means, choose(&cell.nemeses)?, &command(cell))?;
    }
    Ok(())
}

fn line(ended: &Ended) -> String {
    let record = &ended.record;
    let faults: Vec<String> = summary::by_family(record)
        .iter()
        .map(|(family, count)| format!("{family} {count}"))
        .collect();
    let counts = summary::counts(record);
    let mut line = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        line,
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        record.workloads.join(", "),
        record.nemeses.join(", "),
        record.seed,
        verdict(record),
        counts.succeeded,
        counts.failed,
        counts.unknown,
        faults.join(", "),
        record.length().as_secs(),
    );
    line
}

fn verdict(record: &Record) -> String {
    let conclusion = record.conclusion();
    let word = summary::word(conclusion);
    if conclusion == Conclusion::Pass {
        return word.to_owned();
    }
    let unmet = record.gate.iter().filter(|demand| !demand.met()).count();
    let failed = record.checks.iter().filter(|check| !check.verdict.is_ok());
    let mut why: Vec<String> = failed.map(|check| check.name.clone()).collect();
    why.extend((unmet > 0).then(|| format!("{unmet} unmet demands")));
    why.extend((!record.log_findings.is_empty()).then(|| "logs".to_owned()));
    format!("**{word}** ({})", why.join(", "))
}

fn failed(cell: &Options, why: &str) -> String {
    let (workloads, nemeses) = (cell.workloads.join(", "), cell.nemeses.join(", "));
    let why = why.replace(['|', '\n'], " ");
    format!(
        "| {workloads} | {nemeses} | {} | **no run**: {why} | | | | | |\n",
        cell.seed
    )
}

/// The worse of two conclusions: a violation outweighs what is unknown.
pub(crate) fn sterner(one: Conclusion, other: Conclusion) -> Conclusion {
    let weight = |conclusion| match conclusion {
        Conclusion::Pass => 0,
        Conclusion::Unknown => 1,
        Conclusion::Violation => 2,
    };
    if weight(other) > weight(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::NetKind;

    fn options(workloads: &[&str], nemeses: &[&str]) -> Options {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Options {
            workloads: owned(workloads),
            nemeses: owned(nemeses),
            time: Duration::from_secs(1),
            seed: 7,
            nodes: 3,
            groups: 1,
            rate: 1,
            concurrency: 1,
            net: NetKind::Proxy,
            store: PathBuf::from("store"),
            binary: PathBuf::from("atoll"),
            mutant: None,
        }
    }

    #[test]
    fn every_workload_meets_every_nemesis() {
        let cells = cells(&options(
            &["register", "register+counter"],
            &["none", "kill+pause"],
        ))
        .unwrap();
        let names: Vec<_> = cells
            .iter()
            .map(|cell| (cell.workloads.join(","), cell.nemeses.join(","), cell.seed))
            .collect();
        let expected = [
            ("register", "none", 7),
            ("register", "kill,pause", 8),
            ("register,counter", "none", 9),
            ("register,counter", "kill,pause", 10),
        ];
        assert_eq!(
            names,
            expected.map(|(one, other, seed)| (one.to_owned(), other.to_owned(), seed))
        );
    }

    #[test]
    fn a_wrong_name_is_found_before_the_first_run() {
        for wrong in [
            options(&["register", "regster"], &["none"]),
            options(&["register"], &["kill", "kil"]),
        ] {
            assert!(matches!(cells(&wrong), Err(Failed::Usage(_))));
        }
    }

    #[test]
    fn the_worst_run_counts() {
        use Conclusion::{Pass, Unknown, Violation};
        assert_eq!([Pass, Unknown, Pass].into_iter().fold(Pass, sterner), Unknown);
        assert_eq!(
            [Violation, Unknown, Pass].into_iter().fold(Pass, sterner),
            Violation
        );
        assert_eq!(sterner(Pass, Pass), Pass);
    }
}
