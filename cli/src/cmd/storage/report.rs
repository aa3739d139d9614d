//! A report as tables and as JSON.

use atoll_server::offline::{FileKind, FileReport, FileState, GroupReport, Report};
use atoll_types::LogId;
use serde_json::{Value, json};

use crate::output::{Cell, Table};
use crate::screen::Tint;
use crate::units::bytes;

/// A file's kind in a word.
fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Identity => "identity",
        FileKind::Hint => "hint",
        FileKind::Lock => "lock",
        FileKind::Segment => "segment",
        FileKind::Spare => "spare",
        FileKind::Mark => "mark",
        FileKind::Manifest => "manifest",
        FileKind::Run => "run",
        FileKind::Values => "values",
        FileKind::Reserve => "reserve",
        FileKind::Unready => "unready",
        FileKind::Folder => "folder",
        FileKind::Other => "other",
    }
}

/// A file's state in a word or two.
fn state(state: &FileState) -> (&'static str, Tint) {
    match state {
        FileState::Sound => ("sound", Tint::Good),
        FileState::Damaged(_) => ("damaged", Tint::Bad),
        FileState::Missing(_) => ("missing", Tint::Bad),
        FileState::Refused(_) => ("refused", Tint::Bad),
        FileState::Leftover(_) => ("left behind", Tint::Warning),
        FileState::Unknown => ("unknown", Tint::Warning),
        FileState::Unchecked(_) => ("not checked", Tint::Warning),
    }
}

/// One line per file.
pub(super) fn files(report: &Report) -> Table {
    let mut table = Table::new(&["FILE", "KIND", "SIZE", "STATE", "HOLDS"]).giving_way(&["HOLDS", "KIND"]);
    for file in &report.files {
        let (word, tint) = state(&file.state);
        table.row([
            file.path.display().to_string().into(),
            kind(file.kind).into(),
            bytes(file.bytes).into(),
            Cell::tinted(tint, word),
            file.holds.as_str().into(),
        ]);
    }
    table
}

/// One line per group.
pub(super) fn groups(report: &Report) -> Table {
    let mut table =
        Table::new(&["GROUP", "REPLICA", "LOG", "CHECKPOINT", "STATE"]).giving_way(&["CHECKPOINT", "LOG"]);
    for group in &report.groups {
        let (word, tint) = match group {
            group if group.quarantine.is_some() => ("quarantine", Tint::Bad),
            group if group.is_sound() => ("sound", Tint::Good),
            _ => ("not sound", Tint::Bad),
        };
        table.row([
            group.group.to_string().into(),
            group
                .replica
                .map_or("-".to_owned(), |replica| replica.to_string())
                .into(),
            log(group).into(),
            checkpoint(group).into(),
            Cell::tinted(tint, word),
        ]);
    }
    table
}

fn log(group: &GroupReport) -> String {
    let Some(log) = &group.log else {
        return "-".to_owned();
    };
    match (log.first, log.last) {
        (Some(first), Some(last)) => format!("{} to {}", first.index, last.index),
        (None, Some(last)) => format!("empty behind {}", last.index),
        _ => "empty".to_owned(),
    }
}

fn checkpoint(group: &GroupReport) -> String {
    let Some(checkpoint) = &group.checkpoint else {
        return "-".to_owned();
    };
    let applied = checkpoint.applied.map_or(0, |applied| applied.index);
    format!(
        "up to {applied}, {} rows in {} runs",
        checkpoint.rows, checkpoint.runs
    )
}

