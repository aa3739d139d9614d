//! The journal's folder.

use std::io;
use std::path::{Path, PathBuf};

use super::JOURNAL;
use super::context::Context;
use super::report::{Damages, FileKind, FileState};
use crate::journal::{DURABLE, LOCK, MarkFound, OpenError, SPARE, SegmentState, Survey, UNREADY, file_name};

/// Looks at all files of the folder. `None` if there is no journal.
pub(super) fn check(context: &mut Context<'_>) -> io::Result<Option<Survey>> {
    let folder = Path::new(JOURNAL);
    let Some(names) = context.list(folder)? else {
        return Ok(None);
    };
    let dir = context.data.join(folder);
    let (env, identity) = (context.env, context.identity);
    let survey = Survey::read(env, &dir, identity, &mut |bytes| context.advance(bytes))?;
    note_segments(context, &survey);
    note_others(context, &survey, &names);
    note_missing(context, &survey);
    if let Some(error) = &survey.refused
        && !matches!(error, OpenError::Unsupported { .. })
    {
        context
            .report
            .problems
            .push(format!("the journal cannot be read: {}", full(error)));
    }
    // Each place of damage stands with its file, unless it is in none.
    if let Some(damage) = survey.damage.as_ref().filter(|_| survey.rot.is_empty()) {
        context
            .report
            .problems
            .push(format!("the journal is damaged: {damage}"));
    }
    Ok(Some(survey))
}

fn note_segments(context: &mut Context<'_>, survey: &Survey) {
    let refused_at = |name: &str| match &survey.refused {
        Some(OpenError::Unsupported { file, what }) if file.ends_with(name) => Some(what.clone()),
        _ => None,
    };
    for segment in &survey.segments {
        let path = Path::new(JOURNAL).join(&segment.name);
        let mut damages = Damages::default();
        for place in survey.rot.iter().filter(|place| place.segment == segment.id) {
            damages.push(place.at.into(), place.what.clone());
        }
        let (state, holds) = match &segment.state {
            SegmentState::Read { .. } => (damages.into_state(), holds(&segment.state)),
            SegmentState::Unused => {
                let holds = "prepared and never used; the next start removes it".to_owned();
                (damages.into_state(), holds)
            }
            SegmentState::Refused(error) => (FileState::Refused(full(error)), String::new()),
            SegmentState::Unread => match refused_at(&segment.name) {
                Some(what) => (FileState::Refused(what), String::new()),
                None => (
                    FileState::Unchecked("the journal is refused as a whole".to_owned()),
                    String::new(),
                ),
            },
        };
        context.note_holding(path, FileKind::Segment, state, holds);
    }
}

fn holds(state: &SegmentState) -> String {
    let SegmentState::Read {
        frames,
        records,
        first_seq,
        end,
        torn,
    } = state
    else {
        return String::new();
    };
    let from = match frames {
        0 => String::new(),
        _ => format!(" from number {first_seq} on"),
    };
    let behind = match torn {
        0 => String::new(),
        _ => format!("; behind offset {end} a write that was cut short, which nobody was told of"),
    };
    format!("{records} records in {frames} frames{from}{behind}")
}

/// A file that is not there, where something shows that it was.
fn note_missing(context: &mut Context<'_>, survey: &Survey) {
    for place in &survey.rot {
        let known = survey.segments.iter().any(|segment| segment.id == place.segment);
        let path = Path::new(JOURNAL).join(file_name(place.segment));
        if !known && !context.report.files.iter().any(|file| file.path == path) {
            context.note(path, FileKind::Segment, FileState::Missing(place.what.clone()));
        }
    }
}

fn note_others(context: &mut Context<'_>, survey: &Survey, names: &[String]) {
    for name in names {
        if survey.segments.iter().any(|segment| segment.name == *name) {
            continue;
        }
        let path = Path::new(JOURNAL).join(name);
        if name == DURABLE {
            note_mark(context, survey, path);
        } else if name == LOCK {
            context.note(path, FileKind::Lock, FileState::Sound);
        } else if has_extension(name, SPARE) {
            // Its bytes are stale: there is nothing to be read.
            let holds = "the file of a segment that was freed; the next start uses it again or removes it";
            context.note_holding(path, FileKind::Spare, FileState::Sound, holds.to_owned());
        } else if has_extension(name, UNREADY) {
            let why = "it was being written when the process ended";
            context.note(path, FileKind::Unready, FileState::Leftover(why.to_owned()));
        } else {
            context.note_unknown(path);
        }
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == extension)
}

fn note_mark(context: &mut Context<'_>, survey: &Survey, path: PathBuf) {
    let (state, holds) = match &survey.mark {
        Ok(MarkFound::Sound(mark)) => {
            let holds = format!("durable up to frame {} in {}", mark.seq, file_name(mark.segment));
            (FileState::Sound, holds)
        }
        Ok(_) => {
            let what = "its checksum does not match; a start ignores it and writes another";
            (FileState::Damaged(Damages::one(0, what)), String::new())
        }
        Err(error) => (FileState::Refused(full(error)), String::new()),
    };
    context.note_holding(path, FileKind::Mark, state, holds);
}

/// An error with what caused it.
fn full(error: &OpenError) -> String {
    match error {
        OpenError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
