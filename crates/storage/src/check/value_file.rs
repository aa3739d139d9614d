//! One value file: every record.

use std::path::PathBuf;

use atoll_types::Codec;

use super::context::Context;
use super::group::open_named;
use super::report::{Damages, FileKind, FileState};
use crate::manifest::ValueFileEntry;
use crate::value_file::{FiledRecord, ValueFile, ValueFileError, ValueFileId};

/// Reads a value file that the manifest names, and notes how it is. The file, if values can be read from it: damage of
/// some is none of the others.
pub(super) fn check(
    context: &mut Context<'_>,
    path: PathBuf,
    id: ValueFileId,
    entry: &ValueFileEntry,
) -> Option<ValueFile> {
    let opened = open_named(context, &path, entry.len)
        .and_then(|file| ValueFile::open(file, id).map_err(|error| state_of(&error)));
    let (state, holds, file) = match opened {
        Ok(file) => {
            let (state, holds) = check_records(context, &file);
            (state, holds, Some(file))
        }
        Err(state) => (state, String::new(), None),
    };
    context.note_holding(path, FileKind::Values, state, holds);
    file
}

fn check_records(context: &mut Context<'_>, file: &ValueFile) -> (FileState, String) {
    let mut damages = Damages::default();
    let (mut records, mut bytes, mut packed) = (0_u64, 0_u64, 0_u64);
    let mut before: Option<FiledRecord> = None;
    for record in file.records() {
        let record = match record {
            Ok(record) => record,
            // Where the next record begins is not known.
            Err(ValueFileError::Damaged { offset, what, .. }) => {
                damages.push(offset, what);
                break;
            }
            Err(error) => return (state_of(&error), String::new()),
        };
        let in_order = before.as_ref().is_none_or(|before| {
            before.key < record.key || before.key == record.key && before.version > record.version
        });
        if !in_order {
            let key = record.key.escape_ascii();
            damages.push(
                record.place.offset.into(),
                format!("the record of key '{key}' does not stand in order"),
            );
        }
        records += 1;
        packed += u64::from(record.place.codec != Codec::None);
        bytes += u64::from(record.place.stored_len);
        context.advance(u64::from(record.place.stored_len));
        before = Some(record);
    }
    let holds = match packed {
        0 => format!("{records} values of {bytes} bytes"),
        _ => format!("{records} values of {bytes} bytes, {packed} of them packed"),
    };
    (damages.into_state(), holds)
}

fn state_of(error: &ValueFileError) -> FileState {
    match error {
        ValueFileError::Damaged { offset, what, .. } => FileState::Damaged(Damages::one(*offset, *what)),
        ValueFileError::Io(error) => FileState::Refused(error.to_string()),
        other => FileState::Refused(other.to_string()),
    }
}
