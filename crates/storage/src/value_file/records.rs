//! All records of a value file, in order, without an index.

use atoll_types::Version;
use bytes::Bytes;
use crc32fast::Hasher;

use super::format::{FOOTER_LEN, Footer, HEADER_LEN, RECORD_HEADER_LEN, RecordError, RecordHeader};
use super::reader::{Filed, ValueFile, ValueFileError};
use crate::codec::unpacked;
use crate::journal::value_crc;

/// Bytes read at once, unless one record is larger.
const CHUNK: usize = 1024 * 1024;

/// A value with what stands next to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledRecord {
    /// The key, without the space.
    pub key: Bytes,
    /// The version.
    pub version: Version,
    /// The value, unpacked.
    pub value: Bytes,
    /// Where it stands, as a row's pointer has it.
    pub place: Filed,
}

/// Walks through a file. Ends with the first error: where the next record begins is then not known. Ends without
/// one only if the footer agrees with all that was read.
pub struct FiledRecords<'a> {
    file: &'a ValueFile,
    at: u64,
    /// Bytes of the file from `window_at` on.
    window: Vec<u8>,
    window_at: u64,
    seen: Footer,
    sums: Hasher,
    ended: bool,
}

impl<'a> FiledRecords<'a> {
    pub(super) fn new(file: &'a ValueFile) -> Self {
        Self {
            file,
            at: HEADER_LEN as u64,
            window: Vec::new(),
            window_at: 0,
            seen: Footer::default(),
            sums: Hasher::new(),
            ended: false,
        }
    }

    fn record(&mut self) -> Result<Option<FiledRecord>, ValueFileError> {
        let footer_at = self.file.len.checked_sub(FOOTER_LEN as u64);
        let footer_at = footer_at.ok_or_else(|| self.damaged("it ends too early"))?;
        if self.at >= footer_at {
            return self.footer().map(|()| None);
        }
        let offset = self.at as u32;
        let header = self.window(RECORD_HEADER_LEN)?.first_chunk().copied();
        let body = header.as_ref().and_then(RecordHeader::body_len);
        let len = RECORD_HEADER_LEN + body.ok_or_else(|| self.damaged("a record's lengths cannot be"))?;
        if self.at + len as u64 > footer_at {
            return Err(self.damaged("a record goes on into the footer"));
        }
        let salt = self.file.salt;
        let record = self.window(len)?;
        let decoded = RecordHeader::decode((salt, offset), record);
        let record = Bytes::copy_from_slice(record);
        let header = decoded.map_err(|error| match error {
            RecordError::Bad => self.damaged("a record does not match its checksum"),
            RecordError::Unknown => ValueFileError::Unsupported {
                number: self.file.number,
                what: format!("the record at offset {offset} is packed in an unknown way"),
            },
        })?;
        let value_at = RECORD_HEADER_LEN + usize::from(header.key_len);
        let (key, stored) = (
            record.slice(RECORD_HEADER_LEN..value_at),
            record.slice(value_at..),
        );
        let value = unpacked(header.codec, stored, header.len as usize);
        let value = value.ok_or_else(|| self.damaged("a record's value cannot be unpacked"))?;
        self.sums.update(&header.crc.to_le_bytes());
        self.seen.records += 1;
        self.seen.bytes += len as u64;
        self.at += len as u64;
        let place = Filed {
            offset: offset + value_at as u32,
            stored_len: header.stored_len,
            len: header.len,
            codec: header.codec,
            vcrc: value_crc(&key, &value),
        };
        Ok(Some(FiledRecord {
            key,
            version: header.version,
            value,
            place,
        }))
    }

    /// All records are read: the footer must say the same of them.
    fn footer(&mut self) -> Result<(), ValueFileError> {
        self.seen.sums = self.sums.clone().finalize();
        let expected = self.seen.encode(self.file.salt, self.at as u32);
        if self.window(FOOTER_LEN)? != expected {
            return Err(self.damaged("the footer does not agree with the records before it"));
        }
        Ok(())
    }

    /// So many bytes from here.
    fn window(&mut self, len: usize) -> Result<&[u8], ValueFileError> {
        let held = self.window_at + self.window.len() as u64;
        if self.at < self.window_at || self.at + len as u64 > held {
            let left = usize::try_from(self.file.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
            self.window.resize(len.max(CHUNK).min(left), 0);
            let read = self.file.file.read_at(&mut self.window, self.at)?;
            self.window.truncate(read);
            self.window_at = self.at;
        }
        let from = (self.at - self.window_at) as usize;
        let damaged = self.damaged("it ends too early");
        self.window.get(from..from + len).ok_or(damaged)
    }

    fn damaged(&self, what: &'static str) -> ValueFileError {
        ValueFileError::Damaged {
            number: self.file.number,
            offset: self.at,
            what,
        }
    }
}

impl Iterator for FiledRecords<'_> {
    type Item = Result<FiledRecord, ValueFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.record().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
