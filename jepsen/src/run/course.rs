//! One run from its beginning to its end.

use std::path::PathBuf;
use std::sync::Arc;

use atoll_env::Env;

use super::folder;
use super::possible::{Possible, possible};
use super::progress::Progress;
use super::stage::Stage;
use crate::interrupt::Interrupt;
use crate::nemesis::{self, Means, choose};
use crate::net::{self, Net};
use crate::options::{NetKind, Options};
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
    let net = links(env, &options, &command).map_err(Failed::Setup)?;
    let means = Means {
        options: &options,
        net: &*net,
    };
    let Possible { chosen, not_injected } = possible(&means, chosen, &command).map_err(Failed::Setup)?;
    let dir = folder::make(&options, env.clock.wall_ms()).map_err(setup)?;
    let stage = Stage::build(env, options, net, &dir).map_err(setup)?;
    if let Some(mutant) = &stage.field.options.mutant {
        mutants::wake(&stage.field.cluster, &stage.field.options.binary, mutant).map_err(Failed::Usage)?;
    }
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

/// Links of the kind that was asked for. The error is for people.
pub(super) fn links(env: &Env, options: &Options, command: &str) -> Result<Arc<dyn Net>, String> {
    net::make(options.net, options.nodes, env).map_err(|error| match options.net {
        NetKind::Proxy => error.to_string(),
        NetKind::Netns => {
            let instead = nemesis::with(command, "--net", "proxy");
            format!("{error}\nThis would work:\n  {instead}")
        }
    })
}
