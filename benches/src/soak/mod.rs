//! Overwriting for a long time: does the directory stay within its budget, and do latency and memory stay where they were?
//!
//! Keys are loaded once, then batches overwrite them, most of them the first fifth of the keys. Every second a row
//! goes into a CSV; at the end all engines' directories are drawn over time. A value of a random key is checked after
//! every batch, and every row at the end. An engine is stopped when its directory has outgrown the budget.

mod overwrite;
mod samples;
mod svg;

pub(crate) use overwrite::{Soaked, overwrite};

use std::path::Path;

use crate::Result;
use crate::args::{SoakArgs, SoakSettings};
use crate::bytes_text;
use crate::child::{self, Job};
use crate::engine::EngineName;
use crate::probe::{Folder, Machine, sync_filesystem};
use samples::Samples;
use svg::{Chart, Series};

/// Soaks one engine after the other and draws them.
pub(crate) fn run(args: &SoakArgs) -> Result<()> {
    let scratch = Folder::create(args.place.dir.as_deref(), "soak", args.place.keep)?;
    let mut machine = Machine::of(scratch.path(), &args.place.engine)?;
    let (mut series, mut failures) = (Vec::new(), Vec::new());
    for engine in &args.place.engine {
        eprintln!("{}: {} minutes", engine.as_str(), args.settings.minutes);
        let csv = args.out.join(format!("soak-{}.csv", engine.as_str()));
        match run_one(&scratch, args, *engine, &csv) {
            Ok(soaked) => {
                println!("{}", soaked.describe(*engine));
                failures.extend(soaked.stopped);
            }
            Err(error) => failures.push(format!("{}: {error}", engine.as_str())),
        }
        sync_filesystem(scratch.path())?;
        // Also of an engine that failed, if it came so far.
        if let Ok(samples) = Samples::read(&csv) {
            series.push(Series {
                name: engine.as_str().to_owned(),
                points: samples.allocated_by_second(),
            });
        }
    }
    machine.look_again()?;
    let drawn = args.out.join("soak.svg");
    svg::write(&drawn, &chart(series, &args.settings))?;
    println!("\n{}\n{}", machine.describe(), drawn.display());
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(failures.join("\n").into()),
    }
}

fn run_one(scratch: &Folder, args: &SoakArgs, engine: EngineName, csv: &Path) -> Result<Soaked> {
    let folder = Folder::create(Some(scratch.path()), engine.as_str(), args.place.keep)?;
    child::start(&Job::Soak {
        engine,
        dir: folder.path().to_owned(),
        csv: csv.to_owned(),
        settings: args.settings.clone(),
    })
}

fn chart(series: Vec<Series>, settings: &SoakSettings) -> Chart {
    let workload = &settings.workload;
    let rate = match settings.rate {
        0 => "as fast as possible".to_owned(),
        rate => format!("{rate} rows/s"),
    };
    Chart {
        title: format!(
            "Directory while {} keys with values of {} are overwritten, {rate}",
            workload.keys,
            bytes_text::show(f64::from(workload.value_size)),
        ),
        series,
        limit: settings.budget as f64,
    }
}
