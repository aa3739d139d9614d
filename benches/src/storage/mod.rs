//! Every engine through the same phases, and the report.
//!
//! Runs are interleaved: each round takes every engine once, beginning with the next one, so that neither what the machine
//! does nor what the engine before left behind always hits the same. Between two engines the folder is removed and
//! the file system synced. If an engine fails, the others go on, and the program fails at its end.

mod phases;
mod rows;
mod summary;
mod table;

pub(crate) use phases::measure;
pub(crate) use rows::Rows;

use serde::Serialize;

use crate::args::{Output, StorageArgs, StorageSettings, Where};
use crate::child::{self, Job};
use crate::engine::EngineName;
use crate::metric::Metrics;
use crate::probe::{Folder, Machine, sync_filesystem};
use crate::{Result, bytes_text};
use summary::Summary;

/// What one engine's run found.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) engine: EngineName,
    /// From 1.
    pub(crate) round: u32,
    pub(crate) metrics: Metrics,
}

/// Everything that a reader has to know.
#[derive(Serialize)]
struct Report<'r> {
    machine: &'r Machine,
    settings: &'r StorageSettings,
    runs: &'r [Run],
    summary: &'r Summary,
    failures: &'r [String],
}

/// Runs and reports.
pub(crate) fn run(args: &StorageArgs) -> Result<()> {
    let engines = &args.place.engine;
    let scratch = Folder::create(args.place.dir.as_deref(), "storage", args.place.keep)?;
    let mut machine = Machine::of(scratch.path(), engines)?;
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    for round in 0..args.runs {
        for engine in in_turn(engines, round) {
            eprintln!("run {} of {}: {}", round + 1, args.runs, engine.as_str());
            match run_one(&scratch, &args.place, engine, round, &args.settings) {
                Ok(metrics) => runs.push(Run {
                    engine,
                    round: round + 1,
                    metrics,
                }),
                Err(error) => failures.push(format!("{} in run {}: {error}", engine.as_str(), round + 1)),
            }
            sync_filesystem(scratch.path())?;
        }
    }
    machine.look_again()?;
    let report = Report {
        machine: &machine,
        settings: &args.settings,
        runs: &runs,
        summary: &Summary::of(&runs),
        failures: &failures,
    };
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Table => print(&report, args),
    }
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(failures.join("\n").into()),
    }
}

fn run_one(
    scratch: &Folder,
    place: &Where,
    engine: EngineName,
    round: u32,
    settings: &StorageSettings,
) -> Result<Metrics> {
    let name = format!("{}-{}", engine.as_str(), round + 1);
    let folder = Folder::create(Some(scratch.path()), &name, place.keep)?;
    child::start(&Job::Storage {
        engine,
        dir: folder.path().to_owned(),
        settings: settings.clone(),
    })
}

/// The engines, beginning with another one each round.
fn in_turn(engines: &[EngineName], round: u32) -> Vec<EngineName> {
    let mut engines = engines.to_vec();
    if !engines.is_empty() {
        let first = round as usize % engines.len();
        engines.rotate_left(first);
    }
    engines
}

fn print(report: &Report<'_>, args: &StorageArgs) {
    let workload = &report.settings.workload;
    println!("{}", report.machine.describe());
    println!(
        "{} keys of {} bytes, values of {} random bytes, durable batches of {}, cache of {}, seed {}, {} run(s)\n",
        workload.keys,
        crate::dataset::KEY_BYTES,
        workload.value_size,
        workload.batch,
        match workload.cache {
            0 => "each engine's default".into(),
            bytes => bytes_text::show(bytes as f64),
        },
        workload.seed,
        args.runs,
    );
    println!("{}", table::table(report.summary));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_engine() {
        let engines = [EngineName::Atoll, EngineName::Redb, EngineName::Sled];
        assert_eq!(in_turn(&engines, 0), engines);
        assert_eq!(
            in_turn(&engines, 1),
            [EngineName::Redb, EngineName::Sled, EngineName::Atoll]
        );
        assert_eq!(in_turn(&engines, 3), engines);
        assert_eq!(in_turn(&[], 1), []);
    }
}
