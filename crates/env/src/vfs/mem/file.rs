//! An open file of a disk in memory.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::disk::Opened;
use super::{MemLatency, MemVfs};
use crate::BoxFuture;
use crate::vfs::File;

pub(super) struct MemFile {
    vfs: MemVfs,
    path: PathBuf,
    inode: u64,
    writable: bool,
    /// Keeps the bytes of a removed file.
    _open: Arc<()>,
}

impl MemFile {
    pub(super) fn new(vfs: MemVfs, path: PathBuf, opened: Opened, writable: bool) -> Self {
        Self {
            vfs,
            path,
            inode: opened.inode,
            writable,
            _open: opened.open,
        }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            return Ok(());
        }
        let message = format!("{} was opened for reading", self.path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }

    async fn wait(&self, range: fn(&MemLatency) -> &Range<Duration>) {
        let Some(latency) = &self.vfs.latency else {
            return;
        };
        let range = range(latency);
        let spread = range.end.saturating_sub(range.start);
        let more = Duration::from_nanos(self.vfs.disk.lock().draw(spread.as_nanos() as u64));
        latency.clock.sleep(range.start + more).await;
    }

    /// Seconds, on a bad day.
    async fn stall(&self) {
        let stall = self.vfs.disk.lock().stall();
        if let Some(latency) = self.vfs.latency.as_ref().filter(|_| !stall.is_zero()) {
            latency.clock.sleep(stall).await;
        }
    }
}

impl File for MemFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.vfs.disk()?.read(self.inode, &self.path, buffer, offset)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let mut disk = self.vfs.disk()?;
        if disk.is_cold() {
            return Ok(None);
        }
        disk.read(self.inode, &self.path, buffer, offset).map(Some)
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            self.check_writable()?;
            self.vfs.disk()?.write(self.inode, &self.path, bytes, offset)?;
            self.wait(|latency| &latency.write).await;
            self.vfs.disk().map(drop)
        })
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            // Covers what was written before it began, also if more is written meanwhile.
            let mark = self.vfs.disk()?.sync_begins(self.inode)?;
            self.wait(|latency| &latency.sync).await;
            self.stall().await;
            self.vfs.disk()?.sync_ends(self.inode, &self.path, mark)
        })
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.vfs.disk()?.forget_cached(self.inode);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.vfs.disk()?.allocate(self.inode, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.vfs.disk()?.inode(self.inode).len())
    }
}
