//! Values of rows: what is written, what is read, and the bytes between.
//!
//! A tombstone has no bytes. Any other value is a kind, one byte, and its fields; lengths and places are
//! varints, sums four bytes:
//! - 1, inline: sum, bytes of the value to the end;
//! - 2, in the journal: segment, offset, length, sum;
//! - 3, in a value file: file, offset, stored length, length, sum;
//! - 4, joined: sum of the whole, then pieces to the end: 1, length, bytes; or 2, 3, 5 or 6;
//! - 5, packed in the journal: codec, segment, offset, stored length, length, sum;
//! - 6, packed in a value file: codec, file, offset, stored length, length, sum.
//!
//! 5 and 6 came later than the others: a run that has any says so in its footer.

use std::ops::Range;
use std::sync::Arc;

use atoll_types::Codec;
use bytes::Bytes;

use super::VALUE_LEN_MAX;
use super::input::{Input, put_varint};
use crate::index::{FilePointer, InlineValue, Joined, Piece, ValueRef};
use crate::journal::JournalPointer;

const INLINE: u8 = 1;
const JOURNAL: u8 = 2;
const FILED: u8 = 3;
const JOINED: u8 = 4;
const PACKED_JOURNAL: u8 = 5;
const PACKED_FILED: u8 = 6;

/// A row's value, to be written.
#[derive(Clone, Copy, Debug)]
pub enum RowValue<'a> {
    /// The key was deleted at this version.
    Tombstone,
    /// The bytes themselves.
    Inline {
        /// At most 4 MiB; of a user's row, at most 64 bytes.
        bytes: &'a [u8],
        /// [`value_crc`](crate::value_crc) of the key, without its space, and the bytes.
        vcrc: u32,
    },
    /// In the journal.
    Journal(JournalPointer),
    /// In a value file of the group.
    Filed(FilePointer),
    /// In pieces.
    Joined(&'a Joined),
}

/// A row's value, read from a run. Bytes share the memory of their block: copy what is kept for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunValue {
    /// The key was deleted at this version.
    Tombstone,
    /// The bytes themselves, not yet checked against their key.
    Inline {
        /// At most 4 MiB; of a user's row, at most 64 bytes.
        bytes: Bytes,
        /// [`value_crc`](crate::value_crc) of the key, without its space, and the bytes.
        vcrc: u32,
    },
    /// In the journal.
    Journal(JournalPointer),
    /// In a value file of the group.
    Filed(FilePointer),
    /// In pieces.
    Joined(Arc<Joined>),
}

impl<'a> From<Option<&'a ValueRef>> for RowValue<'a> {
    fn from(value: Option<&'a ValueRef>) -> Self {
        match value {
            None => Self::Tombstone,
            Some(ValueRef::Inline(value)) => Self::Inline {
                bytes: value.as_bytes(),
                vcrc: value.vcrc(),
            },
            Some(ValueRef::Journal(pointer)) => Self::Journal(*pointer),
            Some(ValueRef::Filed(pointer)) => Self::Filed(*pointer),
            Some(ValueRef::Joined(joined)) => Self::Joined(joined),
        }
    }
}

impl<'a> From<&'a RunValue> for RowValue<'a> {
    fn from(value: &'a RunValue) -> Self {
        match value {
            RunValue::Tombstone => Self::Tombstone,
            RunValue::Inline { bytes, vcrc } => Self::Inline { bytes, vcrc: *vcrc },
            RunValue::Journal(pointer) => Self::Journal(*pointer),
            RunValue::Filed(pointer) => Self::Filed(*pointer),
            RunValue::Joined(joined) => Self::Joined(joined),
        }
    }
}

impl From<Option<ValueRef>> for RunValue {
    fn from(value: Option<ValueRef>) -> Self {
        match value {
            None => Self::Tombstone,
            Some(ValueRef::Inline(value)) => Self::Inline {
                bytes: Bytes::copy_from_slice(value.as_bytes()),
                vcrc: value.vcrc(),
            },
            Some(ValueRef::Journal(pointer)) => Self::Journal(pointer),
            Some(ValueRef::Filed(pointer)) => Self::Filed(pointer),
            Some(ValueRef::Joined(joined)) => Self::Joined(joined),
        }
    }
}

