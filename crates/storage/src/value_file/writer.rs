//! Writes a value file from its beginning to its end.

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use atoll_env::Env;
use atoll_env::vfs::File;
use atoll_types::limits::KEY_BYTES_MAX;
use atoll_types::{Codec, Mutant, Version, mutant};
use crc32fast::Hasher;

use super::Filed;
use super::format::{
    FILE_LEN_MAX, FOOTER_LEN, Footer, HEADER_LEN, Header, RECORD_HEADER_LEN, RecordHeader, STORED_LEN_MAX,
    StoredValue, ValueFileId,
};
use crate::codec::Packer;
use crate::journal::value_crc;

/// Bytes written at once.
const CHUNK: usize = 256 * 1024;

/// Writes one value file. After an error, or if a future of it is dropped before its end, it refuses to go
/// on: nobody knows what the file holds, so it is to be given up.
pub struct ValueWriter {
    file: Arc<dyn File>,
    salt: u64,
    packer: Arc<Packer>,
    /// Not written yet; at most a chunk and one record.
    buffer: Vec<u8>,
    /// Where the buffer will stand.
    buffer_at: u64,
    footer: Footer,
    sums: Hasher,
    value_bytes: u64,
    last: Option<(Vec<u8>, Version)>,
    pub(super) len_max: u64,
    failed: bool,
}

/// A value file that was written whole and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedValues {
    /// Bytes of the file.
    pub len: u64,
    /// Values in it.
    pub records: u64,
    /// Bytes stored of these, without keys and what surrounds them.
    pub value_bytes: u64,
}

impl ValueWriter {
    /// Begins in an empty file. Nothing is written yet. `packer` packs the values.
    pub fn create(env: &Env, file: Arc<dyn File>, id: ValueFileId, packer: Arc<Packer>) -> io::Result<Self> {
        if !file.is_empty()? {
            return Err(invalid("a value file begins empty"));
        }
        let header = Header {
            id,
            salt: env.rng.bits64(),
            created_ms: env.clock.wall_ms(),
            packed: packer.packs(),
        };
        Ok(Self {
            file,
            salt: header.salt,
            packer,
            buffer: header.encode(),
            buffer_at: 0,
            footer: Footer::default(),
            sums: Hasher::new(),
            value_bytes: 0,
            last: None,
            len_max: FILE_LEN_MAX,
            failed: false,
        })
    }

    /// Whether a value of so many bytes, packed or not, still fits into this file. If not, it begins the next one.
    pub fn fits(&self, key_len: usize, value_len: usize) -> bool {
        let record = (RECORD_HEADER_LEN + FOOTER_LEN)
            .saturating_add(key_len)
            .saturating_add(value_len);
        self.end().saturating_add(record as u64) <= self.len_max
    }

    /// Bytes of the file so far.
    pub fn len(&self) -> u64 {
        self.end()
    }

    /// True until the first value.
    pub fn is_empty(&self) -> bool {
        self.footer.records == 0
    }

    fn end(&self) -> u64 {
        self.buffer_at + self.buffer.len() as u64
    }

    /// Adds a value: keys ascending, versions of one key descending, else `InvalidInput`. `FileTooLarge` if it does
    /// not fit. Returns where it will stand; that is a place only once the file is published and named.
    pub async fn add(&mut self, key: &[u8], version: Version, value: &[u8]) -> io::Result<Filed> {
        self.check(key, version, value)?;
        let offset = self.end() as u32;
        let packed = self.packer.pack(value);
        let stored = packed.as_ref().map_or(value, |packed| &packed.stored);
        let codec = packed.as_ref().map_or(Codec::None, |packed| packed.codec);
        let (stored_len, len) = (stored.len() as u32, value.len() as u32);
        let record = StoredValue {
            codec,
            bytes: stored,
            len,
        };
        let crc = RecordHeader::append(&mut self.buffer, (self.salt, offset), version, key, record);
        self.sums.update(&crc.to_le_bytes());
        self.footer.records += 1;
        self.footer.bytes += (RECORD_HEADER_LEN + key.len() + stored.len()) as u64;
        self.value_bytes += u64::from(stored_len);
        let (last, last_version) = self.last.get_or_insert_default();
        last.clear();
        last.extend(key);
        *last_version = version;
        if self.buffer.len() >= CHUNK {
            self.write().await?;
        }
        Ok(Filed {
            offset: offset + (RECORD_HEADER_LEN + key.len()) as u32,
            stored_len,
            len,
            codec,
            vcrc: value_crc(key, value),
        })
    }

    fn check(&self, key: &[u8], version: Version, value: &[u8]) -> io::Result<()> {
        self.check_sound()?;
        if key.len() > KEY_BYTES_MAX || value.len() > STORED_LEN_MAX {
            return Err(invalid("a key or a value is too long for a value file"));
        }
        let follows = |(last, newer): &(Vec<u8>, Version)| match last.as_slice().cmp(key) {
            Ordering::Less => true,
            Ordering::Equal => version < *newer,
            Ordering::Greater => false,
        };
        if !self.last.as_ref().is_none_or(follows) {
            return Err(invalid("values are not in the order of their rows"));
        }
        if !self.fits(key.len(), value.len()) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }

    fn check_sound(&self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other(
                "this value file could not be written and is to be given up",
            ));
        }
        Ok(())
    }

    async fn write(&mut self) -> io::Result<()> {
        self.failed = true;
        self.file.write_at(&self.buffer, self.buffer_at).await?;
        self.failed = false;
        self.buffer_at = self.end();
        self.buffer.clear();
        self.buffer.shrink_to(2 * CHUNK);
        Ok(())
    }

    /// Writes the rest and the footer, and syncs.
    pub async fn finish(mut self) -> io::Result<FinishedValues> {
        self.check_sound()?;
        self.footer.sums = self.sums.clone().finalize();
        let footer = self.footer.encode(self.salt, self.end() as u32);
        self.buffer.extend(footer);
        self.write().await?;
        if !mutant::is(Mutant::ValuesNotSynced) {
            self.file.sync().await?;
        }
        debug_assert_eq!(
            self.buffer_at,
            (HEADER_LEN + FOOTER_LEN) as u64 + self.footer.bytes
        );
        Ok(FinishedValues {
            len: self.buffer_at,
            records: self.footer.records,
            value_bytes: self.value_bytes,
        })
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
