//! Whether what a row points at is there, and is the row's.

use std::sync::Arc;

use crate::index::{FilePointer, Joined, LOST, Piece, ValueFiles};
use crate::journal::{JournalPointer, ReadError, ReadValue, SegmentTable, value_crc};
use crate::run::RunValue;
use crate::value_file::Filed;

/// What is said of a pointer to [`LOST`].
const GIVEN_UP: &str = "its value was found rotten when it was to be moved, and stands nowhere any more";

/// Where the values of a group's rows stand.
pub(super) struct Values {
    /// `None` without a journal.
    pub(super) journal: Option<Arc<SegmentTable>>,
    /// Those that can be read, by number.
    pub(super) files: ValueFiles,
}

impl Values {
    /// Looks whether a value is there. With `deep` it is read and compared with its sum; inline bytes always are.
    pub(super) fn check(&self, key: &[u8], value: &RunValue, deep: bool) -> Result<(), String> {
        match value {
            RunValue::Tombstone => Ok(()),
            RunValue::Inline { bytes, vcrc } if value_crc(key, bytes) == *vcrc => Ok(()),
            RunValue::Inline { .. } => Err("its bytes do not match their checksum".to_owned()),
            _ if deep => self.read(key, value).map(drop),
            RunValue::Journal(pointer) => self.find_in_journal(pointer),
            RunValue::Filed(pointer) => self.find_filed(pointer),
            RunValue::Joined(joined) => joined.pieces().iter().try_for_each(|piece| match piece {
                Piece::Memory(_) => Ok(()),
                Piece::Journal(pointer) => self.find_in_journal(pointer),
                Piece::Filed(pointer) => self.find_filed(pointer),
            }),
        }
    }

    /// A value, checked against its key; none of a deletion.
    pub(super) fn read(&self, key: &[u8], value: &RunValue) -> Result<Option<Vec<u8>>, String> {
        match value {
            RunValue::Tombstone => Ok(None),
            RunValue::Inline { bytes, vcrc } if value_crc(key, bytes) == *vcrc => Ok(Some(bytes.to_vec())),
            RunValue::Inline { .. } => Err("its bytes do not match their checksum".to_owned()),
            RunValue::Journal(pointer) => self.read_journal(pointer, key).map(Some).map_err(told),
            RunValue::Filed(pointer) => self.read_filed(pointer, key).map(Some).map_err(told),
            RunValue::Joined(joined) => self.read_joined(joined, key).map(Some).map_err(told),
        }
    }

    fn read_joined(&self, joined: &Joined, key: &[u8]) -> Result<Vec<u8>, ReadError> {
        let mut whole = Vec::with_capacity(joined.len() as usize);
        for piece in joined.pieces() {
            match piece {
                Piece::Memory(bytes) => whole.extend_from_slice(bytes),
                Piece::Journal(pointer) => whole.extend(self.read_journal(pointer, key)?),
                Piece::Filed(pointer) => whole.extend(self.read_filed(pointer, key)?),
            }
        }
        if value_crc(key, &whole) == joined.vcrc() {
            Ok(whole)
        } else {
            Err(ReadError::Joined)
        }
    }

    fn find_in_journal(&self, pointer: &JournalPointer) -> Result<(), String> {
        let number = pointer.segment;
        let segment = self.journal.as_ref().and_then(|table| table.get(number));
        let len = segment.and_then(|segment| segment.file()?.len().ok());
        let end = u64::from(pointer.offset) + u64::from(pointer.stored_len);
        match len {
            None if number == LOST => Err(GIVEN_UP.to_owned()),
            None => Err(format!(
                "its value stands in segment {number}, which is not there"
            )),
            Some(len) if end > len => Err(format!("its value stands behind the end of segment {number}")),
            Some(_) => Ok(()),
        }
    }

    fn find_filed(&self, pointer: &FilePointer) -> Result<(), String> {
        let number = pointer.file;
        let end = u64::from(pointer.offset) + u64::from(pointer.stored_len);
        match self.files.get(&number) {
            None => Err(format!(
                "its value stands in value file {number}, which cannot be read"
            )),
            Some(file) if end > file.file_len() => {
                Err(format!("its value stands behind the end of value file {number}"))
            }
            Some(_) => Ok(()),
        }
    }

    fn read_journal(&self, pointer: &JournalPointer, key: &[u8]) -> Result<Vec<u8>, ReadError> {
        let corrupt = || ReadError::Corrupt {
            segment: pointer.segment,
            offset: pointer.offset,
            len: pointer.stored_len,
        };
        let table = self.journal.as_ref().ok_or_else(corrupt)?;
        ready(table.read_value(pointer, key, true)?)
    }

    fn read_filed(&self, pointer: &FilePointer, key: &[u8]) -> Result<Vec<u8>, ReadError> {
        let file = pointer.file;
        let values = self.files.get(&file).ok_or(ReadError::NoValueFile { file })?;
        ready(values.read(&Filed::from(*pointer), key, true)?)
    }
}

fn told(error: ReadError) -> String {
    match error {
        ReadError::Corrupt { segment: LOST, .. } => GIVEN_UP.to_owned(),
        other => other.to_string(),
    }
}

/// Whoever waits is not told to come again.
fn ready(read: ReadValue) -> Result<Vec<u8>, ReadError> {
    match read {
        ReadValue::Ready(bytes) => Ok(bytes.to_vec()),
        ReadValue::WouldBlock => Err(std::io::Error::from(std::io::ErrorKind::WouldBlock).into()),
    }
}