/// Nothing is lost. Inline bytes of more than 64, which only rows of the system have, become a joined value
/// of one piece.
impl From<RunValue> for Option<ValueRef> {
    fn from(value: RunValue) -> Self {
        Some(match value {
            RunValue::Tombstone => return None,
            RunValue::Inline { bytes, vcrc } => match InlineValue::new(&bytes, vcrc) {
                Some(value) => ValueRef::Inline(value),
                None => ValueRef::Joined(Joined::from_pieces(vec![Piece::Memory(bytes)], vcrc)?.into()),
            },
            RunValue::Journal(pointer) => ValueRef::Journal(pointer),
            RunValue::Filed(pointer) => ValueRef::Filed(pointer),
            RunValue::Joined(joined) => ValueRef::Joined(joined),
        })
    }
}

impl RowValue<'_> {
    /// True if it is short enough to be read again.
    pub(super) fn fits(self) -> bool {
        let filed = |pointer: &FilePointer| pointer.len.max(pointer.stored_len) as usize;
        let len = match self {
            Self::Tombstone => 0,
            Self::Inline { bytes, .. } => bytes.len(),
            Self::Journal(pointer) => pointer.len as usize,
            Self::Filed(pointer) => filed(&pointer),
            Self::Joined(joined) => {
                let stored = joined.pieces().iter().map(|piece| match piece {
                    Piece::Filed(pointer) => filed(pointer),
                    Piece::Memory(_) | Piece::Journal(_) => 0,
                });
                stored.max().unwrap_or(0).max(joined.len() as usize)
            }
        };
        len <= VALUE_LEN_MAX
    }

    /// True if what it points at is packed, or a piece of it is.
    pub(super) fn is_packed(self) -> bool {
        match self {
            Self::Tombstone | Self::Inline { .. } => false,
            Self::Journal(pointer) => pointer.codec != Codec::None,
            Self::Filed(pointer) => pointer.codec != Codec::None,
            Self::Joined(joined) => joined.pieces().iter().any(|piece| match piece {
                Piece::Memory(_) => false,
                Piece::Journal(pointer) => pointer.codec != Codec::None,
                Piece::Filed(pointer) => pointer.codec != Codec::None,
            }),
        }
    }

    pub(super) fn encode(self, to: &mut Vec<u8>) {
        match self {
            Self::Tombstone => {}
            Self::Inline { bytes, vcrc } => {
                to.push(INLINE);
                to.extend_from_slice(&vcrc.to_le_bytes());
                to.extend_from_slice(bytes);
            }
            Self::Journal(pointer) => put_journal(to, pointer),
            Self::Filed(pointer) => put_filed(to, pointer),
            Self::Joined(joined) => {
                to.push(JOINED);
                to.extend_from_slice(&joined.vcrc().to_le_bytes());
                for piece in joined.pieces() {
                    put_piece(to, piece);
                }
            }
        }
    }
}

fn put_piece(to: &mut Vec<u8>, piece: &Piece) {
    match piece {
        Piece::Memory(bytes) => {
            to.push(INLINE);
            put_varint(to, bytes.len() as u64);
            to.extend_from_slice(bytes);
        }
        Piece::Journal(pointer) => put_journal(to, *pointer),
        Piece::Filed(pointer) => put_filed(to, *pointer),
    }
}

fn put_journal(to: &mut Vec<u8>, pointer: JournalPointer) {
    put_kind(to, pointer.codec, [JOURNAL, PACKED_JOURNAL]);
    put_varint(to, pointer.segment.into());
    put_varint(to, pointer.offset.into());
    if pointer.codec != Codec::None {
        put_varint(to, pointer.stored_len.into());
    }
    put_varint(to, pointer.len.into());
    to.extend_from_slice(&pointer.vcrc.to_le_bytes());
}

fn put_filed(to: &mut Vec<u8>, pointer: FilePointer) {
    put_kind(to, pointer.codec, [FILED, PACKED_FILED]);
    put_varint(to, pointer.file.into());
    put_varint(to, pointer.offset.into());
    put_varint(to, pointer.stored_len.into());
    put_varint(to, pointer.len.into());
    to.extend_from_slice(&pointer.vcrc.to_le_bytes());
}

