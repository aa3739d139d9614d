//! A disk that takes segments of the journal away without the journal knowing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use atoll_env::vfs::{File, MemVfs, OpenMode};
use atoll_env::{BoxFuture, Vfs};

use super::Process;

#[derive(Default)]
struct State {
    /// Reads of older segments give other bytes.
    hidden: AtomicU32,
    /// Reads of this segment fail; 0: of none.
    refused: AtomicU32,
    /// Reads of this value file fail; 0: of none.
    values_refused: AtomicU32,
    /// Until they are forgotten, what is in memory of value files and of segments that are not written to is wrong.
    stale: AtomicBool,
    /// Operations in the folders of groups that change something, so far, and the one that fails.
    seen: AtomicU64,
    fails: AtomicU64,
    full: AtomicBool,
}

/// Passes everything on, but for reads of hidden segments, and what is told to fail.
#[derive(Clone)]
pub(super) struct Veil {
    pub(super) inner: MemVfs,
    state: Arc<State>,
}

impl Veil {
    pub(super) fn over(inner: MemVfs) -> Self {
        Self {
            inner,
            state: Arc::default(),
        }
    }

    pub(super) fn process(&self) -> Process {
        Process::through(self.inner.clone(), Arc::new(self.clone()))
    }

    /// With threads and time of the operating system.
    pub(super) fn real_process(&self) -> Process {
        let mut process = Process::real(self.inner.clone());
        process.env.vfs = Arc::new(self.clone());
        process
    }

    /// Segments older than this are as good as gone.
    pub(super) fn hide(&self, before: u32) {
        self.state.hidden.store(before, Ordering::Relaxed);
    }

    pub(super) fn hidden(&self) -> u32 {
        self.state.hidden.load(Ordering::Relaxed)
    }

    /// The disk does not read this segment; 0: it reads all.
    pub(super) fn refuse(&self, segment: u32) {
        self.state.refused.store(segment, Ordering::Relaxed);
    }

    /// The same of a value file.
    pub(super) fn refuse_values(&self, number: u32) {
        self.state.values_refused.store(number, Ordering::Relaxed);
    }

    /// What is in memory of all that stands in files is wrong, until it is let go of.
    pub(super) fn spoil_memory(&self) {
        self.state.stale.store(true, Ordering::Relaxed);
    }

    /// One operation fails, that which comes after so many others.
    pub(super) fn arm(&self, after: u64, full: bool) {
        self.state.full.store(full, Ordering::Relaxed);
        self.state.fails.store(self.seen() + after + 1, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> u64 {
        self.state.seen.load(Ordering::Relaxed)
    }

    fn step(&self, path: &Path) -> io::Result<()> {
        if !path.starts_with("/data/groups") {
            return Ok(());
        }
        let seen = self.state.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen != self.state.fails.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(if self.state.full.load(Ordering::Relaxed) {
            io::ErrorKind::StorageFull.into()
        } else {
            io::Error::other("the disk failed once")
        })
    }
}

impl Vfs for Veil {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode == OpenMode::CreateNew {
            self.step(path)?;
        }
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let extension = path.extension().unwrap_or_default();
        let segment = (extension == "jnl" || path.starts_with("/data/journal"))
            .then(|| u32::from_str_radix(name, 16).ok())
            .flatten();
        Ok(Arc::new(VeiledFile {
            inner: self.inner.open(path, mode)?,
            values: name
                .strip_prefix("v-")
                .and_then(|number| u32::from_str_radix(number, 16).ok()),
            path: path.to_owned(),
            segment,
            fresh: AtomicBool::new(false),
            veil: self.clone(),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(path)?;
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(dir)?;
        self.inner.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.inner.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_bytes(dir)
    }
}

struct VeiledFile {
    inner: Arc<dyn File>,
    path: std::path::PathBuf,
    segment: Option<u32>,
    values: Option<u32>,
    /// What was in memory of it was let go of.
    fresh: AtomicBool,
    veil: Veil,
}

impl VeiledFile {
    fn check(&self) -> io::Result<()> {
        let state = &self.veil.state;
        let refused = state.refused.load(Ordering::Relaxed);
        let values = state.values_refused.load(Ordering::Relaxed);
        if self.segment.is_some_and(|id| id == refused) || self.values.is_some_and(|id| id == values) {
            return Err(io::Error::other("the disk refuses to read"));
        }
        Ok(())
    }

    fn cover(&self, bytes: &mut [u8]) {
        let stale = self.veil.state.stale.load(Ordering::Relaxed) && !self.fresh.load(Ordering::Relaxed);
        let stale = stale && (self.segment.is_some() || self.values.is_some());
        if stale || self.segment.is_some_and(|id| id < self.veil.hidden()) {
            for byte in bytes {
                *byte = !*byte;
            }
        }
    }
}

impl File for VeiledFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check()?;
        let read = self.inner.read_at(buffer, offset)?;
        self.cover(buffer);
        Ok(read)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.check()?;
        let read = self.inner.try_read_at(buffer, offset)?;
        self.cover(buffer);
        Ok(read)
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        match self.veil.step(&self.path) {
            Ok(()) => self.inner.write_at(bytes, offset),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        match self.veil.step(&self.path) {
            Ok(()) => self.inner.sync(),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.fresh.store(true, Ordering::Relaxed);
        self.inner.forget_cached()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}