/// What is wrong, one line each.
pub(super) fn details(report: &Report) -> Vec<(Tint, String)> {
    let mut lines = Vec::new();
    for file in &report.files {
        let path = file.path.display();
        match &file.state {
            FileState::Sound | FileState::Unknown => {}
            FileState::Damaged(damages) => {
                let places = damages.first.iter();
                lines.extend(places.map(|place| {
                    let line = format!("damaged      {path} at {}: {}", place.offset, place.what);
                    (Tint::Bad, line)
                }));
                if damages.more > 0 {
                    lines.push((
                        Tint::Bad,
                        format!("damaged      {path}: and {} more places", damages.more),
                    ));
                }
            }
            FileState::Missing(why)
            | FileState::Refused(why)
            | FileState::Leftover(why)
            | FileState::Unchecked(why) => {
                let (word, tint) = state(&file.state);
                lines.push((tint, format!("{word:<11}  {path}: {why}")));
            }
        }
    }
    for group in &report.groups {
        let name = group.group;
        if let Some(why) = &group.quarantine {
            lines.push((Tint::Bad, format!("quarantine   group {name}: {why}")));
        }
        let problems = group.problems.iter();
        lines.extend(problems.map(|what| (Tint::Bad, format!("problem      group {name}: {what}"))));
    }
    let problems = report.problems.iter();
    lines.extend(problems.map(|what| (Tint::Bad, format!("problem      {what}"))));
    lines
}

/// The whole report.
pub(super) fn json(report: &Report, verdict: &str, next: &[String]) -> Value {
    json!({
        "sound": report.is_sound(),
        "verdict": verdict,
        "next": next,
        "files": report.files.iter().map(json_file).collect::<Vec<_>>(),
        "groups": report.groups.iter().map(json_group).collect::<Vec<_>>(),
        "problems": report.problems,
    })
}

fn json_file(file: &FileReport) -> Value {
    let mut object = json!({
        "path": file.path.display().to_string(),
        "kind": kind(file.kind),
        "bytes": file.bytes.to_string(),
        "state": state(&file.state).0,
    });
    if !file.holds.is_empty() {
        set(&mut object, "holds", json!(file.holds));
    }
    match &file.state {
        FileState::Sound | FileState::Unknown => {}
        FileState::Damaged(damages) => {
            let place = |offset: u64, what: &str| json!({ "offset": offset.to_string(), "what": what });
            let places = damages
                .first
                .iter()
                .map(|damage| place(damage.offset, &damage.what));
            set(&mut object, "damages", places.collect());
            set(&mut object, "damages_count", json!(damages.count().to_string()));
        }
        FileState::Missing(why)
        | FileState::Refused(why)
        | FileState::Leftover(why)
        | FileState::Unchecked(why) => set(&mut object, "why", json!(why)),
    }
    object
}

/// Gives an object one more field.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// A log id.
pub(super) fn json_id(id: LogId) -> Value {
    json!({
        "term": id.term.to_string(),
        "leader": id.leader.to_string(),
        "index": id.index.to_string(),
    })
}

fn json_group(group: &GroupReport) -> Value {
    let log = group.log.as_ref().map(|log| {
        json!({
            "first": log.first.map(json_id),
            "last": log.last.map(json_id),
            "committed": log.committed.map(json_id),
            "purged": log.purged.map(json_id),
            "entries": log.entries.to_string(),
            "vote": log.vote.map(|vote| json!({
                "term": vote.term.to_string(),
                "candidate": vote.candidate.to_string(),
                "committed": vote.committed,
            })),
        })
    });
    let checkpoint = group.checkpoint.map(|checkpoint| {
        json!({
            "manifest": checkpoint.manifest.to_string(),
            "applied": checkpoint.applied.map(json_id),
            "version": checkpoint.version.to_string(),
            "runs": checkpoint.runs,
            "rows": checkpoint.rows.to_string(),
            "value_files": checkpoint.value_files,
        })
    });
    json!({
        "group": group.group.to_string(),
        "replica": group.replica.map(|replica| replica.to_string()),
        "sound": group.is_sound(),
        "quarantine": group.quarantine,
        "problems": group.problems,
        "log": log,
        "checkpoint": checkpoint,
        "keep_checkpoint": group.keep_checkpoint,
    })
}
