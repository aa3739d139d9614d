//! Values in the journal: pointers to them and their sums.

use std::io;

use atoll_types::{Codec, Mutant, mutant};
use bytes::Bytes;

use super::segment::{Place, SegmentTable};
use crate::codec::{UNPACKED_AT_ONCE_MAX, unpacked};

/// Names the bytes of one value inside the journal. The index packs it into 16 bytes: it holds millions.
///
/// The sum is over key and value, so that a read proves these are *this key's* bytes; "there are
/// bytes at this place" proves nothing. It is that of the value itself also if what stands there is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalPointer {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    /// Bytes that stand there.
    pub(crate) stored_len: u32,
    /// Bytes of the value.
    pub(crate) len: u32,
    pub(crate) codec: Codec,
    pub(crate) vcrc: u32,
}

impl JournalPointer {
    /// Bytes of the value.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length of the value, not of a collection"
    )]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The same bytes, as those that a value of `len` bytes is stored in by this codec; `None` if it cannot be.
    #[must_use]
    pub fn packed(self, codec: Codec, len: u32) -> Option<Self> {
        let packed = Self { len, codec, ..self };
        codec
            .admits(self.stored_len as usize, len as usize)
            .then_some(packed)
    }
}

/// What a read without waiting gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadValue {
    /// The value, checked.
    Ready(Bytes),
    /// The bytes are not in memory, or take long to unpack: ask [`Journal::read_value_blocking`](super::Journal::read_value_blocking)
    /// on a thread that may wait.
    WouldBlock,
}

/// Why a value could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes are not those that were written. Never shown to a user; another replica has them.
    #[error("segment {segment} offset {offset}: {len} bytes do not match their checksum")]
    Corrupt {
        /// The segment.
        segment: u32,
        /// Offset in its file.
        offset: u32,
        /// Length.
        len: u32,
    },
    /// The same of a group's value file.
    #[error("value file {file} offset {offset}: {len} bytes do not match their checksum")]
    Filed {
        /// Number of the file.
        file: u32,
        /// Offset in it.
        offset: u32,
        /// Length.
        len: u32,
    },
    /// A value in the index is not what was put there.
    #[error("a value in the index does not match its checksum")]
    Inline,
    /// The pieces of a value are sound, but the whole is not what was written.
    #[error("the pieces of an appended value do not match its checksum")]
    Joined,
    /// A block of a run is not what was written. Never shown to a user; another replica has the rows.
    #[error("run {run} offset {offset}: a block of {len} bytes is not what was written")]
    Run {
        /// The run's number in its group.
        run: u64,
        /// Offset in its file.
        offset: u64,
        /// Length.
        len: u32,
    },
    /// The value stands in a value file that is not open here.
    #[error("value file {file} is not open here")]
    NoValueFile {
        /// The file's number in its group.
        file: u32,
    },
    /// The pointer is older than its reader: the segment was freed, so the value stands elsewhere by now, or
    /// nowhere. Whoever holds a view that pins it never sees this.
    #[error("segment {segment} of the journal was freed")]
    Freed {
        /// The segment.
        segment: u32,
    },
    /// The operating system could not read.
    #[error("a file of the storage engine could not be read")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// True if the bytes are there and are not what was written.
    pub(crate) fn is_rot(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Filed { .. } | Self::Inline | Self::Joined | Self::Run { .. } => {
                true
            }
            Self::NoValueFile { .. } | Self::Freed { .. } | Self::Io(_) => false,
        }
    }
}

/// The sum that proves that these bytes are this key's value.
pub fn value_crc(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u16).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

impl SegmentTable {
    /// Reads and checks a value; with `wait` false only if that needs no disk. A mismatch is read
    /// again once: a reader may have raced with something, a disk may have slipped.
    pub(crate) fn read_value(
        &self,
        pointer: &JournalPointer,
        key: &[u8],
        wait: bool,
    ) -> Result<ReadValue, ReadError> {
        if let Some(bytes) = self.cache.get(pointer.segment, pointer.offset)
            && bytes.len() == pointer.len as usize
            && value_crc(key, &bytes) == pointer.vcrc
        {
            return Ok(ReadValue::Ready(bytes));
        }
        let is_packed = pointer.codec != Codec::None;
        if is_packed && !wait && pointer.len as usize > UNPACKED_AT_ONCE_MAX {
            return Ok(ReadValue::WouldBlock);
        }
        for _ in 0..2 {
            let Some((stored, from_file)) = self.fetch(pointer, wait)? else {
                return Ok(ReadValue::WouldBlock);
            };
            let value = unpacked(pointer.codec, stored, pointer.len as usize);
            let proved =
                |value: &Bytes| value_crc(key, value) == pointer.vcrc || mutant::is(Mutant::ValueUnchecked);
            if let Some(bytes) = value.filter(proved) {
                self.remember(pointer, &bytes, from_file || is_packed);
                return Ok(ReadValue::Ready(bytes));
            }
        }
        tracing::error!(?pointer, "a value in the journal does not match its checksum");
        Err(pointer.corrupt())
    }

    fn remember(&self, pointer: &JournalPointer, bytes: &Bytes, own: bool) {
        // Bytes from memory are part of a whole entry, which they would keep there, unless they were unpacked.
        if own {
            self.cache.insert(pointer.segment, pointer.offset, bytes);
        }
    }

    /// The bytes, and whether they came from the file.
    fn fetch(&self, pointer: &JournalPointer, wait: bool) -> Result<Option<(Bytes, bool)>, ReadError> {
        // The pin: held to the end of the read.
        let Some(segment) = self.get(pointer.segment) else {
            return Err(self.missing(pointer));
        };
        match segment
            .find(pointer.offset, pointer.stored_len)
            .ok_or_else(|| pointer.corrupt())?
        {
            Place::Memory(bytes) => Ok(Some((bytes, false))),
            Place::File(file) => {
                let mut buffer = vec![0; pointer.stored_len as usize];
                let read = if wait {
                    Some(file.read_at(&mut buffer, u64::from(pointer.offset))?)
                } else {
                    file.try_read_at(&mut buffer, u64::from(pointer.offset))?
                };
                Ok(match read {
                    Some(read) if read == buffer.len() => Some((Bytes::from(buffer), true)),
                    Some(_) => return Err(pointer.corrupt()),
                    None => None,
                })
            }
        }
    }
}

impl SegmentTable {
    fn missing(&self, pointer: &JournalPointer) -> ReadError {
        match self.ends() {
            // No segment has number 0: that of a value that was given up.
            Some(ends) if (1..ends.oldest).contains(&pointer.segment) => ReadError::Freed {
                segment: pointer.segment,
            },
            _ => pointer.corrupt(),
        }
    }
}

impl JournalPointer {
    fn corrupt(&self) -> ReadError {
        ReadError::Corrupt {
            segment: self.segment,
            offset: self.offset,
            len: self.stored_len,
        }
    }
}
