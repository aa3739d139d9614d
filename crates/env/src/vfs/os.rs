//! The operating system's file system.

use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::{File, OpenMode, Vfs};
use crate::BoxFuture;

/// What the page cache keeps and lets go of at a time, or a multiple of it.
const PAGE_BYTES: u64 = 4096;

/// Real files. Writing and syncing block the calling thread and return ready futures.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsVfs;

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
impl Vfs for OsVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        let file = options.open(path).map_err(|error| named(&error, path))?;
        if file.metadata()?.is_dir() {
            return Err(named(&io::ErrorKind::IsADirectory.into(), path));
        }
        Ok(Arc::new(OsFile(file)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(path);
        self.create_dir_all(parent)?;
        match fs::create_dir(path) {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            created => created.map_err(|error| named(&error, path))?,
        }
        self.sync_dir(parent)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder(dir)).map_err(|error| named(&error, dir))? {
            // No file of ours has a name that is not UTF-8; a foreign one must still be visible.
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists().map_err(|error| named(&error, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(|error| named(&error, from))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(|error| named(&error, path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(folder(dir))
            .and_then(|dir| dir.sync_all())
            .map_err(|error| named(&error, dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        // Not truncated on opening: until it is ours, the text in it is the holder's.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| named(&error, path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(held(path)),
            Err(fs::TryLockError::Error(error)) => return Err(named(&error, path)),
        }
        file.set_len(0)?;
        file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)?;
        Ok(Box::new(file))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let answer = rustix::fs::statvfs(folder(dir)).map_err(|error| named(&error.into(), dir))?;
        Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
    }

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        let answer = rustix::fs::statvfs(folder(dir)).map_err(|error| named(&error.into(), dir))?;
        Ok(answer.f_blocks.saturating_mul(answer.f_frsize))
    }
}

/// The parent of a relative path of one component is empty; the system calls it by another name.
fn folder(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    }
}

fn held(path: &Path) -> io::Error {
    let holder = fs::read_to_string(path).unwrap_or_default();
    let message = format!(
        "{} is locked by another process ({})",
        path.display(),
        holder.trim()
    );
    io::Error::new(io::ErrorKind::WouldBlock, message)
}

/// An operating system's error does not say which file; this one does.
fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

struct OsFile(fs::File);

impl File for OsFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let slices = &mut [io::IoSliceMut::new(rest)];
            match rustix::io::preadv2(&self.0, slices, offset + filled as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                // Not every file system can tell (tmpfs on older kernels, FUSE, some containers'
                // seccomp rules). Blocking for a moment is then better than never reading here.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    return self.read_at(buffer, offset).map(Some);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(filled))
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(self.0.write_all_at(bytes, offset)))
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::ready(self.0.sync_data()))
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.0, 0, None, Advice::DontNeed)?)
    }

    fn forget_range(&self, offset: u64, len: u64) -> io::Result<()> {
        // Pages that are only in part in the range would stay.
        let from = offset / PAGE_BYTES * PAGE_BYTES;
        let end = offset
            .saturating_add(len)
            .div_ceil(PAGE_BYTES)
            .saturating_mul(PAGE_BYTES);
        // Without a length it would be the rest of the file.
        match NonZeroU64::new(end.saturating_sub(from)) {
            Some(len) => Ok(rustix::fs::fadvise(&self.0, from, Some(len), Advice::DontNeed)?),
            None => Ok(()),
        }
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        // fallocate never shortens, and does nothing where it is not supported.
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }
}
