//! Files.
//!
//! The few operations a careful storage engine needs, each with the durability it has on a real
//! disk: bytes are durable after [`File::sync`], names after [`Vfs::sync_dir`], and not before.
//! Writing and syncing are asynchronous only so that the simulator can make them take time; on real
//! files they are ready at once and block, so call them from a dedicated thread.

mod mem;
mod os;
#[cfg(test)]
mod tests;

pub use mem::{Crash, DiskFaults, DiskTrouble, Fault, MemLatency, MemVfs, MemVfsOptions};
pub use os::OsVfs;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::BoxFuture;

/// Bytes of a block of every file system that does not change what is written.
pub const BLOCK_BYTES: u32 = 4096;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Must exist; reading only.
    Read,
    /// Must exist; reading and writing.
    Write,
    /// Must not exist; reading and writing. Durable only after [`Vfs::sync_dir`] of its folder.
    CreateNew,
}

/// What a file system keeps of a file for itself is not what it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontDamage {
    /// For people.
    pub what: &'static str,
    /// The file can still be opened and read whole.
    pub readable: bool,
}

/// A file system.
pub trait Vfs: Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Creates a folder and its parents, durably.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Names (not paths) in a folder, sorted. `NotFound` if there is no such folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// True if a file or folder has this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Renames, replacing the target. Durable after [`Vfs::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Durable after [`Vfs::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock by a file of this name, released when the guard drops.
    /// `WouldBlock` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
    /// Bytes free on the file system that holds `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Bytes that this file system could ever hold; without a bound unless it says so.
    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        let _ = dir;
        Ok(u64::MAX)
    }

    /// Bytes of a file in `dir` that reach the disk in one block: a write that begins and ends on multiples of this never
    /// touches the blocks of what was written before it. At least 512, and the same for as long as the files of the folder live.
    fn block_bytes(&self, dir: &Path) -> u32 {
        let _ = dir;
        BLOCK_BYTES
    }

    /// True if files in `dir` are encrypted before they reach the disk.
    fn seals(&self, dir: &Path) -> bool {
        let _ = dir;
        false
    }

    /// Reads a small file whole; an error beyond `max` bytes.
    fn read_small(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = file.len()?;
        if len > max {
            return Err(io::Error::other(format!(
                "{} has {len} bytes, at most {max} expected",
                path.display()
            )));
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// Writes a small file so that it is there whole or not at all, whenever the power goes: a new file
/// beside it, synced, renamed over it, folder synced.
pub async fn replace_file(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path
        .parent()
        .ok_or_else(|| io::Error::other("a file has a folder"))?;
    let mut fresh = PathBuf::from(path).into_os_string();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    if vfs.exists(&fresh)? {
        vfs.remove(&fresh)?;
    }
    let file = vfs.open(&fresh, OpenMode::CreateNew)?;
    file.write_at(bytes, 0).await?;
    file.sync().await?;
    vfs.rename(&fresh, path)?;
    vfs.sync_dir(dir)
}

/// An open file.
pub trait File: Send + Sync + 'static {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// As [`File::read_at`], but `None` instead of waiting for a disk.
    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>>;

    /// Writes all bytes. Not durable before [`File::sync`].
    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>>;

    /// Makes everything written durable (fdatasync). After an error nothing is known about any byte
    /// written since the last success: stop the process, never retry (Rebello et al., ATC 2020).
    fn sync(&self) -> BoxFuture<'_, io::Result<()>>;

    /// Makes later reads come from the disk, as far as what is cached is not waiting to be written.
    /// After a sync has failed, the cache may show bytes that the disk never got and that no later
    /// sync will write: sync first, then forget, then read.
    fn forget_cached(&self) -> io::Result<()>;

    /// The same of a part of the file, for whoever reads much of it and must not take the memory that others read from.
    fn forget_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        self.forget_cached()
    }

    /// Looks on the disk at what the file system itself keeps of the file, to be able to read it at all, and which no read shows; says
    /// what is wrong there. One that keeps nothing has nothing to look at.
    fn check_front(&self) -> io::Result<Option<FrontDamage>> {
        Ok(None)
    }

    /// Reserves space and sets the length, so that later writes inside need no new blocks.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Writes zeros where nothing was written since the file was made and where zeros are read, only so that the blocks are there:
    /// what is written to them later needs no new ones.
    fn fill(&self, offset: u64, len: usize) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move { self.write_at(&vec![0; len], offset).await })
    }

    /// Begins another life of a file that nobody reads: what is in it means nothing from now on, and no block of it is to be read,
    /// or written in part, before it was written as a whole. A file system that encrypts refuses every write to a file that was opened with
    /// [`OpenMode::Write`] before this. Durable with the next [`File::sync`].
    fn renew(&self) -> io::Result<()> {
        Ok(())
    }

    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;

    /// True if the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Fills the buffer or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.read_at(buffer, offset)? {
            n if n == buffer.len() => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
