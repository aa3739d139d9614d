//! The row of what history is kept.

use std::collections::VecDeque;

use atoll_types::Version;
use bytes::{Buf, BufMut};

use super::fields::{Flaw, check_count, end};
use super::row::{SystemKey, SystemRow};
use crate::history::{History, HistoryLimits, MARKS_MAX, Mark};

pub(super) const FORMAT: u8 = 1;
/// Bytes of a mark.
const MARK_BYTES: usize = 24;

fn key() -> atoll_types::Key {
    SystemKey::group_wide(SystemKey::HISTORY, &[]).encode()
}

pub(super) fn removed() -> SystemRow {
    SystemRow::removed(key())
}

pub(super) fn encode(history: &History) -> SystemRow {
    let mut out = vec![FORMAT];
    out.put_u64_le(history.limits.window_ms);
    out.put_u64_le(history.limits.bytes);
    out.put_u64_le(history.written);
    out.put_u16_le(history.marks.len() as u16);
    for mark in &history.marks {
        out.put_u64_le(mark.time_ms);
        out.put_u64_le(mark.version.0);
        out.put_u64_le(mark.written);
    }
    SystemRow::sealed(key(), out)
}

pub(super) fn decode(mut input: &[u8]) -> Result<History, Flaw> {
    let limits = HistoryLimits {
        window_ms: input.try_get_u64_le()?,
        bytes: input.try_get_u64_le()?,
    };
    let written = input.try_get_u64_le()?;
    let count = usize::from(input.try_get_u16_le()?);
    if limits.window_ms == 0 || limits.bytes == 0 {
        return Err(Flaw("it keeps history, and none of it"));
    }
    if count == 0 || count > MARKS_MAX + 1 {
        return Err(Flaw("it has no marks, or too many"));
    }
    check_count(count, MARK_BYTES, input)?;
    let mut marks = VecDeque::with_capacity(count);
    for _ in 0..count {
        marks.push_back(Mark {
            time_ms: input.try_get_u64_le()?,
            version: Version(input.try_get_u64_le()?),
            written: input.try_get_u64_le()?,
        });
    }
    end(input)?;
    let follow = |before: &Mark, next: &Mark| {
        before.version < next.version && before.time_ms <= next.time_ms && before.written <= next.written
    };
    let newest = marks.back().map_or(0, |mark| mark.written);
    if !marks.iter().is_sorted_by(|before, next| follow(before, next)) || newest > written {
        return Err(Flaw("its marks do not ascend"));
    }
    Ok(History {
        limits,
        marks,
        written,
    })
}
