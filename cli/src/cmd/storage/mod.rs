//! `atoll storage`: the data directory of a node that does not run.
//!
//! [`check`] says of every file what it is and how, [`dump`] shows what stands in them, [`repair`] removes what a start
//! does without. All of it is `atoll_server::offline`; here are options and pages.

mod advice;
mod check;
mod dump;
mod group;
mod progress;
mod repair;
mod report;

use std::path::Path;

use atoll_env::Env;
use atoll_server::offline::{self, OfflineError};
use clap::{Args, Subcommand};

use self::check::Check;
use self::dump::Dump;
use self::repair::Repair;
use crate::failure::{Exit, Failure, Result};
use crate::keys::KeyFlags;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  atoll storage check /var/lib/atoll
  atoll storage dump /var/lib/atoll --what log --group 1 --limit 20
  atoll storage repair /var/lib/atoll --remove-leftovers

The node of the directory must not run.";

/// Look into the data directory of a stopped node: is it sound, and what stands in it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Storage {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Check(Check),
    Dump(Dump),
    Repair(Repair),
}

impl Storage {
    /// One thread does it, and waits for the disk.
    pub(crate) fn run(self, screen: Screen) -> Result {
        runtime::run(1, async {
            match self.what {
                What::Check(check) => check.run(screen).await,
                What::Dump(dump) => dump.run(screen).await,
                What::Repair(repair) => repair.run(screen).await,
            }
        })
    }
}

/// The machine, with the files of the directory as its keys show them.
async fn environment(keys: &KeyFlags, dir: &Path) -> Result<Env> {
    let env = Env::real();
    Ok(match keys.load(&env).await? {
        Some(keys) => offline::with_keys(&env, dir, keys),
        None => env,
    })
}

impl From<OfflineError> for Failure {
    fn from(error: OfflineError) -> Self {
        let what = error.to_string();
        match error {
            OfflineError::InUse(_) => Self::new(Exit::Unavailable, what)
                .next("stop the node first; `atoll status` looks at one that runs"),
            OfflineError::NotThere { .. } | OfflineError::Foreign { .. } => {
                Self::usage(what).next("name the folder that `atoll start --data-dir` was given")
            }
            OfflineError::Sealed { .. } => Self::usage(what)
                .next("--encryption-key-file or --encryption-key-command, as the node was started"),
            OfflineError::Clear { .. } => Self::usage(what),
            _ => Self::new(Exit::Internal, what),
        }
    }
}
