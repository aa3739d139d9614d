//! Is this directory sound? Looks at every file of a stopped node, and changes none.
//!
//! A start reads what it needs and refuses what it cannot trust; it says which file, and stops there. Here all files
//! are read to their last byte, each is explained, and what one file says of another is compared: a run's rows with
//! its summary and with the manifest, a checkpoint with the log, a value with the sum that its row has.
//!
//! What is called damage in the journal is what a start calls so: the same code reads it (`journal::Survey`). For the
//! other files the decoders are those of the engine, and what they take for granted is looked at besides (`run::audit`).
//!
//! What holds here, and where it is checked:
//! - Nothing is written by a check or a dump: files are opened for reading only (every report in `tests`).
//! - Whatever the bytes are, the answer is a report: no panic, and no memory beyond what the engine itself would
//!   take to open the directory, one block, one value and a bounded list of findings (`tests/mutations`).
//! - A flipped bit of any file is told, unless it is in padding that nothing reads (`tests/bits`, `tests/values`).
//! - What a crash at any point leaves behind is sound (`tests/crash`).
//! - A repair removes only what was asked for by name, after the names on the disk are made durable, and only if
//!   a start could do without it (`repair`; `tests/repair`).
//!
//! The caller holds the lock of the data directory. Files of the directory itself (who it is) are the server's to
//! explain.

mod checkpoint;
mod context;
mod dump;
mod group;
mod journal;
mod repair;
mod report;
mod rows;
mod value_file;
mod values;

#[cfg(test)]
mod tests;

pub use context::CheckOptions;
pub use dump::{Dump, DumpError, DumpedEntry, DumpedRow, DumpedValue, Space};
pub use repair::{Repair, plan_drop, plan_leftovers};
pub use report::{
    CheckpointReport, DAMAGES_MAX, Damage, Damages, FileKind, FileReport, FileState, GroupReport, LogReport,
    Report,
};

use std::io;
use std::path::Path;

use atoll_env::Env;

use crate::journal::{self as log, Identity};
use context::Context;

/// The journal's folder in a data directory.
pub(crate) const JOURNAL: &str = "journal";

/// Whose directory this is, as far as its journal tells.
pub fn owner(env: &Env, data: &Path) -> io::Result<Option<Identity>> {
    let dir = data.join(JOURNAL);
    if env.vfs.exists(&dir)? {
        log::owner_of(env, &dir)
    } else {
        Ok(None)
    }
}

/// Looks at the journal and the groups of a data directory. The caller holds its lock. Reads all of it, so it takes
/// as long as the disk needs; `progress` is told now and then how many bytes are done with, of how many. Fails only if the
/// folders cannot be listed.
pub fn check(
    env: &Env,
    data: &Path,
    identity: Identity,
    options: CheckOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> io::Result<Report> {
    let mut context = Context::new(env, data, identity, options, progress)?;
    let survey = journal::check(&mut context)?;
    group::check_all(&mut context, survey.as_ref())?;
    let mut report = context.report;
    report.files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(report)
}
