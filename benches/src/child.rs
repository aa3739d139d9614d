//! One engine's run in a process of its own: this program starts itself again.
//!
//! The child is told what to do as JSON in one argument and says what it found as JSON on its standard output. Its
//! standard error is ours.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::args::{ChildArgs, SoakSettings, StorageSettings};
use crate::engine::EngineName;
use crate::{Result, soak, storage};

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Job {
    /// All phases; finds [`crate::metric::Metrics`].
    Storage {
        engine: EngineName,
        dir: PathBuf,
        settings: StorageSettings,
    },
    /// Overwriting; finds [`soak::Soaked`] and writes `csv` meanwhile.
    Soak {
        engine: EngineName,
        dir: PathBuf,
        csv: PathBuf,
        settings: SoakSettings,
    },
}

/// Has a child do it, and returns what it found.
pub(crate) fn start<T: DeserializeOwned>(job: &Job) -> Result<T> {
    let child = Command::new(std::env::current_exe()?)
        .arg("child")
        .arg(serde_json::to_string(job)?)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !child.status.success() {
        return Err(format!("the engine's process ended with {}", child.status).into());
    }
    Ok(serde_json::from_slice(&child.stdout)?)
}

/// Is the child.
pub(crate) fn run(args: &ChildArgs) -> Result<()> {
    let found = match serde_json::from_str(&args.job)? {
        Job::Storage {
            engine,
            dir,
            settings,
        } => serde_json::to_string(&storage::measure(engine, &dir, &settings)?)?,
        Job::Soak {
            engine,
            dir,
            csv,
            settings,
        } => serde_json::to_string(&soak::overwrite(engine, &dir, &csv, &settings)?)?,
    };
    println!("{found}");
    Ok(())
}
