//! A disk in memory that forgets what a real one may forget.
//!
//! Bytes written are visible at once and durable after [`File::sync`]; names likewise after
//! [`Vfs::sync_dir`] ([`Vfs::create_dir_all`] is durable by itself). [`MemVfs::crash`] decides what
//! becomes of the rest: each un-synced sector alone is kept, lost or torn, each un-synced name
//! alone is there or not. So code that forgets one sync fails in some run, and says which by seed.
//!
//! - Nothing here depends on addresses, hashing or time: the same seed and the same calls give the
//!   same disk.
//! - A dead process cannot write: a handle and all files opened through it end with the crash;
//!   [`MemVfs::crash`] returns the handle of the next process.
//! - Every mutating operation has a number. A test runs once to learn how many there are, then once
//!   for each number with [`MemVfs::freeze_at`], and recovers from every point of the trace.

mod disk;
mod fate;
mod file;
mod ills;
mod inode;
mod names;
mod options;
mod spoil;
#[cfg(test)]
mod tests;

pub use options::{Crash, DiskFaults, DiskTrouble, Fault, MemLatency, MemVfsOptions};

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{File, OpenMode, Vfs};
use disk::Disk;
use file::MemFile;

/// One node's disk, as one process of that node sees it. Clones are the same process.
#[derive(Clone)]
pub struct MemVfs {
    disk: Arc<Mutex<Disk>>,
    latency: Option<MemLatency>,
    generation: u64,
}

impl MemVfs {
    /// An empty disk.
    pub fn new(options: MemVfsOptions) -> Self {
        let disk = Disk::new(&options);
        let latency = options.latency;
        Self {
            generation: disk.generation(),
            disk: Arc::new(Mutex::new(disk)),
            latency,
        }
    }

    /// Ends the process: this handle, its clones and its files fail for ever, locks are released,
    /// a freeze and planned faults are over. What happens to un-synced data is for `crash` to say.
    /// Returns the handle of the next process.
    #[must_use = "only the returned handle can use the disk from now on"]
    pub fn crash(&self, crash: Crash) -> Self {
        let mut disk = self.disk.lock();
        disk.crash(crash);
        Self {
            disk: Arc::clone(&self.disk),
            latency: self.latency.clone(),
            generation: disk.generation(),
        }
    }

    /// Frees the memory of all bytes, whoever still holds a handle. Nothing can be done with the disk
    /// afterwards.
    pub fn destroy(&self) {
        let mut disk = self.disk.lock();
        disk.crash(Crash::LoseAll);
        disk.clear();
    }

    /// A copy of the whole disk, un-synced data and planned faults included, with other luck: to
    /// look at several crashes after one run. Files stay with the original.
    #[must_use = "the original does not change"]
    pub fn fork(&self, seed: u64) -> Self {
        let disk = self.disk.lock().fork(seed);
        Self {
            disk: Arc::new(Mutex::new(disk)),
            latency: self.latency.clone(),
            generation: self.generation,
        }
    }

    /// Mutating operations so far: writes, syncs, allocations, and creations, renames, removals and
    /// syncs of names. Creating a folder counts as one.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations()
    }

    /// Makes operation number `operation` (the first is 1) fail, half done, and every operation
    /// after it fail too, until the crash.
    pub fn freeze_at(&self, operation: u64) {
        self.disk.lock().freeze_at(operation);
    }

    /// True once every operation fails.
    pub fn is_frozen(&self) -> bool {
        self.disk.lock().is_frozen()
    }

    /// Makes the next matching operation on a file whose path contains `path` fail. Faults queue up.
    pub fn fail_next(&self, fault: Fault, path: &str) {
        self.disk.lock().ills.plan(fault, path);
    }

    /// How the disk misbehaves from now on, whatever process uses it.
    pub fn set_trouble(&self, trouble: DiskTrouble) {
        self.disk.lock().ills.trouble = trouble;
    }

    /// What it did so far.
    pub fn faults(&self) -> DiskFaults {
        self.disk.lock().ills.counted
    }

    /// Flips one bit, somewhere in the durable bytes of the files whose path contains `path`. Returns
    /// where, or nothing if there is no such byte.
    pub fn flip_somewhere(&self, path: &str) -> Option<(PathBuf, u64)> {
        self.disk.lock().flip_somewhere(path)
    }

    /// Leaves this much room; what goes beyond fails with `StorageFull`.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.disk.lock().set_free_bytes(bytes);
    }

    /// Flips a bit at rest. Panics if there is no such byte: a test that damages nothing is wrong.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        self.disk
            .lock()
            .file_mut(path)
            .expect("there is such a file")
            .flip_bit(offset, bit);
    }

    /// Cuts or zero-extends a file at rest. Panics if there is no such file.
    pub fn truncate(&self, path: &Path, len: u64) {
        self.disk
            .lock()
            .file_mut(path)
            .expect("there is such a file")
            .set_len_at_rest(len);
    }

    /// What a file would hold if every un-synced byte were lost now.
    pub fn durable_bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.disk.lock().durable_bytes(path)
    }

    /// The disk for this process, if both are alive.
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.lock();
        disk.check(self.generation)?;
        Ok(disk)
    }
}

impl fmt::Debug for MemVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemVfs(process {})", self.generation)
    }
}

impl Default for MemVfs {
    fn default() -> Self {
        Self::new(MemVfsOptions::default())
    }
}

impl Vfs for MemVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk()?;
        let opened = match mode {
            OpenMode::CreateNew => disk.create(path)?,
            OpenMode::Read | OpenMode::Write => disk.open(path)?,
        };
        Ok(Arc::new(MemFile::new(
            self.clone(),
            path.to_owned(),
            opened,
            mode != OpenMode::Read,
        )))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk()?.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk()?.names().list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.disk()?.names().exists(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk()?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk()?.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk()?.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk()?.lock(path)?;
        Ok(Box::new(Lock {
            vfs: self.clone(),
            path: path.to_owned(),
        }))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.disk()?.free_bytes())
    }
}

struct Lock {
    vfs: MemVfs,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // After a crash the lock is gone already, and may be the next process's.
        if let Ok(mut disk) = self.vfs.disk() {
            disk.unlock(&self.path);
        }
    }
}
