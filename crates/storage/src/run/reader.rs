//! Opens a run and looks for rows.

use std::fmt;
use std::sync::Arc;

use atoll_env::vfs::File;
use atoll_types::Version;
use bytes::Bytes;

use super::block::{BLOCK_SUM_LEN, Block};
use super::cache::BlockCache;
use super::filter::{Filter, LINE_LEN};
use super::layout::{FOOTER_LEN, Footer, HEADER_LEN, Header, Section, sum};
use super::sparse::{BlockPlace, SparseIndex};
use super::summary::{RunSummary, SUMMARY_LEN_MAX};
use super::value::RunValue;
use super::{RunError, RunIdentity};
use crate::journal::ReadError;

/// What was found of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// No version that is old enough.
    Absent,
    /// The newest version that is old enough. A tombstone is one too: it hides what older runs have.
    Row(Version, RunValue),
    /// A block is not in memory: ask again with `wait`, on a thread that may.
    WouldBlock,
}

/// An open run. Filter and index of blocks are in memory; blocks are read as they are needed.
pub struct Run {
    file: Arc<dyn File>,
    identity: RunIdentity,
    salt: u64,
    filter: Filter,
    index: SparseIndex,
    summary: RunSummary,
    cache: Arc<BlockCache>,
    /// Under which number the cache knows it.
    cached_as: u64,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunIdentity { group, number, .. } = self.identity;
        write!(f, "Run({number} of group {group}, {} rows)", self.summary.entries)
    }
}

impl Run {
    /// Opens a run. Everything but the blocks is read and checked, which waits for the disk. Memory: filter and
    /// index, as long as they are in the file, and never more than the file has.
    pub fn open(
        file: Arc<dyn File>,
        expected: RunIdentity,
        cache: Arc<BlockCache>,
    ) -> Result<Self, RunError> {
        let file_len = file.len()?;
        let damaged = |part, offset| RunError::Damaged { part, offset };
        let Some(footer_at) = file_len
            .checked_sub(FOOTER_LEN as u64)
            .filter(|at| *at >= HEADER_LEN as u64)
        else {
            return Err(damaged("the footer", file_len));
        };
        let mut bytes = vec![0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0)?;
        let Header { identity, salt } = Header::decode(&bytes)?;
        if identity != expected {
            return Err(RunError::Foreign {
                found: identity.into(),
            });
        }
        bytes.resize(FOOTER_LEN, 0);
        file.read_exact_at(&mut bytes, footer_at)?;
        let (footer, footer_crc) = Footer::decode(&bytes, salt, file_len)?;
        let Footer {
            filter,
            index,
            summary,
            ..
        } = footer;
        // One part ends where the next begins, so all lie in the file and no byte is left out.
        let without_gaps = filter.end() == Some(index.offset)
            && index.end() == Some(summary.offset)
            && summary.end() == Some(footer_at)
            && summary.len <= SUMMARY_LEN_MAX as u64;
        if !without_gaps {
            return Err(damaged("the footer", footer_at));
        }
        let summary = read_summary(&*file, salt, summary)?;
        if footer.history != (summary.replaced > 0) {
            return Err(damaged("the footer", footer_at));
        }
        Ok(Self {
            filter: read_filter(&*file, salt, filter)?,
            index: read_index(&*file, salt, &footer)?,
            summary: RunSummary {
                file_len,
                footer_crc,
                ..summary
            },
            file,
            identity,
            salt,
            cached_as: cache.register(),
            cache,
        })
    }

    /// What it holds, in numbers.
    pub fn summary(&self) -> &RunSummary {
        &self.summary
    }

    /// Whose it is, and which.
    pub fn identity(&self) -> RunIdentity {
        self.identity
    }

    /// Its file. Holding it is the pin.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Bytes of memory that filter and index hold.
    pub fn memory_bytes(&self) -> usize {
        self.filter.bytes() as usize + self.index.memory_bytes()
    }

    /// The newest version of a key that is not above `at`. Without `wait` no disk is waited for. `key` begins
    /// with its space.
    pub fn get(&self, key: &[u8], at: Version, wait: bool) -> Result<Looked, ReadError> {
        if !self.filter.may_hold(key) {
            return Ok(Looked::Absent);
        }
        let number = self.index.find(key, at);
        let Some(place) = self.index.place(number) else {
            return Ok(Looked::Absent);
        };
        let Some(block) = self.block(place, wait, true)? else {
            return Ok(Looked::WouldBlock);
        };
        self.find_in((place, &block), key, at)
    }

