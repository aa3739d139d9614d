//! One run: every block and every row.

use std::sync::Arc;

use atoll_types::Version;

use super::context::Context;
use super::group::{Folder, open_named};
use super::report::{Damages, FileKind, FileState};
use super::values::Values;
use crate::manifest::{FileId, FileKind as GroupFileKind, RunEntry};
use crate::run::{BlockCache, Run, RunAudit, RunError, RunIdentity, RunSummary, RunValue, audit};

/// The kind of a group's file.
pub(super) fn kind_of(id: FileId) -> FileKind {
    match id.kind {
        GroupFileKind::Run => FileKind::Run,
        GroupFileKind::Values => FileKind::Values,
    }
}

/// Reads a run that the manifest names, and notes how it is.
pub(super) fn check(context: &mut Context<'_>, folder: &Folder, entry: &RunEntry, values: &Values) {
    let path = folder.path.join(FileId::run(entry.number).to_string());
    let identity = RunIdentity {
        identity: context.identity,
        group: folder.group,
        number: entry.number,
    };
    let (state, holds) = match open(context, &path, identity, entry.len) {
        Ok(run) => {
            let summary = run.summary();
            let holds = format!(
                "{} rows, {} of them deletions, {} of the system",
                summary.entries, summary.tombstones, summary.system_rows
            );
            (check_rows(context, &run, entry, values), holds)
        }
        Err(state) => (state, String::new()),
    };
    context.note_holding(path, FileKind::Run, state, holds);
}

/// Opens a run, which checks everything but its blocks.
pub(super) fn open(
    context: &Context<'_>,
    path: &std::path::Path,
    identity: RunIdentity,
    len: u64,
) -> Result<Run, FileState> {
    let file = open_named(context, path, len)?;
    Run::open(file, identity, Arc::new(BlockCache::new(0))).map_err(state_of)
}

pub(super) fn state_of(error: RunError) -> FileState {
    match error {
        RunError::Damaged { part, offset } => FileState::Damaged(Damages::one(
            offset,
            format!("{part} does not match its checksum"),
        )),
        RunError::Io(error) => FileState::Refused(error.to_string()),
        other => FileState::Refused(other.to_string()),
    }
}

fn check_rows(context: &mut Context<'_>, run: &Run, entry: &RunEntry, values: &Values) -> FileState {
    let mut damages = Damages::default();
    let summary = run.summary();
    if !is_of(entry, summary) {
        let what =
            "it is not the run that the manifest names: what that says of it is not what its summary says";
        damages.push(summary.file_len, what);
    }
    let mut looking = Looking {
        context,
        values,
        damages,
    };
    audit(run, &mut looking);
    looking.damages.into_state()
}

/// Whether the manifest says of a run what the run says of itself.
fn is_of(entry: &RunEntry, summary: &RunSummary) -> bool {
    let RunEntry {
        number: _,
        len,
        footer_crc,
        entries,
        tombstones,
        min_key,
        max_key,
        min_version,
        max_version,
        journal_bytes,
    } = entry;
    *len == summary.file_len
        && *footer_crc == summary.footer_crc
        && *entries == summary.entries
        && *tombstones == summary.tombstones
        && *min_key == summary.min_key
        && *max_key == summary.max_key
        && *min_version == summary.min_version
        && *max_version == summary.max_version
        && *journal_bytes == summary.journal_bytes
}

struct Looking<'a, 'b> {
    context: &'a mut Context<'b>,
    values: &'a Values,
    damages: Damages,
}

impl RunAudit for Looking<'_, '_> {
    fn row(&mut self, block: u64, key: &[u8], version: Version, value: &RunValue) {
        // The sum that ties a value to its key leaves out the space.
        let key = key.get(1..).unwrap_or_default();
        if let Err(what) = self.values.check(key, value, self.context.options.deep) {
            let key = key.escape_ascii();
            self.damages.push(
                block,
                format!("the row of key '{key}', version {version}: {what}"),
            );
        }
    }

    fn flaw(&mut self, offset: u64, what: String) {
        self.damages.push(offset, what);
    }

    fn progress(&mut self, bytes: u64) {
        self.context.advance(bytes);
    }
}
