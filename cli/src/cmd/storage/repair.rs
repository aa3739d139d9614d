//! `atoll storage repair`

use std::path::PathBuf;

use atoll_server::offline::{self, CheckOptions, Offline};
use clap::{ArgGroup, Args};

use super::environment;
use super::group::GroupName;
use super::progress::Progress;
use crate::failure::{Exit, Failure, Result};
use crate::keys::KeyFlags;
use crate::output::Output;
use crate::screen::{Screen, Tint};
use crate::units::bytes;

const EXAMPLES: &str = "\
Examples:
  atoll storage repair /var/lib/atoll --remove-leftovers               says what would be removed
  atoll storage repair /var/lib/atoll --remove-leftovers --yes         removes it
  atoll storage repair /var/lib/atoll --drop-checkpoint 1 --yes

Checks the directory first. Nothing is ever put together again here: what is damaged and stands nowhere else in this
directory is replaced from the other replicas. A checkpoint is dropped only if the log alone makes all of it again; else
the reason is told, and exit code 1.";

/// Remove what a start does without, one named thing at a time.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("repair").required(true))]
pub(super) struct Repair {
    /// The data directory of a node that does not run.
    dir: PathBuf,

    #[command(flatten)]
    keys: KeyFlags,

    /// Remove files that nothing names and that were being written, where all files beside them are sound.
    #[arg(long, group = "repair")]
    remove_leftovers: bool,

    /// Remove the checkpoint of a group; the next start makes it again from the log.
    #[arg(long, group = "repair", value_name = "GROUP", value_parser = GroupName::parse)]
    drop_checkpoint: Option<GroupName>,

    /// Do it; without this, only say what would be done.
    #[arg(long)]
    yes: bool,
}

impl Repair {
    pub(super) async fn run(self, screen: Screen) -> Result {
        let env = environment(&self.keys, &self.dir).await?;
        let offline = if self.yes {
            Offline::open_to_repair(&env, &self.dir)?
        } else {
            Offline::open(&env, &self.dir)?
        };
        let mut progress = Progress::new(&env);
        let found = offline.check(CheckOptions::default(), &mut |done, total| {
            progress.show(done, total);
        })?;
        drop(progress);
        let plan = match self.drop_checkpoint {
            Some(name) => {
                let group = name.find(found.groups.iter().map(|group| group.group))?;
                offline::plan_drop(&found, group).map_err(|why| Failure::new(Exit::Negative, why))?
            }
            None => offline::plan_leftovers(&found),
        };
        let mut output = Output::stdout();
        let word = if self.yes { "removed" } else { "would remove" };
        if self.yes {
            offline.repair(&plan)?;
        }
        for (path, why) in &plan.kept {
            output.line(&format!("kept {}: {why}", path.display()))?;
        }
        for path in plan.files() {
            output.line(&format!("{word} {}", path.display()))?;
        }
        let (files, freed) = (plan.files().count(), bytes(plan.bytes(&found)));
        let again = match (self.yes, files) {
            (false, 1..) => "; give --yes to do it",
            _ => "",
        };
        let line = format!("{word} {files} files, {freed}{again}");
        output.line(&screen.tint(Tint::Bold, &line))?;
        output.finish()
    }
}
