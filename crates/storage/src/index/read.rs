//! From where a value stands to its bytes.

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
            vcrc,
            ..
        } = pointer;
        Self {
            offset,
            stored_len,
            len,
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
}
