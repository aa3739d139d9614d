//! A file system whose files are sealed, where they hold users' data.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::vfs::{File, OpenMode};
use atoll_env::{Rng, Vfs};
use parking_lot::Mutex;

use super::file::SealedFile;
use super::is_sealed_place;
use super::keys::KeyRing;
use super::page::CONTENT;

/// Buffers kept, at most, and bytes of each.
const BUFFERS_MAX: usize = 4;
const BUFFER_BYTES_MAX: usize = 5 * 1024 * 1024;

/// What all open files share.
pub(super) struct Shared {
    pub(super) keys: Arc<KeyRing>,
    pub(super) rng: Rng,
    pub(super) buffers: Buffers,
}

/// Buffers for pages on their way: a large one that is made anew each time costs more than the cipher.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    pub(super) fn give(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock();
        if kept.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            kept.push(buffer);
        }
    }
}

/// A file system in which the files of one data directory that hold users' data (`journal/` and `groups/`) are sealed.
/// Everything else is as it is below.
pub struct SealedVfs {
    below: Arc<dyn Vfs>,
    data: PathBuf,
    shared: Arc<Shared>,
}

impl SealedVfs {
    /// Over `below`, for the data directory `data`.
    pub fn new(below: Arc<dyn Vfs>, data: &Path, keys: Arc<KeyRing>, rng: Rng) -> Self {
        let buffers = Buffers::default();
        Self {
            below,
            data: data.to_owned(),
            shared: Arc::new(Shared { keys, rng, buffers }),
        }
    }
}

impl Vfs for SealedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.below.open(path, mode)?;
        if !is_sealed_place(&self.data, path) {
            return Ok(file);
        }
        let sealed = SealedFile::open(file, path, mode, Arc::clone(&self.shared))?;
        Ok(Arc::new(sealed))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.below.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.below.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.below.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.below.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.below.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.below.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.below.free_bytes(dir)
    }

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.below.total_bytes(dir)
    }

    fn seals(&self, dir: &Path) -> bool {
        is_sealed_place(&self.data, dir) || self.below.seals(dir)
    }

    fn block_bytes(&self, dir: &Path) -> u32 {
        if is_sealed_place(&self.data, dir) {
            CONTENT as u32
        } else {
            self.below.block_bytes(dir)
        }
    }
}
