//! The row of a session, records included.

use std::collections::VecDeque;

use atoll_types::limits::{SESSION_OPEN_MAX, SLOTS};
use atoll_types::{ClientId, Key, Misfit, Mutant, Outcome, SlotId, Version, mutant};
use bytes::{Buf, BufMut};

use super::fields::{Flaw, check_count, end};
use super::row::{SYSTEM_VALUE_BYTES_MAX, SystemKey, SystemRow};
use crate::session::{Record, Session};

pub(super) const FORMAT: u8 = 1;
/// Bytes of a session's fields, with format version and sum, without records.
const SESSION_BYTES: usize = 1 + 8 + 8 + 8 + 8 + 2 + 4;
/// Bytes of the shortest record and of the longest.
const RECORD_BYTES_MIN: usize = 8 + 2 + 1 + 2;
const RECORD_BYTES_MAX: usize = 8 + 2 + 1 + 8 + 8;

const _: () = {
    assert!(SESSION_OPEN_MAX <= u16::MAX as usize);
    assert!(SESSION_BYTES + SESSION_OPEN_MAX * RECORD_BYTES_MAX <= SYSTEM_VALUE_BYTES_MAX);
};

const DONE: u8 = 1;
const COMPUTED: u8 = 2;
const GUARD_FAILED_ABSENT: u8 = 3;
const GUARD_FAILED: u8 = 4;
const MISFIT: u8 = 5;

const NOT_A_NUMBER: u8 = 1;
const OVERFLOW: u8 = 2;
const TOO_LONG: u8 = 3;

pub(super) fn key(client: ClientId) -> Key {
    // As in every key the highest byte first: rows stand in the order of the ids.
    SystemKey::group_wide(SystemKey::SESSION, &client.0.to_be_bytes()).encode()
}

/// `None` if the id of a key is none of a client.
pub(super) fn client(id: &[u8]) -> Option<ClientId> {
    let id = id.try_into().ok()?;
    Some(ClientId(u128::from_be_bytes(id)))
}

pub(super) fn encode(client: ClientId, session: &Session) -> SystemRow {
    let kept = if mutant::is(Mutant::CheckpointWithoutRecords) {
        0
    } else {
        session.records.len()
    };
    let mut out = Vec::with_capacity(SESSION_BYTES + kept * RECORD_BYTES_MAX);
    out.put_u8(FORMAT);
    out.put_u64_le(session.opened.0);
    out.put_u64_le(session.reached.0);
    out.put_u64_le(session.used_ms);
    out.put_u64_le(session.ack);
    out.put_u16_le(kept as u16);
    for record in session.records.iter().take(kept) {
        out.put_u64_le(record.seq);
        out.put_u16_le(record.slot.0);
        put_outcome(&record.outcome, &mut out);
    }
    SystemRow::sealed(key(client), out)
}

fn put_outcome(outcome: &Outcome, out: &mut Vec<u8>) {
    match *outcome {
        Outcome::Done { version } => {
            out.put_u8(DONE);
            out.put_u64_le(version.0);
        }
        Outcome::Computed { version, number } => {
            out.put_u8(COMPUTED);
            out.put_u64_le(version.0);
            out.put_i64_le(number);
        }
        Outcome::GuardFailed { guard, actual: None } => {
            out.put_u8(GUARD_FAILED_ABSENT);
            out.put_u16_le(guard);
        }
        Outcome::GuardFailed {
            guard,
            actual: Some(version),
        } => {
            out.put_u8(GUARD_FAILED);
            out.put_u16_le(guard);
            out.put_u64_le(version.0);
        }
        Outcome::Misfit { op, misfit } => {
            out.put_u8(MISFIT);
            out.put_u16_le(op);
            out.put_u8(match misfit {
                Misfit::NotANumber => NOT_A_NUMBER,
                Misfit::Overflow => OVERFLOW,
                Misfit::TooLong => TOO_LONG,
            });
        }
        Outcome::Refused(_) => unreachable!("a session remembers no refusal"),
    }
}

/// The session of a row, as it stood there: not known to fit the other rows yet.
pub(super) fn decode(mut input: &[u8]) -> Result<Session, Flaw> {
    let mut session = Session {
        opened: Version(input.try_get_u64_le()?),
        reached: Version(input.try_get_u64_le()?),
        used_ms: input.try_get_u64_le()?,
        ack: input.try_get_u64_le()?,
        records: VecDeque::new(),
        changed: false,
    };
    let count = usize::from(input.try_get_u16_le()?);
    if count > SESSION_OPEN_MAX {
        return Err(Flaw("it has more records than a session keeps"));
    }
    check_count(count, RECORD_BYTES_MIN, input)?;
    session.records.reserve_exact(count);
    let mut least = Some(session.ack);
    for _ in 0..count {
        let record = record(&mut input)?;
        if least.is_none_or(|least| record.seq < least) {
            return Err(Flaw("its records do not ascend from the acknowledged number"));
        }
        if record.outcome.version() > Some(session.reached) {
            return Err(Flaw("a record is above the version the session reached"));
        }
        session.records.push_back(record);
        least = record.seq.checked_add(1);
    }
    end(input)?;
    if session.opened > session.reached {
        return Err(Flaw("it did not reach the version it was opened at"));
    }
    Ok(session)
}

fn record(input: &mut &[u8]) -> Result<Record, Flaw> {
    let seq = input.try_get_u64_le()?;
    let slot = SlotId(input.try_get_u16_le()?);
    if slot.0 >= SLOTS {
        return Err(Flaw("a record is of a slot that does not exist"));
    }
    let outcome = outcome(input)?;
    Ok(Record { seq, slot, outcome })
}

fn outcome(input: &mut &[u8]) -> Result<Outcome, Flaw> {
    Ok(match input.try_get_u8()? {
        DONE => Outcome::Done {
            version: Version(input.try_get_u64_le()?),
        },
        COMPUTED => Outcome::Computed {
            version: Version(input.try_get_u64_le()?),
            number: input.try_get_i64_le()?,
        },
        GUARD_FAILED_ABSENT => Outcome::GuardFailed {
            guard: input.try_get_u16_le()?,
            actual: None,
        },
        GUARD_FAILED => Outcome::GuardFailed {
            guard: input.try_get_u16_le()?,
            actual: Some(Version(input.try_get_u64_le()?)),
        },
        MISFIT => Outcome::Misfit {
            op: input.try_get_u16_le()?,
            misfit: match input.try_get_u8()? {
                NOT_A_NUMBER => Misfit::NotANumber,
                OVERFLOW => Misfit::Overflow,
                TOO_LONG => Misfit::TooLong,
                _ => return Err(Flaw("an operation does not fit for an unknown reason")),
            },
        },
        _ => return Err(Flaw("it has an unknown kind of outcome")),
    })
}
