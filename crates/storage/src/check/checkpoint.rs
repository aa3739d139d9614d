//! One group as a whole: its checkpoint beside its log.

use atoll_types::{GroupKey, LogId};

use super::context::Context;
use super::group::{self, Folder};
use super::report::{FileState, GroupReport, LogReport};
use super::rows;
use crate::journal::{LogTable, MarkFound, Survey};
use crate::manifest::{FileId, FileKind, FolderOwner, Manifest};
use crate::run::RunIdentity;

/// Compares what the journal and the folder say of a group. Its files are noted already.
pub(super) fn check(
    context: &Context<'_>,
    survey: Option<&Survey>,
    group: GroupKey,
    folder: Option<&Folder>,
    manifest: Option<&(Manifest, FolderOwner)>,
) -> GroupReport {
    let mut report = group::blank(group);
    let mut table = None;
    if let Some(survey) = survey {
        if let Some((replica, log)) = survey.groups.get(&group) {
            report.replica = Some(*replica);
            report.log = Some(log_report(log));
            table = Some(log);
        }
        if let Some(lost) = survey.quarantined.get(&group) {
            report.replica = Some(lost.replica);
            report.quarantine = Some(lost.reason.clone());
        }
    }
    if let Some((manifest, owner)) = manifest {
        report.checkpoint = manifest.applied.map(|_| group::summary(manifest));
        if report.replica.is_some_and(|replica| replica != owner.replica) {
            report.problems.push(format!("its checkpoint belongs to {owner}"));
        }
        report.replica = report.replica.or(Some(owner.replica));
    }
    let applied = manifest.and_then(|(manifest, _)| manifest.applied);
    match (table, applied) {
        (Some(log), Some(applied)) => {
            let installed = manifest.and_then(|(manifest, _)| manifest.installed);
            if let Err(what) = fits(log, applied, installed) {
                report.problems.push(format!(
                    "its checkpoint has everything up to entry {applied}, but its log {what}"
                ));
            }
        }
        (Some(log), None) if has_no_checkpoint(context, folder) => {
            if let Some(purged) = log.purged() {
                report.problems.push(format!(
                    "its log begins behind {purged}, and no checkpoint has what was before"
                ));
            }
        }
        (None, Some(_)) if survey.is_some_and(Survey::is_sound) && report.quarantine.is_none() => {
            report
                .problems
                .push("the journal does not know it: its log is lost".to_owned());
        }
        _ => {}
    }
    if let Some(folder) = folder {
        report.keep_checkpoint = why_keep(context, survey, table, folder, manifest).err();
    }
    report
}

fn log_report(log: &LogTable) -> LogReport {
    LogReport {
        vote: log.vote,
        committed: log.committed,
        purged: log.purged(),
        first: log.id_at(log.first()),
        last: log.last(),
        entries: log.end() - log.first(),
    }
}

/// The rule by which a start takes a checkpoint: the log must cover it. Only of a snapshot that was installed, and that nothing was
/// applied to since, it may end before: those entries never stood in it, and the next start purges it up to there.
fn fits(log: &LogTable, applied: LogId, installed: Option<LogId>) -> Result<(), String> {
    if installed == Some(applied) && ends_before(log, applied) {
        return Ok(());
    }
    covers(log, applied)
}

fn ends_before(log: &LogTable, id: LogId) -> bool {
    log.last().is_none_or(|last| last.index < id.index)
}

/// The log must have this entry, or begin right behind it. One that ends before has lost what the replica acknowledged.
fn covers(log: &LogTable, applied: LogId) -> Result<(), String> {
    let purged = log.purged();
    let known = log
        .id_at(applied.index)
        .or(purged.filter(|purged| purged.index == applied.index));
    match (known, purged, log.last()) {
        (Some(known), ..) if known == applied => Ok(()),
        (Some(other), ..) => Err(format!("has {other} there")),
        (None, Some(purged), _) if purged.index > applied.index => Err(format!("begins behind {purged}")),
        (None, _, Some(last)) => Err(format!("ends with {last}")),
        (None, _, None) => Err("is empty".to_owned()),
    }
}

/// True if nothing tells of a checkpoint: no folder, or one with neither a manifest nor a file that needs one.
fn has_no_checkpoint(context: &Context<'_>, folder: Option<&Folder>) -> bool {
    let Some(folder) = folder else { return true };
    let sound = |state: &FileState| {
        matches!(
            state,
            FileState::Sound | FileState::Leftover(_) | FileState::Unknown
        )
    };
    let files = context.report.files.iter();
    files
        .filter(|file| file.path.starts_with(&folder.path))
        .all(|file| sound(&file.state))
}

/// Whether the log alone makes everything again that the checkpoint has, and nothing in the checkpoint tells of a
/// loss that nothing else would tell of. Else why not. Of a checkpoint that was installed, too, the log must have the last entry.
fn why_keep(
    context: &Context<'_>,
    survey: Option<&Survey>,
    log: Option<&LogTable>,
    folder: &Folder,
    manifest: Option<&(Manifest, FolderOwner)>,
) -> Result<(), String> {
    let (Some(survey), Some(log)) = (survey, log) else {
        return Err("the journal has no sound log of the group".to_owned());
    };
    if !survey.is_sound() {
        return Err("the journal is damaged".to_owned());
    }
    if let Some(purged) = log.purged() {
        return Err(format!(
            "the log begins behind {purged}; only the checkpoint has what was before"
        ));
    }
    let installed = manifest.and_then(|(manifest, _)| manifest.installed);
    if let Some(installed) = installed.filter(|installed| ends_before(log, *installed)) {
        return Err(format!(
            "it came as a snapshot of everything up to entry {installed}, which the log does not have"
        ));
    }
    let keep = |what: String| {
        format!(
            "it is what tells that the log lost something: it was made at a later entry than the log has, which {what}"
        )
    };
    let mut seen = false;
    if let Some((manifest, _)) = manifest {
        if let Some(applied) = manifest.applied {
            covers(log, applied).map_err(keep)?;
        }
        seen = true;
    }
    // A manifest that cannot be read names no entry; its runs still do.
    for applied in covered_by_runs(context, folder) {
        covers(log, applied).map_err(keep)?;
        seen = true;
    }
    if seen || matches!(survey.mark, Ok(MarkFound::Sound(_))) {
        Ok(())
    } else {
        Err("neither it nor the journal tells how far the log went, so whether it lost its end cannot be told".to_owned())
    }
}

/// Up to where the runs go that can be opened, named or not.
fn covered_by_runs(context: &Context<'_>, folder: &Folder) -> Vec<LogId> {
    let runs = folder.names.iter().filter_map(|name| FileId::parse(name));
    let runs = runs.filter(|id| id.kind == FileKind::Run);
    let covers = runs.filter_map(|id| {
        let path = folder.path.join(id.to_string());
        let identity = RunIdentity {
            identity: context.identity,
            group: folder.group,
            number: id.number,
        };
        let run = rows::open(context, &path, identity, context.len(&path)).ok()?;
        Some(run.summary().covers)
    });
    covers.collect()
}
