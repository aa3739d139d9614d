//! Writes a run in one pass.

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use atoll_env::vfs::File;
use atoll_types::{LogId, Mutant, Version, mutant};

use super::block::{BLOCK_LEN_MAX, BLOCK_TARGET, BlockBuilder, common_len, row_order};
use super::filter::{self, Filter};
use super::layout::{Footer, HEADER_LEN, Header, Section, sum};
use super::section::PIECE_LEN;
use super::sparse::SparseBuilder;
use super::summary::{RunSummary, SUMMARY_LEN_MAX, Tally};
use super::value::RowValue;
use super::{ROW_KEY_MAX, RunIdentity, SPACE_SYSTEM};

/// Bytes gathered before they are written.
const CHUNK: usize = 256 * 1024;
/// Hashes for which there is room from the start, at most; more grow it.
const HASHES_RESERVED_MAX: usize = 4 * 1024 * 1024;

/// Writes rows, which must come in order, into a new file.
///
/// It holds, besides a few hundred kilobytes: eight bytes for each different key, for the filter, and a key and
/// sixteen bytes for each block. The file is nothing until [`RunWriter::finish`] has returned: after any
/// error, or if a call was abandoned before it returned, throw it away.
pub struct RunWriter {
    file: Arc<dyn File>,
    salt: u64,
    /// Bytes not written yet, and where they go.
    out: Vec<u8>,
    written: u64,
    block: BlockBuilder,
    index: SparseBuilder,
    hashes: Vec<u64>,
    tally: Tally,
    /// Some value is packed.
    packed: bool,
    last_key: Vec<u8>,
    last_version: Version,
    value: Vec<u8>,
    /// A write failed, or did not come to its end.
    broken: bool,
}

impl RunWriter {
    /// Starts a run in an empty file. `salt` must be random; `expected_rows` only saves growing.
    pub fn create(file: Arc<dyn File>, identity: RunIdentity, salt: u64, expected_rows: usize) -> Self {
        let mut out = Vec::with_capacity(CHUNK + BLOCK_TARGET);
        out.extend_from_slice(&Header { identity, salt }.encode());
        Self {
            file,
            salt,
            out,
            written: 0,
            block: BlockBuilder::default(),
            index: SparseBuilder::default(),
            hashes: Vec::with_capacity(expected_rows.min(HASHES_RESERVED_MAX)),
            tally: Tally::default(),
            packed: false,
            last_key: Vec::new(),
            last_version: Version::ZERO,
            value: Vec::new(),
            broken: false,
        }
    }

    /// Bytes of the file so far, about; filter and index not counted.
    pub fn bytes(&self) -> u64 {
        self.end()
    }

