//! The folders of the groups.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::vfs::OpenMode;
use atoll_types::GroupKey;

use super::context::Context;
use super::report::{CheckpointReport, Damages, FileKind, FileState, GroupReport};
use super::values::Values;
use super::{checkpoint, rows, value_file};
use crate::journal::Survey;
use crate::manifest::{
    self, FileId, FolderError, FolderOwner, GROUPS, MANIFEST, Manifest, UNREADY, parse_folder_name,
};
use crate::value_file::ValueFileId;

/// One group's folder, as its names say.
pub(super) struct Folder {
    pub(super) group: GroupKey,
    /// From the data directory on.
    pub(super) path: PathBuf,
    pub(super) names: Vec<String>,
}

impl Folder {
    /// The files of the group, by name.
    fn files(&self) -> impl Iterator<Item = (&String, FileId)> {
        let names = self.names.iter();
        names.filter_map(|name| Some((name, FileId::parse(name)?)))
    }
}

/// All folders of groups, and what else stands between them.
pub(super) fn folders(context: &mut Context<'_>) -> io::Result<Vec<Folder>> {
    let mut folders = Vec::new();
    for name in context.list(Path::new(GROUPS))?.unwrap_or_default() {
        let path = Path::new(GROUPS).join(&name);
        match (parse_folder_name(&name), context.list(&path)?) {
            (Some(group), Some(names)) => folders.push(Folder { group, path, names }),
            _ => context.note_unknown(path),
        }
    }
    Ok(folders)
}

/// Looks at every group that has a folder or stands in the journal.
pub(super) fn check_all(context: &mut Context<'_>, survey: Option<&Survey>) -> io::Result<()> {
    let folders = folders(context)?;
    let mut groups: BTreeSet<_> = folders.iter().map(|folder| folder.group).collect();
    if let Some(survey) = survey {
        groups.extend(survey.groups.keys().chain(survey.quarantined.keys()));
    }
    let mut folders: BTreeMap<_, _> = folders.into_iter().map(|folder| (folder.group, folder)).collect();
    for group in groups {
        let folder = folders.remove(&group);
        let manifest = folder
            .as_ref()
            .and_then(|folder| check_folder(context, folder, survey));
        let report = checkpoint::check(context, survey, group, folder.as_ref(), manifest.as_ref());
        context.report.groups.push(report);
    }
    Ok(())
}

/// Looks at all files of a group. The manifest, if it can be read and is this group's.
fn check_folder(
    context: &mut Context<'_>,
    folder: &Folder,
    survey: Option<&Survey>,
) -> Option<(Manifest, FolderOwner)> {
    let read = if folder.names.iter().any(|name| name == MANIFEST) {
        note_manifest(context, folder)
    } else if let Some((seen, _)) = folder.files().next() {
        let why = format!("{seen} is there, and the manifest was durable before it");
        context.note(
            folder.path.join(MANIFEST),
            FileKind::Manifest,
            FileState::Missing(why),
        );
        None
    } else {
        note_others(context, folder, None);
        return None;
    };
    note_others(context, folder, read.as_ref().map(|(manifest, _)| manifest));
    let Some((manifest, _)) = &read else {
        for (name, id) in folder.files() {
            let why = "whether it counts cannot be told without the manifest";
            context.note(
                folder.path.join(name),
                rows::kind_of(id),
                FileState::Unchecked(why.to_owned()),
            );
        }
        return None;
    };
    check_files(context, folder, manifest, survey);
    read
}

