//! Where an import goes on that was interrupted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_env::Env;

use crate::failure::{Failure, Result};
use crate::records::{Checkpoint, Input, Place, Shape, Totals};

/// How often a checkpoint is written. Each waits until nothing is in flight, a few milliseconds.
const EVERY: Duration = Duration::from_secs(2);

/// The checkpoint file of an import, if one is wanted.
pub(super) struct Resume {
    file: Option<PathBuf>,
    pass: String,
    totals: Totals,
}

impl Resume {
    /// Reads the checkpoint, if there is one.
    pub(super) fn load(env: &Env, file: Option<&Path>, input: &Input, shape: &Shape) -> Result<Self> {
        let pass = pass(env, input, shape);
        let mut totals = Totals::default();
        if let Some(path) = file
            && let Some(found) = Checkpoint::load(env, path, &pass)?
        {
            if !matches!(found.place, Place::Items(_)) {
                return Err(Failure::usage(format!("{} is of an export", path.display())));
            }
            totals = found.totals;
        }
        Ok(Self {
            file: file.map(Path::to_owned),
            pass,
            totals,
        })
    }

    /// Records that are done, or were left out.
    pub(super) fn passed(&self) -> u64 {
        self.totals.records + self.totals.skipped
    }

    /// What is done.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// When the next checkpoint is due.
    pub(super) fn every(&self) -> Duration {
        self.file.as_ref().map_or(Duration::from_secs(86_400), |_| EVERY)
    }

    /// Writes the checkpoint. Call it only while nothing is in flight.
    pub(super) async fn save(&mut self, env: &Env, totals: &Totals, complete: bool) -> Result {
        self.totals = *totals;
        let Some(path) = &self.file else {
            return Ok(());
        };
        let checkpoint = Checkpoint {
            pass: self.pass.clone(),
            totals: *totals,
            place: Place::Items(self.passed()),
            complete,
        };
        checkpoint.save(env, path).await
    }

    /// What to do after a failure.
    pub(super) fn advice(&self) -> &'static str {
        if self.file.is_some() {
            "the same command goes on where it stopped"
        } else {
            "repeating the import is safe"
        }
    }
}

/// What must be the same for a checkpoint to fit.
fn pass(env: &Env, input: &Input, shape: &Shape) -> String {
    let what = match input {
        Input::File(path) => {
            let length = env
                .vfs
                .open(path, atoll_env::vfs::OpenMode::Read)
                .and_then(|file| file.len());
            let length = length.map_or_else(|_| "?".to_owned(), |length| length.to_string());
            format!("{} of {length} bytes", path.display())
        }
        Input::Stdin => "standard input".to_owned(),
        Input::Synthetic {
            count,
            value_size,
            seed,
        } => return format!("import of {count} made-up records of {value_size} bytes, seed {seed}"),
    };
    let choice = &shape.choice;
    let columns = match (&choice.key, &choice.value, choice.no_header) {
        (None, None, false) => String::new(),
        (key, value, no_header) => format!(
            ", columns {} and {}{}",
            key.as_deref().unwrap_or("key"),
            value.as_deref().unwrap_or("value"),
            if no_header { ", no header" } else { "" }
        ),
    };
    format!("import of {what} as {:?}{columns}", shape.layout).to_lowercase()
}