    /// Adds a row. `InvalidInput`, and nothing is added, if it does not come behind the one before (a later key, or
    /// the same key and an older version), if its key has no known space or more than 4,097 bytes, or if its
    /// value is longer than 4 MiB.
    pub async fn add(&mut self, key: &[u8], version: Version, value: RowValue<'_>) -> io::Result<()> {
        self.check_whole()?;
        if key.len() > ROW_KEY_MAX || key.first().is_none_or(|space| *space > SPACE_SYSTEM) || !value.fits() {
            return Err(refused("a row's key or value is out of bounds"));
        }
        // An empty key is before every other, and is that of no row.
        let common = common_len(&self.last_key, key);
        let keys = self.last_key.get(common..).cmp(&key.get(common..));
        if row_order(keys, self.last_version, version) != Ordering::Less {
            return Err(refused("a row does not come behind the one before"));
        }
        self.value.clear();
        value.encode(&mut self.value);
        // Before anything is done for its sake: the end of a block tells which key comes next.
        if BlockBuilder::len_of_one(key.len() + self.value.len()) > BLOCK_LEN_MAX {
            return Err(refused("a row does not fit into a block"));
        }
        let row = key.len() - common + self.value.len();
        if !self.block.is_empty() && self.block.len_with(row) > BLOCK_TARGET {
            self.cut(Some(key))?;
        }
        self.block.push(key, common, version, &self.value);
        self.tally.count(key, version, value);
        self.packed |= value.is_packed();
        if keys == Ordering::Equal {
            self.tally.count_replaced(key, self.last_version);
        } else {
            self.hashes.push(filter::hash(key, self.salt));
            self.last_key.truncate(common);
            self.last_key
                .extend_from_slice(key.get(common..).unwrap_or_default());
        }
        self.last_version = version;
        if self.out.len() >= CHUNK {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what is left and makes the file durable; its name is for the caller to make so. `covers` is the
    /// last entry of the group's log that this run and those before it hold.
    pub async fn finish(mut self, covers: LogId) -> io::Result<RunSummary> {
        self.check_whole()?;
        if !self.block.is_empty() {
            self.cut(None)?;
        }
        let filter = Filter::of(&std::mem::take(&mut self.hashes), self.salt);
        let filter = self.section(filter.bytes(), filter.pieces(PIECE_LEN)).await?;
        let index = std::mem::take(&mut self.index);
        let blocks = index.blocks();
        let index = self.whole_section(&index.finish()).await?;
        let mut summary = std::mem::take(&mut self.tally).finish(&self.last_key, covers);
        let encoded = summary.encode();
        if encoded.len() > SUMMARY_LEN_MAX {
            return Err(refused("a run points into too many files"));
        }
        let footer = Footer {
            filter,
            index,
            blocks,
            packed: self.packed,
            history: summary.replaced > 0,
            summary: self.whole_section(&encoded).await?,
            file_len: self.end() + super::layout::FOOTER_LEN as u64,
        };
        let (bytes, crc) = footer.encode(self.salt);
        self.out.extend_from_slice(&bytes);
        self.flush().await?;
        if !mutant::is(Mutant::RunNotSynced) {
            self.file.sync().await?;
        }
        summary.file_len = footer.file_len;
        summary.footer_crc = crc;
        Ok(summary)
    }

    /// Where the next byte goes.
    fn end(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// Ends the block. `next` is the key that comes behind it.
    fn cut(&mut self, next: Option<&[u8]>) -> io::Result<()> {
        let (start, offset) = (self.out.len(), self.end());
        debug_assert!(offset >= HEADER_LEN as u64, "blocks stand behind the header");
        self.block.finish(&mut self.out);
        let sum = sum(self.salt, offset, self.out.get(start..).unwrap_or_default());
        self.out.extend_from_slice(&sum.to_le_bytes());
        let len = (self.out.len() - start) as u32;
        self.index
            .push(len, (&self.last_key, self.last_version), next)
            .ok_or_else(|| {
                self.broken = true;
                refused("a run has too many blocks")
            })
    }

    async fn whole_section(&mut self, content: &[u8]) -> io::Result<Section> {
        self.section(content.len() as u64, content.chunks(PIECE_LEN))
            .await
    }

    async fn section(
        &mut self,
        len: u64,
        pieces: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> io::Result<Section> {
        let offset = self.end();
        let mut sums = crc32fast::Hasher::new();
        for piece in pieces {
            let sum = sum(self.salt, self.end(), piece.as_ref()).to_le_bytes();
            sums.update(&sum);
            self.out.extend_from_slice(piece.as_ref());
            self.out.extend_from_slice(&sum);
            self.flush().await?;
        }
        Ok(Section {
            offset,
            len,
            sums: sums.finalize(),
        })
    }

    async fn flush(&mut self) -> io::Result<()> {
        // Stays so if the write fails, and if nobody waits for its end.
        self.broken = true;
        self.file.write_at(&self.out, self.written).await?;
        self.broken = false;
        self.written = self.end();
        self.out.clear();
        Ok(())
    }

    fn check_whole(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(
                "the run cannot be finished: a write of it failed",
            ));
        }
        Ok(())
    }
}

fn refused(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
