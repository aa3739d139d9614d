//! Past one key of a run, however many versions it has.
//!
//! With history a key that is written all the time has as many versions as it was written, and a walk over its neighbours wants one of
//! them. A few are stepped over; beyond that the wanted one is looked for, and then the next key.

use atoll_types::Version;

use super::below::{Ask, Missed, Newest};
use crate::run::{Looked, RunCursor, Step};

/// Versions of a key that a walk steps over before it looks for what it wants: that costs about as much.
const VERSIONS_STEPPED: usize = 16;

/// Moves a cursor that may stand on a key past it; the newest version it has of it that is old enough.
pub(super) fn pass(cursor: &mut RunCursor, key: &[u8], ask: Ask) -> Result<Option<Newest>, Missed> {
    if ask.reverse {
        pass_backward(cursor, key, ask)
    } else {
        pass_forward(cursor, key, ask)
    }
}

/// Newer versions come before the wanted one, older ones behind it.
fn pass_forward(cursor: &mut RunCursor, key: &[u8], ask: Ask) -> Result<Option<Newest>, Missed> {
    if !step_while(cursor, key, ask, |version| version > ask.at)? {
        cursor.seek(key, ask.at);
        step(cursor, ask.wait)?;
    }
    let seen = match cursor.current().filter(|row| row.key == key) {
        Some(row) => (row.version, row.value()?),
        None => return Ok(None),
    };
    if !step_while(cursor, key, ask, |_| true)? {
        let behind = [key, &[0]].concat();
        cursor.seek(&behind, Version(u64::MAX));
        step(cursor, ask.wait)?;
    }
    Ok(Some(seen))
}

/// Older versions come before the wanted one, newer ones behind it.
fn pass_backward(cursor: &mut RunCursor, key: &[u8], ask: Ask) -> Result<Option<Newest>, Missed> {
    let mut seen = None;
    for _ in 0..VERSIONS_STEPPED {
        let Some(row) = cursor.current().filter(|row| row.key == key) else {
            return Ok(seen);
        };
        if row.version <= ask.at {
            seen = Some((row.version, row.value()?));
        }
        step(cursor, ask.wait)?;
    }
    let next = cursor.current().filter(|row| row.key == key);
    let Some(next) = next.map(|row| row.version) else {
        return Ok(seen);
    };
    if next <= ask.at {
        seen = match cursor.find(key, ask.at, ask.wait)? {
            Looked::Row(version, value) => Some((version, value)),
            Looked::WouldBlock => return Err(Missed::WouldBlock),
            // It stands on one.
            Looked::Absent => seen,
        };
    }
    cursor.seek(key, Version(u64::MAX));
    step(cursor, ask.wait)?;
    Ok(seen)
}

/// Steps over some versions of a key, if they are many not over all; false if the cursor stands on another one of these then.
fn step_while(
    cursor: &mut RunCursor,
    key: &[u8],
    ask: Ask,
    passes: impl Fn(Version) -> bool,
) -> Result<bool, Missed> {
    let stands = |cursor: &RunCursor| {
        let row = cursor.current();
        row.is_some_and(|row| row.key == key && passes(row.version))
    };
    for _ in 0..VERSIONS_STEPPED {
        if !stands(cursor) {
            return Ok(true);
        }
        step(cursor, ask.wait)?;
    }
    Ok(!stands(cursor))
}

pub(super) fn step(cursor: &mut RunCursor, wait: bool) -> Result<(), Missed> {
    match cursor.step(wait)? {
        Step::Row | Step::End => Ok(()),
        Step::WouldBlock => Err(Missed::WouldBlock),
    }
}