/// The kind of a pointer: the first one, or the second and the codec.
fn put_kind(to: &mut Vec<u8>, codec: Codec, [plain, packed]: [u8; 2]) {
    match codec {
        Codec::None => to.push(plain),
        Codec::Lz4 | Codec::Zstd => to.extend_from_slice(&[packed, codec.number()]),
    }
}

impl RunValue {
    /// The value in a range of a block; `None` if it is not one.
    pub(super) fn decode(block: &Bytes, range: Range<usize>) -> Option<Self> {
        let mut input = Input(block.get(range.clone())?);
        if input.is_empty() {
            return Some(Self::Tombstone);
        }
        let value = match input.u8()? {
            INLINE => {
                let vcrc = input.u32()?;
                let bytes = input.take(input.0.len())?;
                let bytes = block.slice(range.end - bytes.len()..range.end);
                (bytes.len() <= VALUE_LEN_MAX).then_some(Self::Inline { bytes, vcrc })?
            }
            JOURNAL => Self::Journal(journal(&mut input)?),
            FILED => Self::Filed(filed(&mut input)?),
            PACKED_JOURNAL => Self::Journal(packed_journal(&mut input)?),
            PACKED_FILED => Self::Filed(packed_filed(&mut input)?),
            JOINED => Self::Joined(joined(&mut input)?.into()),
            _ => return None,
        };
        input.is_empty().then_some(value)
    }
}

/// What reads a value allocates by its length, so a length beyond any value's is refused here.
fn len(input: &mut Input<'_>) -> Option<u32> {
    input.varint32().filter(|len| *len as usize <= VALUE_LEN_MAX)
}

fn journal(input: &mut Input<'_>) -> Option<JournalPointer> {
    let (segment, offset, len) = (input.varint32()?, input.varint32()?, len(input)?);
    Some(JournalPointer {
        segment,
        offset,
        stored_len: len,
        len,
        codec: Codec::None,
        vcrc: input.u32()?,
    })
}

fn packed_journal(input: &mut Input<'_>) -> Option<JournalPointer> {
    let codec = codec(input)?;
    let pointer = JournalPointer {
        segment: input.varint32()?,
        offset: input.varint32()?,
        stored_len: len(input)?,
        len: len(input)?,
        codec,
        vcrc: input.u32()?,
    };
    pointer.packed(codec, pointer.len)
}

/// One that packs.
fn codec(input: &mut Input<'_>) -> Option<Codec> {
    Codec::from_number(input.u8()?).filter(|codec| *codec != Codec::None)
}

fn packed_filed(input: &mut Input<'_>) -> Option<FilePointer> {
    let codec = codec(input)?;
    let pointer = FilePointer {
        codec,
        ..filed(input)?
    };
    codec
        .admits(pointer.stored_len as usize, pointer.len as usize)
        .then_some(pointer)
}

fn filed(input: &mut Input<'_>) -> Option<FilePointer> {
    Some(FilePointer {
        file: input.varint32()?,
        offset: input.varint32()?,
        stored_len: len(input)?,
        len: len(input)?,
        codec: Codec::None,
        vcrc: input.u32()?,
    })
}

fn joined(input: &mut Input<'_>) -> Option<Joined> {
    let vcrc = input.u32()?;
    let mut pieces = Vec::new();
    while !input.is_empty() {
        pieces.push(match input.u8()? {
            // A copy: a value that is appended to carries its pieces along, without their block.
            INLINE => {
                let len = len(input)? as usize;
                Piece::Memory(Bytes::copy_from_slice(input.take(len)?))
            }
            JOURNAL => Piece::Journal(journal(input)?),
            FILED => Piece::Filed(filed(input)?),
            PACKED_JOURNAL => Piece::Journal(packed_journal(input)?),
            PACKED_FILED => Piece::Filed(packed_filed(input)?),
            _ => return None,
        });
    }
    Joined::from_pieces(pieces, vcrc).filter(|joined| joined.len() as usize <= VALUE_LEN_MAX)
}
