//! What a report comes to, and what to do next.

use std::path::{Path, PathBuf};

use atoll_server::offline::{FileKind, FileReport, FileState, GroupReport, Report};

use crate::units::{bytes, count};

/// One line that says how the directory is.
pub(super) fn verdict(report: &Report) -> String {
    let there = |file: &&FileReport| !matches!(file.state, FileState::Missing(_));
    let files = count(report.files.iter().filter(there).count() as u64);
    let all = format!(
        "{files} files, {}, {} groups",
        bytes(report.bytes()),
        report.groups.len()
    );
    if report.is_sound() {
        return match report.leftovers().count() {
            0 => format!("sound: {all}"),
            left => format!("sound: {all}; {left} files are left behind and not needed"),
        };
    }
    let files = report.files.iter().filter(|file| !file.is_sound()).count();
    let groups = report.groups.iter().filter(|group| !group.is_sound()).count();
    let among = report.groups.len();
    format!("not sound: {files} files and {groups} of {among} groups are not as they should be")
}

/// What to do about it, in the order in which it should be done; nothing if there is nothing to do.
pub(super) fn next(report: &Report, dir: &Path) -> Vec<String> {
    let mut steps = Vec::new();
    let bad = |kinds: &[FileKind]| {
        let mut files = report.files.iter();
        files.any(|file| !file.is_sound() && kinds.contains(&file.kind))
    };
    let refused = report
        .files
        .iter()
        .any(|file| matches!(file.state, FileState::Refused(_)));
    if refused {
        steps.push("a file that is another node's or of a later version: start with the program and the directory that it belongs to".to_owned());
    }
    if bad(&[FileKind::Identity, FileKind::Folder]) || !report.problems.is_empty() {
        steps.push(
            "put back the named files if you have them; else start a new node in an empty directory"
                .to_owned(),
        );
    }
    if bad(&[FileKind::Segment]) || report.groups.iter().any(|group| group.quarantine.is_some()) {
        steps.push(
            "leave the journal as it is: the node starts without the replicas in quarantine, and the other replicas have their data"
                .to_owned(),
        );
    }
    for group in &report.groups {
        steps.extend(next_of(report, group, dir));
    }
    if bad(&[FileKind::Mark, FileKind::Hint]) {
        steps.push(
            "what only helps (DURABLE, ADDRESSES) is ignored by the next start, which writes it anew"
                .to_owned(),
        );
    }
    if steps.is_empty() && report.leftovers().next().is_some() {
        steps.push(format!(
            "the next start removes what is left behind, or `atoll storage repair {} --remove-leftovers`",
            dir.display()
        ));
    }
    steps
}

/// What can be done about a group's checkpoint.
fn next_of(report: &Report, group: &GroupReport, dir: &Path) -> Option<String> {
    let folder = PathBuf::from("groups").join(format!(
        "{:016x}-{:08x}",
        group.group.id.0, group.group.generation.0
    ));
    let damaged = report
        .files
        .iter()
        .any(|file| file.path.starts_with(&folder) && !file.is_sound());
    if !damaged && group.problems.is_empty() {
        return None;
    }
    let name = group.group;
    Some(match &group.keep_checkpoint {
        None if damaged => format!(
            "group {name}: `atoll storage repair {} --drop-checkpoint {name}`; the next start makes it again from the log",
            dir.display()
        ),
        Some(why) => {
            format!("group {name}: leave its files and replace this replica from the others ({why})")
        }
        None => format!("group {name}: leave its files and replace this replica from the others"),
    })
}
