//! Reads values out of a value file.

use std::io;
use std::sync::Arc;

use atoll_env::vfs::File;
use atoll_types::{Codec, Mutant, mutant};
use bytes::Bytes;

use super::format::{HEADER_LEN, Header, HeaderError, STORED_LEN_MAX, ValueFileId};
use super::records::FiledRecords;
use crate::codec::{UNPACKED_AT_ONCE_MAX, unpacked};
use crate::journal::{ReadError, ReadValue, value_crc};

/// Where a value stands in a value file: what a row's pointer says, but for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Offset of the stored bytes in the file.
    pub offset: u32,
    /// How many there are.
    pub stored_len: u32,
    /// Bytes of the value.
    pub len: u32,
    /// What makes the value of what is stored.
    pub codec: Codec,
    /// [`value_crc`] of key and value.
    pub vcrc: u32,
}

/// Why a value file cannot be used, or a record of it not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueFileError {
    /// The operating system could not read.
    #[error("a value file could not be read")]
    Io(#[from] io::Error),
    /// The bytes are not those that were written.
    #[error("value file {number} is damaged at offset {offset}: {what}")]
    Damaged {
        /// Number of the file.
        number: u32,
        /// Where: 0 the header, else a record or the footer.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// It is another file than the manifest says.
    #[error("this is {found}, not {expected}")]
    Foreign {
        /// What its header says.
        found: Box<ValueFileId>,
        /// What was expected.
        expected: Box<ValueFileId>,
    },
    /// Another version of this program wrote it.
    #[error("value file {number} cannot be read by this version: {what}")]
    Unsupported {
        /// Number of the file.
        number: u32,
        /// What is unknown about it.
        what: String,
    },
}

/// A whole value file, open for reading.
pub struct ValueFile {
    pub(super) file: Arc<dyn File>,
    pub(super) number: u32,
    pub(super) salt: u64,
    pub(super) len: u64,
}

impl ValueFile {
    /// Opens a file that a manifest names, in its full length; waits for the disk. Looks at nothing but the header.
    pub fn open(file: Arc<dyn File>, expected: ValueFileId) -> Result<Self, ValueFileError> {
        let number = expected.number;
        let mut block = vec![0; HEADER_LEN];
        let read = file.read_at(&mut block, 0)?;
        block.truncate(read);
        let header = Header::decode(&block).map_err(|error| match error {
            HeaderError::Bad => ValueFileError::Damaged {
                number,
                offset: 0,
                what: "the header does not match its checksum",
            },
            HeaderError::Unsupported(what) => ValueFileError::Unsupported { number, what },
        })?;
        if header.id != expected {
            return Err(ValueFileError::Foreign {
                found: Box::new(header.id),
                expected: Box::new(expected),
            });
        }
        Ok(Self {
            number,
            salt: header.salt,
            len: file.len()?,
            file,
        })
    }

    /// Bytes of the file.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// The file itself; holding it is the pin. What is read of it proves nothing.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Reads and checks a value; with `wait` false only if that needs no disk and not long to unpack. A mismatch is read
    /// again once: a disk may have slipped.
    pub fn read(&self, place: &Filed, key: &[u8], wait: bool) -> Result<ReadValue, ReadError> {
        let end = u64::from(place.offset) + u64::from(place.stored_len);
        let (stored_len, len) = (place.stored_len as usize, place.len as usize);
        if !place.codec.admits(stored_len, len) || stored_len > STORED_LEN_MAX || end > self.len {
            return Err(self.corrupt(place));
        }
        if place.codec != Codec::None && !wait && len > UNPACKED_AT_ONCE_MAX {
            return Ok(ReadValue::WouldBlock);
        }
        for _ in 0..2 {
            let Some(stored) = self.fetch(place, wait)? else {
                return Ok(ReadValue::WouldBlock);
            };
            let proved =
                |value: &Bytes| value_crc(key, value) == place.vcrc || mutant::is(Mutant::ValueUnchecked);
            if let Some(value) = unpacked(place.codec, stored, len).filter(proved) {
                return Ok(ReadValue::Ready(value));
            }
        }
        tracing::error!(
            file = self.number,
            ?place,
            "a value in a value file does not match its checksum"
        );
        Err(self.corrupt(place))
    }

    fn fetch(&self, place: &Filed, wait: bool) -> Result<Option<Bytes>, ReadError> {
        let mut buffer = vec![0; place.stored_len as usize];
        let read = if wait {
            Some(self.file.read_at(&mut buffer, u64::from(place.offset))?)
        } else {
            self.file.try_read_at(&mut buffer, u64::from(place.offset))?
        };
        match read {
            Some(read) if read == buffer.len() => Ok(Some(Bytes::from(buffer))),
            Some(_) => Err(self.corrupt(place)),
            None => Ok(None),
        }
    }

    fn corrupt(&self, place: &Filed) -> ReadError {
        ReadError::Filed {
            file: self.number,
            offset: place.offset,
            len: place.stored_len,
        }
    }

    /// All records from the first on, and then the footer, checked; waits for the disk.
    pub fn records(&self) -> FiledRecords<'_> {
        FiledRecords::new(self)
    }
}
