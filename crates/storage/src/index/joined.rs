//! Values put together by appending.
//!
//! An appended value stands nowhere as a whole, and making a whole of it at every append would cost the
//! square of its length. So it is a list of pieces: what was there before, where it stands, and the
//! suffixes, long ones where they stand in the journal, short ones in memory, merged as they come.
//! Neither making the list nor its sum needs the bytes of what was there before: a checksum goes on where
//! it ended. So an append never waits for a disk, and rot under it stays what it is, a value that cannot
//! be read on this replica.
//!
//! Two neighbours always have more than [`APPEND_MEMORY_BYTES_MAX`] bytes together (the first piece may
//! be shorter), which bounds the pieces of a value of 1 MiB to about five hundred.

use std::fmt;

use atoll_types::limits::{APPEND_MEMORY_BYTES_MAX, INLINE_VALUE_BYTES_MAX};
use bytes::{Bytes, BytesMut};

use super::value::{FilePointer, InlineValue, ValueRef};
use crate::journal::{JournalPointer, ReadError, ReadValue, value_crc};

/// What is appended.
#[derive(Clone, Copy, Debug)]
pub enum Suffix<'a> {
    /// Kept in memory. Meant for at most [`APPEND_MEMORY_BYTES_MAX`] bytes.
    Memory(&'a [u8]),
    /// Stays in the journal. Its sum is that of the key and the suffix.
    Journal(JournalPointer),
}

impl Suffix<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Journal(pointer) => pointer.len as usize,
        }
    }
}

/// A part of a value that was appended to. The sum of one that stands elsewhere is that of the key and the
/// piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Memory(Bytes),
    Journal(JournalPointer),
    Filed(FilePointer),
}

impl Piece {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Journal(pointer) => pointer.len as usize,
            Self::Filed(pointer) => pointer.len as usize,
        }
    }
}

/// A value in pieces, with the sum that ties the whole to its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Joined {
    pieces: Box<[Piece]>,
    len: u32,
    vcrc: u32,
}

impl Joined {
    /// Bytes of the whole value.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length of the value, not of a collection"
    )]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The sum over key and whole value.
    pub fn vcrc(&self) -> u32 {
        self.vcrc
    }

    /// Bytes of memory it holds; a piece that an older version shares counts in both.
    pub(crate) fn memory_bytes(&self) -> usize {
        let owned = self.pieces.iter().map(|piece| match piece {
            Piece::Memory(bytes) => bytes.len(),
            Piece::Journal(_) | Piece::Filed(_) => 0,
        });
        size_of::<Self>() + self.pieces.len() * size_of::<Piece>() + owned.sum::<usize>()
    }

    /// A value made of these pieces, in order; `vcrc` is the sum over key and whole. `None` if it would be
    /// longer than a length can say.
    pub(crate) fn from_pieces(pieces: Vec<Piece>, vcrc: u32) -> Option<Self> {
        let len = pieces.iter().try_fold(0_u32, |len, piece| {
            len.checked_add(u32::try_from(piece.len()).ok()?)
        })?;
        Some(Self {
            pieces: pieces.into(),
            len,
            vcrc,
        })
    }

    /// A value that stands as a whole in a value file, for a place that takes only joined ones.
    pub(crate) fn of_filed(pointer: FilePointer) -> Self {
        Self {
            pieces: [Piece::Filed(pointer)].into(),
            len: pointer.len,
            vcrc: pointer.vcrc,
        }
    }

    /// What [`Joined::of_filed`] was made of. Appending never makes a value of one such piece.
    pub(crate) fn as_filed(&self) -> Option<FilePointer> {
        match &*self.pieces {
            [Piece::Filed(pointer)] => Some(*pointer),
            _ => None,
        }
    }

    /// What it is made of.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The whole value, checked. `read` reads and checks a piece that stands elsewhere; what it says
    /// of one piece is said of the whole.
    pub(crate) fn read(
        &self,
        key: &[u8],
        read: impl Fn(&Piece) -> Result<ReadValue, ReadError>,
    ) -> Result<ReadValue, ReadError> {
        let mut whole = BytesMut::with_capacity(self.len as usize);
        for piece in &self.pieces {
            match piece {
                Piece::Memory(bytes) => whole.extend_from_slice(bytes),
                Piece::Journal(_) | Piece::Filed(_) => match read(piece)? {
                    ReadValue::Ready(bytes) => whole.extend_from_slice(&bytes),
                    ReadValue::WouldBlock => return Ok(ReadValue::WouldBlock),
                },
            }
        }
        if value_crc(key, &whole) == self.vcrc {
            Ok(ReadValue::Ready(whole.freeze()))
        } else {
            Err(ReadError::Joined)
        }
    }
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pieces, len, vcrc } = self;
        write!(f, "Joined({len} bytes in {} pieces, {vcrc:08x})", pieces.len())
    }
}

impl ValueRef {
    /// This value with `suffix` behind it; `vcrc` is the sum of the key and the whole.
    #[must_use]
    pub fn with_suffix(&self, suffix: Suffix<'_>, vcrc: u32) -> Self {
        let len = self.len() + suffix.len();
        if suffix.len() == 0 {
            return self.clone();
        }
        if let (Self::Inline(old), Suffix::Memory(new)) = (self, suffix)
            && len <= INLINE_VALUE_BYTES_MAX
            && let Some(short) = InlineValue::new(&[old.as_bytes(), new].concat(), vcrc)
        {
            return Self::Inline(short);
        }
        let mut pieces = match self {
            Self::Inline(value) => vec![Piece::Memory(Bytes::copy_from_slice(value.as_bytes()))],
            Self::Journal(pointer) => vec![Piece::Journal(*pointer)],
            Self::Filed(pointer) => vec![Piece::Filed(*pointer)],
            Self::Joined(joined) => joined.pieces.to_vec(),
        };
        add(&mut pieces, suffix);
        Self::Joined(
            Joined {
                pieces: pieces.into(),
                len: len as u32,
                vcrc,
            }
            .into(),
        )
    }
}

fn add(pieces: &mut Vec<Piece>, suffix: Suffix<'_>) {
    let new = match suffix {
        Suffix::Journal(pointer) => Piece::Journal(pointer),
        Suffix::Memory(bytes) => match pieces.pop() {
            Some(Piece::Memory(last)) if last.len() + bytes.len() <= APPEND_MEMORY_BYTES_MAX => {
                Piece::Memory([&last, bytes].concat().into())
            }
            last => {
                pieces.extend(last);
                Piece::Memory(Bytes::copy_from_slice(bytes))
            }
        },
    };
    pieces.push(new);
}
