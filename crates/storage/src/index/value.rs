//! Where a row's value stands.

use std::fmt;
use std::sync::Arc;

use atoll_types::Codec;
use atoll_types::limits::INLINE_VALUE_BYTES_MAX;
use bytes::Bytes;

use super::joined::Joined;
use crate::journal::{JournalPointer, value_crc};

/// A value of at most 64 bytes, with the sum that ties it to its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InlineValue {
    len: u8,
    bytes: [u8; INLINE_VALUE_BYTES_MAX],
    vcrc: u32,
}

impl InlineValue {
    /// Takes the bytes in; `None` if they are too long. `vcrc` is [`value_crc`] of key and value.
    pub fn new(value: &[u8], vcrc: u32) -> Option<Self> {
        let mut bytes = [0; INLINE_VALUE_BYTES_MAX];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self {
            len: value.len() as u8,
            bytes,
            vcrc,
        })
    }

    /// The bytes, unchecked.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The sum it came with.
    pub fn vcrc(&self) -> u32 {
        self.vcrc
    }
}

impl fmt::Debug for InlineValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Inline(\"{}\", {:08x})",
            self.as_bytes().escape_ascii(),
            self.vcrc
        )
    }
}

/// Names the bytes of one value inside a value file of the same group.
///
/// As with a [`JournalPointer`], the sum is over key and value: a read proves that the bytes are this key's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePointer {
    /// Number of the value file in its group.
    pub file: u32,
    /// Where the stored bytes start in the file.
    pub offset: u32,
    /// Bytes stored; fewer than `len` if they are packed.
    pub stored_len: u32,
    /// Bytes of the value.
    pub len: u32,
    /// What makes the value of them.
    pub codec: Codec,
    /// [`value_crc`] of key and value.
    pub vcrc: u32,
}

/// Where a row's value stands. A value of at most 64 bytes always stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueRef {
    /// Here.
    Inline(InlineValue),
    /// In the journal.
    Journal(JournalPointer),
    /// In a value file of the group.
    Filed(FilePointer),
    /// In pieces, here and there.
    Joined(Arc<Joined>),
}

const _: () = assert!(size_of::<ValueRef>() <= 80);

impl ValueRef {
    /// Bytes of the value.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length of the value, not of a collection"
    )]
    pub fn len(&self) -> usize {
        match self {
            Self::Inline(value) => value.as_bytes().len(),
            Self::Journal(pointer) => pointer.len as usize,
            Self::Filed(pointer) => pointer.len as usize,
            Self::Joined(joined) => joined.len() as usize,
        }
    }

    /// The sum that ties the value to its key.
    pub fn vcrc(&self) -> u32 {
        match self {
            Self::Inline(value) => value.vcrc,
            Self::Journal(pointer) => pointer.vcrc,
            Self::Filed(pointer) => pointer.vcrc,
            Self::Joined(joined) => joined.vcrc(),
        }
    }

    /// If the value stands in the index: its bytes, in place, if they are this key's.
    pub fn inline_in_place(&self, key: &[u8]) -> Option<Result<&[u8], Mismatch>> {
        let Self::Inline(value) = self else { return None };
        let bytes = value.as_bytes();
        Some(
            (value_crc(key, bytes) == value.vcrc)
                .then_some(bytes)
                .ok_or(Mismatch),
        )
    }

    /// If the value stands in the index: its bytes if they are this key's, or `Err` if memory lied.
    pub fn inline_checked(&self, key: &[u8]) -> Option<Result<Bytes, Mismatch>> {
        let checked = self.inline_in_place(key)?;
        Some(checked.map(Bytes::copy_from_slice))
    }
}

/// A value in the index does not match its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value in the index does not match its checksum")]
pub struct Mismatch;
