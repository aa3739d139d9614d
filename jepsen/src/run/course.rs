//! One run from its beginning to its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use atoll_env::Env;

use super::folder;
use super::progress::Progress;
use super::stage::Stage;
use crate::field::Field;
use crate::interrupt::Interrupt;
use crate::nemesis::{Chosen, choose};
use crate::options::Options;
use crate::record::{Conclusion, Record};
use crate::{mutants, program, report, workload};

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
        let mut reasons = BTreeMap::<String, Vec<&str>>::new();
        let nemesis = Arc::clone(&one.nemesis);
        one.variants.retain(|variant| {
            let why = nemesis.missing(field, variant);
            let possible = why.is_none();
            reasons.entry(why.unwrap_or_default()).or_default().push(variant);
            possible
        });
        reasons.remove("");
        let family = nemesis.family();
        let told = |(why, variants): (String, Vec<&str>)| format!("{family}/{}: {why}", variants.join(", "));
        missing.extend(reasons.into_iter().map(told));
        // What is required and impossible stays, so that the gate misses it.
        if !one.variants.is_empty() || one.required {
            able.push(one);
        }
    }
    (able, missing)
}