fn note_manifest(context: &mut Context<'_>, folder: &Folder) -> Option<(Manifest, FolderOwner)> {
    let path = folder.path.join(MANIFEST);
    let read = manifest::read_any(&*context.env.vfs, &context.data.join(&folder.path));
    let (state, holds, read) = match read {
        Ok((manifest, owner)) if owner.identity == context.identity && owner.group == folder.group => {
            let holds = format!(
                "number {}: {} runs, {} value files, {}",
                manifest.number,
                manifest.runs.len(),
                manifest.value_files.len(),
                match manifest.applied {
                    Some(applied) => format!("everything up to entry {applied}"),
                    None => "no entry yet".to_owned(),
                }
            );
            (FileState::Sound, holds, Some((manifest, owner)))
        }
        Ok((_, owner)) => (
            FileState::Refused(format!("it belongs to {owner}")),
            String::new(),
            None,
        ),
        Err(FolderError::Damaged { what, .. }) => {
            (FileState::Damaged(Damages::one(0, what)), String::new(), None)
        }
        Err(FolderError::Unsupported { what, .. }) => (FileState::Refused(what), String::new(), None),
        Err(FolderError::Io(error)) => (FileState::Refused(error.to_string()), String::new(), None),
        Err(error) => (FileState::Refused(error.to_string()), String::new(), None),
    };
    context.note_holding(path, FileKind::Manifest, state, holds);
    read
}

/// Everything but the manifest and the files that it names.
fn note_others(context: &mut Context<'_>, folder: &Folder, manifest: Option<&Manifest>) {
    let named: BTreeSet<_> = manifest.into_iter().flat_map(named).collect();
    for name in &folder.names {
        let path = folder.path.join(name);
        match FileId::parse(name) {
            Some(id) if manifest.is_some() && !named.contains(&id) => {
                let why = "the manifest does not name it".to_owned();
                context.note(path, rows::kind_of(id), FileState::Leftover(why));
            }
            Some(_) => {}
            None if name == MANIFEST => {}
            None if name.ends_with(UNREADY) => {
                let why = "it was being written when the process ended".to_owned();
                context.note(path, FileKind::Unready, FileState::Leftover(why));
            }
            None => context.note_unknown(path),
        }
    }
}

fn named(manifest: &Manifest) -> Vec<FileId> {
    manifest.files().map(|(id, _)| id).collect()
}

fn check_files(context: &mut Context<'_>, folder: &Folder, manifest: &Manifest, survey: Option<&Survey>) {
    let mut values = Values {
        journal: survey.map(|survey| survey.table.clone()),
        files: BTreeMap::new(),
    };
    for entry in &manifest.value_files {
        let id = ValueFileId {
            identity: context.identity,
            group: folder.group,
            number: entry.number,
        };
        let path = folder.path.join(FileId::values(entry.number).to_string());
        if let Some(file) = value_file::check(context, path, id, entry) {
            values.files.insert(entry.number, Arc::new(file));
        }
    }
    for entry in &manifest.runs {
        rows::check(context, folder, entry, &values);
    }
}

/// A file that the manifest names, if it has the length that the manifest says; else why not.
pub(super) fn open_named(
    context: &Context<'_>,
    path: &Path,
    expected: u64,
) -> Result<Arc<dyn atoll_env::vfs::File>, FileState> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileState::Missing("the manifest names it".to_owned()),
        _ => FileState::Refused(error.to_string()),
    };
    let file = context
        .env
        .vfs
        .open(&context.data.join(path), OpenMode::Read)
        .map_err(refused)?;
    let found = file.len().map_err(refused)?;
    if found == expected {
        return Ok(file);
    }
    let what = format!("it has {found} bytes, but the manifest says {expected}");
    Err(FileState::Damaged(Damages::one(found.min(expected), what)))
}

/// What a manifest says, in numbers.
pub(super) fn summary(manifest: &Manifest) -> CheckpointReport {
    CheckpointReport {
        manifest: manifest.number,
        applied: manifest.applied,
        version: manifest.last_version,
        runs: manifest.runs.len(),
        rows: manifest.runs.iter().map(|run| run.entries).sum(),
        value_files: manifest.value_files.len(),
    }
}

/// A group of which nothing is known yet.
pub(super) fn blank(group: GroupKey) -> GroupReport {
    GroupReport {
        group,
        replica: None,
        log: None,
        quarantine: None,
        checkpoint: None,
        problems: Vec::new(),
        keep_checkpoint: None,
    }
}
