//! Bytes to single rows. Every read is checked; nothing is believed.

use atoll_types::{ClientId, Codec, SlotId, Version};

use super::GuardView;
use super::layout::{
    COMMAND_ROW_BYTES, FLAG_SESSION, FLAG_SKIPPABLE, GUARD_KEY, GUARD_RANGE, GUARD_ROW_BYTES, NUMBER_BYTES,
    OP_BODY, OP_DELETE, OP_DELETE_RANGE, OP_INCREMENT, OP_MAX, OP_MIN, OP_PUT, OP_ROW_BYTES,
    RANGE_LIMIT_BYTES,
};
use crate::{DecodeError, SessionRef};

pub(super) fn malformed<T>(what: &'static str, at: usize) -> Result<T, DecodeError> {
    Err(DecodeError::Malformed { what, at })
}

/// A cursor over bytes that may end anywhere.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            malformed("bytes are left over", self.at)
        }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(len);
        let Some(bytes) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return malformed("bytes are missing", self.at);
        };
        self.at += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let at = self.at;
        self.bytes(N)?
            .try_into()
            .or_else(|_| malformed("bytes are missing", at))
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_le_bytes)
    }
}

/// A row of the command table.
#[derive(Clone, Copy)]
pub(super) struct CommandRow {
    pub(super) session: Option<SessionRef>,
    pub(super) after: Version,
    pub(super) kind: u8,
    pub(super) skippable: bool,
    pub(super) slot: SlotId,
    pub(super) guards_at: u32,
    pub(super) guard_count: u32,
    pub(super) ops_at: u32,
    pub(super) op_count: u32,
    pub(super) values_at: u32,
}

impl CommandRow {
    pub(super) fn read(table: &[u8], position: usize) -> Result<Self, DecodeError> {
        let start = position.saturating_mul(COMMAND_ROW_BYTES);
        let mut row = Reader::new(table, start);
        let client = ClientId(row.u128()?);
        let (seq, ack) = (row.u64()?, row.u64()?);
        let after = Version(row.u64()?);
        let (kind, flags) = (row.u8()?, row.u8()?);
        if flags & !(FLAG_SESSION | FLAG_SKIPPABLE) != 0 {
            return Err(DecodeError::Unknown {
                what: "command flags",
                value: flags,
                at: start,
            });
        }
        let session = (flags & FLAG_SESSION != 0).then_some(SessionRef { client, seq, ack });
        Ok(Self {
            session,
            after,
            kind,
            skippable: flags & FLAG_SKIPPABLE != 0,
            slot: SlotId(row.u16()?),
            guards_at: row.u32()?,
            guard_count: row.u32()?,
            ops_at: row.u32()?,
            op_count: row.u32()?,
            values_at: row.u32()?,
        })
    }
}

/// A row of the guard table.
#[derive(Clone, Copy)]
pub(super) struct GuardRow<'a> {
    pub(super) range: bool,
    pub(super) key: &'a [u8],
    pub(super) end: &'a [u8],
    pub(super) version: Version,
    pub(super) next: usize,
}

impl<'a> GuardRow<'a> {
    pub(super) fn read(table: &'a [u8], start: usize) -> Result<Self, DecodeError> {
        let mut row = Reader::new(table, start);
        let (kind, flags) = (row.u8()?, row.u8()?);
        let (key_len, end_len, reserved) = (row.u16()?, row.u16()?, row.u16()?);
        let version = Version(row.u64()?);
        debug_assert_eq!(row.at(), start + GUARD_ROW_BYTES);
        if kind > GUARD_RANGE {
            return Err(DecodeError::Unknown {
                what: "guard kind",
                value: kind,
                at: start,
            });
        }
        if flags != 0 || reserved != 0 {
            return Err(DecodeError::Unknown {
                what: "guard flags",
                value: flags,
                at: start,
            });
        }
        let (key, end) = (row.bytes(key_len.into())?, row.bytes(end_len.into())?);
        if kind == GUARD_KEY && (key.is_empty() || !end.is_empty()) {
            return malformed("a key guard has one key", start);
        }
        Ok(Self {
            range: kind == GUARD_RANGE,
            key,
            end,
            version,
            next: row.at(),
        })
    }
}

impl<'a> GuardRow<'a> {
    pub(super) fn view(&self) -> GuardView<'a> {
        let (start, end, version) = (self.key, self.end, self.version);
        if self.range {
            GuardView::Range {
                start,
                end,
                newest: version,
            }
        } else {
            GuardView::Key {
                key: start,
                expected: version,
            }
        }
    }
}

/// A row of the op table.
#[derive(Clone, Copy)]
pub(super) struct OpRow<'a> {
    pub(super) op: u8,
    pub(super) key: &'a [u8],
    pub(super) codec: Codec,
    pub(super) raw_len: u32,
    pub(super) stored_len: u32,
    pub(super) vcrc: u32,
    pub(super) next: usize,
}

impl<'a> OpRow<'a> {
    pub(super) fn read(table: &'a [u8], start: usize) -> Result<Self, DecodeError> {
        let mut row = Reader::new(table, start);
        let (op, flags) = (row.u8()?, row.u8()?);
        let key_len = row.u16()?;
        let (raw_len, stored_len, vcrc) = (row.u32()?, row.u32()?, row.u32()?);
        debug_assert_eq!(row.at(), start + OP_ROW_BYTES);
        let Some(codec) = Codec::from_number(flags) else {
            return Err(DecodeError::Unknown {
                what: "op flags",
                value: flags,
                at: start,
            });
        };
        let key = row.bytes(key_len.into())?;
        check_op(op, key, stored_len as usize, start)?;
        check_codec(op, codec, (stored_len, raw_len), start)?;
        Ok(Self {
            op,
            key,
            codec,
            raw_len,
            stored_len,
            vcrc,
            next: row.at(),
        })
    }
}

fn check_codec(
    op: u8,
    codec: Codec,
    (stored_len, raw_len): (u32, u32),
    at: usize,
) -> Result<(), DecodeError> {
    if codec != Codec::None && op != OP_PUT {
        return malformed("an op other than a put is packed", at);
    }
    if !codec.admits(stored_len as usize, raw_len as usize) {
        return malformed("a value has lengths that its codec does not admit", at);
    }
    Ok(())
}

fn check_op(op: u8, key: &[u8], stored_len: usize, at: usize) -> Result<(), DecodeError> {
    match op {
        OP_BODY if !key.is_empty() => malformed("a body with a key", at),
        OP_BODY => Ok(()),
        OP_PUT..=OP_DELETE_RANGE if key.is_empty() => malformed("an op without a key", at),
        OP_DELETE if stored_len != 0 => malformed("a deletion with a value", at),
        OP_INCREMENT | OP_MIN | OP_MAX if stored_len != NUMBER_BYTES => {
            malformed("a number of another length", at)
        }
        OP_DELETE_RANGE if stored_len <= RANGE_LIMIT_BYTES => malformed("a range without an end", at),
        OP_PUT..=OP_DELETE_RANGE => Ok(()),
        _ => Err(DecodeError::Unknown {
            what: "op",
            value: op,
            at,
        }),
    }
}
