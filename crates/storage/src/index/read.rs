//! From where a value stands to its bytes.

use std::io;

use atoll_types::Version;
use bytes::BytesMut;

use super::ahead::ReadAhead;
use super::below::Below;
use super::joined::Piece;
use super::value::{FilePointer, ValueRef};
use super::view::View;
use crate::journal::{Journal, JournalPointer, ReadError, ReadValue};
use crate::value_file::Filed;

/// Reads values of rows of one group: those in the journal, and those in value files of one moment.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) below: &'a Below,
    /// A disk may be waited for.
    pub(crate) wait: bool,
}

impl Reader<'_> {
    /// The bytes of a user's value, proved by their sum to be this key's.
    pub(crate) fn read(self, key: &[u8], value: &ValueRef) -> Result<ReadValue, ReadError> {
        match value {
            ValueRef::Inline(_) => match value.inline_checked(key) {
                Some(Ok(bytes)) => Ok(ReadValue::Ready(bytes)),
                Some(Err(_)) | None => Err(ReadError::Inline),
            },
            ValueRef::Journal(pointer) => self.in_journal(key, pointer),
            ValueRef::Filed(pointer) => self.in_file(key, pointer),
            ValueRef::Joined(joined) => joined.read(key, |piece| self.piece(key, piece)),
        }
    }

    /// The bytes of a piece of a value.
    pub(crate) fn piece(self, key: &[u8], piece: &Piece) -> Result<ReadValue, ReadError> {
        match piece {
            Piece::Memory(bytes) => Ok(ReadValue::Ready(bytes.clone())),
            Piece::Journal(pointer) => self.in_journal(key, pointer),
            Piece::Filed(pointer) => self.in_file(key, pointer),
        }
    }

    /// Has the next read of a value come from the disk. For whoever would give it up else.
    pub(crate) fn forget(self, value: &ValueRef) -> io::Result<()> {
        match value {
            ValueRef::Inline(_) => Ok(()),
            ValueRef::Journal(pointer) => self.forget_journal(pointer),
            ValueRef::Filed(pointer) => self.forget_filed(pointer),
            ValueRef::Joined(joined) => joined.pieces().iter().try_for_each(|piece| match piece {
                Piece::Memory(_) => Ok(()),
                Piece::Journal(pointer) => self.forget_journal(pointer),
                Piece::Filed(pointer) => self.forget_filed(pointer),
            }),
        }
    }

    fn forget_journal(self, pointer: &JournalPointer) -> io::Result<()> {
        let segment = self.journal.segment(pointer.segment);
        let file = segment.as_ref().and_then(|segment| segment.file());
        file.map_or(Ok(()), |file| {
            file.forget_range(pointer.offset.into(), pointer.stored_len.into())
        })
    }

    fn forget_filed(self, pointer: &FilePointer) -> io::Result<()> {
        let file = self.below.values().get(&pointer.file);
        file.map_or(Ok(()), |file| {
            let file = file.file();
            file.forget_range(pointer.offset.into(), pointer.stored_len.into())
        })
    }

    fn in_journal(self, key: &[u8], pointer: &JournalPointer) -> Result<ReadValue, ReadError> {
        if self.wait {
            let bytes = self.journal.read_value_blocking(pointer, key);
            return bytes.map(ReadValue::Ready);
        }
        self.journal.read_value(pointer, key)
    }

    fn in_file(self, key: &[u8], pointer: &FilePointer) -> Result<ReadValue, ReadError> {
        let file = self.below.values().get(&pointer.file);
        let file = file.ok_or(ReadError::NoValueFile { file: pointer.file })?;
        file.read(&Filed::from(*pointer), key, self.wait)
    }
}

impl From<FilePointer> for Filed {
    fn from(pointer: FilePointer) -> Self {
        let FilePointer {
            offset,
            stored_len,
            len,
            codec,
            vcrc,
            ..
        } = pointer;
        Self {
            offset,
            stored_len,
            len,
            codec,
            vcrc,
        }
    }
}

impl View {
    /// Reads the value of a row that this view gave, wherever it stands, and checks it against its key. Without `wait` a
    /// disk is not waited for.
    pub fn read_value(
        &self,
        journal: &Journal,
        key: &[u8],
        value: &ValueRef,
        wait: bool,
    ) -> Result<ReadValue, ReadError> {
        let below = &self.layers().below;
        Reader { journal, below, wait }.read(key, value)
    }

    /// As [`View::read_value`], for rows that come in order: appends the value to `out`, proved to be this key's. False if it had to
    /// wait for a disk and must not. After an error, and after false, `out` is as it was. What is read with it for the rows
    /// that follow stays in `ahead`, which belongs to one walk over one view.
    ///
    /// A value that would have to be read alone from a disk is taken from the cache of rows if it has it; nothing is left there.
    pub fn append_value(
        &self,
        journal: &Journal,
        (key, version, value): (&[u8], Version, &ValueRef),
        wait: bool,
        ahead: &mut ReadAhead,
        out: &mut BytesMut,
    ) -> Result<bool, ReadError> {
        if ahead.append_held(key, value, out)? {
            return Ok(true);
        }
        let below = &self.layers().below;
        let reader = |wait| Reader { journal, below, wait };
        // Those in value files mostly stand side by side, and looking them up would cost more than reading them.
        if let ValueRef::Inline(_) | ValueRef::Filed(_) = value {
            return ahead.append(reader(wait), key, value, out);
        }
        // The same is true of bytes that the operating system has in memory, and of few other rows that a walk meets.
        let warm = ahead.append(reader(false), key, value, out);
        if let Ok(true) = warm {
            return warm;
        }
        if let Some(bytes) = self.cached_value(key, version) {
            out.extend_from_slice(&bytes);
            return Ok(true);
        }
        match warm {
            Ok(_) if wait => ahead.append(reader(true), key, value, out),
            warm => warm,
        }
    }
}