    /// The same of the block that the row must stand in.
    pub(super) fn find_in(
        &self,
        (place, block): (BlockPlace, &Block),
        key: &[u8],
        at: Version,
    ) -> Result<Looked, ReadError> {
        let bound = block.lower_bound(key, at).map_err(|_| self.corrupt(place))?;
        let Some((version, value)) = bound.hit else {
            return Ok(Looked::Absent);
        };
        let value = RunValue::decode(block.bytes(), value).ok_or_else(|| self.corrupt(place))?;
        Ok(Looked::Row(version, value))
    }

    /// True if the key may be here.
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        self.filter.may_hold(key)
    }

    pub(super) fn index(&self) -> &SparseIndex {
        &self.index
    }

    /// A block, checked; `None` if that would need a disk and must not. With `keep` it goes into the cache.
    pub(super) fn block(
        &self,
        place: BlockPlace,
        wait: bool,
        keep: bool,
    ) -> Result<Option<Block>, ReadError> {
        if let Some(block) = self.cache.get(self.cached_as, place.offset) {
            return Ok(Some(block));
        }
        let Some(bytes) = self.read_block(place, wait)? else {
            return Ok(None);
        };
        let block = Block::new(bytes).map_err(|_| self.corrupt(place))?;
        if keep {
            self.cache.insert(self.cached_as, place.offset, &block);
        }
        Ok(Some(block))
    }

    /// A block from the file. One that does not check is read again once: a disk may have slipped.
    fn read_block(&self, place: BlockPlace, wait: bool) -> Result<Option<Bytes>, ReadError> {
        for _ in 0..2 {
            let mut buffer = vec![0; place.len as usize];
            let read = if wait {
                Some(self.file.read_at(&mut buffer, place.offset)?)
            } else {
                self.file.try_read_at(&mut buffer, place.offset)?
            };
            let Some(read) = read else {
                return Ok(None);
            };
            if let Some(bytes) = self.checked(buffer, read, place) {
                return Ok(Some(bytes));
            }
        }
        let error = self.corrupt(place);
        tracing::error!(run = ?self, %error, "a block does not match its checksum");
        Err(error)
    }

    fn checked(&self, mut buffer: Vec<u8>, read: usize, place: BlockPlace) -> Option<Bytes> {
        let (content, own) = buffer.split_last_chunk::<BLOCK_SUM_LEN>()?;
        let sound = read == buffer.len() && sum(self.salt, place.offset, content) == u32::from_le_bytes(*own);
        let len = content.len();
        buffer.truncate(len);
        sound.then(|| buffer.into())
    }

    pub(super) fn corrupt(&self, place: BlockPlace) -> ReadError {
        ReadError::Run {
            run: self.identity.number,
            offset: place.offset,
            len: place.len,
        }
    }
}

fn read_filter(file: &dyn File, salt: u64, section: Section) -> Result<Filter, RunError> {
    const PART: &str = "the filter";
    let mut filter = Filter::empty(salt);
    if !section.len.is_multiple_of(LINE_LEN as u64) {
        return Err(RunError::Damaged {
            part: PART,
            offset: section.offset,
        });
    }
    section.read(file, salt, PART, |piece| filter.extend(piece))?;
    Ok(filter)
}

fn read_index(file: &dyn File, salt: u64, footer: &Footer) -> Result<SparseIndex, RunError> {
    const PART: &str = "the index";
    let section = footer.index;
    let mut bytes = Vec::new();
    section.read(file, salt, PART, |piece| bytes.extend_from_slice(piece))?;
    SparseIndex::decode(bytes, footer.blocks)
        .filter(|index| index.end() == footer.filter.offset)
        .ok_or(RunError::Damaged {
            part: PART,
            offset: section.offset,
        })
}

fn read_summary(file: &dyn File, salt: u64, section: Section) -> Result<RunSummary, RunError> {
    const PART: &str = "the summary";
    let mut bytes = Vec::new();
    section.read(file, salt, PART, |piece| bytes.extend_from_slice(piece))?;
    RunSummary::decode(&bytes).ok_or(RunError::Damaged {
        part: PART,
        offset: section.offset,
    })
}
