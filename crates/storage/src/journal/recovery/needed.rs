//! Where a start has to begin reading.
//!
//! Most segments of a node that has run for a while hold nothing but values: their entries were purged from every log. What a
//! start wants to know of such segments stands in the first frame of any later one, and values are proved when they are read,
//! so reading them all again would only take time, the more the larger the journal may be.
//!
//! A segment at the front is left out only if headers and first frames, with all their sums right, say that it can be: segments
//! follow each other without a gap, and of every group that the first segment read tells of, all that stood before is purged by
//! what the newest segment says. The record that says so stands between the two, so reading from there comes to the same
//! logs (`rebuilt`). If that reading finds anything wrong, everything is read after all.
//!
//! Three things are no reason to read everything:
//! - The newest segment's first frame was cut short by a crash. Then the segment before it is asked: what was purged there is
//!   purged for good, so an older answer only keeps more.
//! - A group that the newest segment says is in quarantine: nothing of its log is ever used again, and it stays in quarantine by
//!   that word.
//! - The journal was damaged, and every segment since then says so: damage is for ever, and need not be found again.

use std::collections::BTreeMap;
use std::io;

use atoll_types::GroupKey;

use super::files::SegmentFile;
use super::reader::FrameReader;
use crate::journal::format::{Head, RecordKind, Records};

type Heads = BTreeMap<GroupKey, Head>;

/// The place of the first segment that has to be read; 0 if all have to be.
pub(super) fn first_needed(files: &[SegmentFile]) -> io::Result<usize> {
    let Some((newest, now)) = newest_heads(files)? else {
        return Ok(0);
    };
    // From the newest down: nearly all that is looked at is then read in any case.
    for at in (1..=newest).rev() {
        let Some(file) = files.get(at).filter(|_| is_chain(files, at)) else {
            return Ok(0);
        };
        match heads(file)? {
            Some(heads) if heads.iter().all(|(group, head)| is_over(head, now.get(group))) => {
                return Ok(at);
            }
            Some(_) => {}
            None => return Ok(0),
        }
    }
    Ok(0)
}

/// True if all headers up to this segment are sound, and each follows the one before.
fn is_chain(files: &[SegmentFile], upto: usize) -> bool {
    let follows = |pair: &[SegmentFile]| match pair {
        [before, after] => {
            let previous = after.header.map(|header| header.previous.segment);
            before.header.is_some() && previous == Some(before.id.into())
        }
        _ => false,
    };
    files
        .get(..=upto)
        .is_some_and(|files| files.windows(2).all(follows))
}

/// The newest segment's place and what it says, or, if its first frame is not sound, the same of the one before it. A second one
/// that is not sound is no crash.
fn newest_heads(files: &[SegmentFile]) -> io::Result<Option<(usize, Heads)>> {
    for (at, file) in files.iter().enumerate().rev().take(2) {
        if let Some(heads) = heads(file)? {
            return Ok(Some((at, heads)));
        }
    }
    Ok(None)
}

/// True if nothing that stood in the log at this point is needed now: all of it is purged, or the log will never be used again.
fn is_over(then: &Head, now: Option<&Head>) -> bool {
    now.is_some_and(|now| {
        let purged = now.purged.map(|id| id.index);
        now.quarantined || then.last.map(|id| id.index) <= purged
    })
}

/// What a segment's first frame says of every group; `None` if there is no sound one.
fn heads(file: &SegmentFile) -> io::Result<Option<Heads>> {
    let Some(header) = &file.header else {
        return Ok(None);
    };
    let mut reader = FrameReader::new(&*file.file, header)?;
    let Some(frame) = reader.frame(header.align.header_len())? else {
        return Ok(None);
    };
    let mut heads = Heads::new();
    for record in Records::new(frame.body) {
        let Ok((record, payload, _)) = record else {
            return Ok(None);
        };
        if record.kind == RecordKind::GroupHead {
            let Some(head) = Head::decode(payload) else {
                return Ok(None);
            };
            heads.insert(record.group, head);
        }
    }
    Ok(Some(heads))
}
