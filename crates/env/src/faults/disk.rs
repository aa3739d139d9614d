//! Files over files, which fail as told.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::control::{Control, Fsync, Read, Write};
use crate::BoxFuture;
use crate::vfs::{File, OpenMode, Vfs};

/// What a process's disk does.
#[derive(Default)]
pub(super) struct DiskState {
    now: Mutex<Control>,
    /// A sync that fails only once has not failed yet.
    once: AtomicBool,
}

impl DiskState {
    pub(super) fn set(&self, control: &Control) {
        let mut now = self.now.lock();
        *now = control.clone();
        self.once
            .store(control.fsync == Fsync::ErrorOnce, Ordering::Relaxed);
    }

    fn before_read(&self) -> io::Result<()> {
        match self.now.lock().read {
            Read::Ok => Ok(()),
            Read::Error => Err(Errno::IO.into()),
        }
    }

    fn before_write(&self) -> io::Result<()> {
        let (write, ms) = {
            let now = self.now.lock();
            (now.write, now.write_ms)
        };
        match write {
            Write::Ok => {}
            Write::Error => return Err(Errno::IO.into()),
            Write::Full => return Err(Errno::NOSPC.into()),
            Write::Slow => wait(ms),
        }
        Ok(())
    }

    fn before_sync(&self) -> io::Result<()> {
        let (fsync, ms) = {
            let now = self.now.lock();
            (now.fsync, now.fsync_ms)
        };
        match fsync {
            Fsync::Error => return Err(Errno::IO.into()),
            Fsync::ErrorOnce if self.once.swap(false, Ordering::Relaxed) => return Err(Errno::IO.into()),
            Fsync::Ok | Fsync::ErrorOnce => {}
            Fsync::Slow => wait(ms),
        }
        Ok(())
    }
}

/// Holds up the calling thread, as a slow disk does.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
fn wait(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// A file system that fails as told.
pub struct FaultyVfs {
    inner: Arc<dyn Vfs>,
    state: Arc<DiskState>,
}

impl FaultyVfs {
    pub(super) fn new(inner: Arc<dyn Vfs>, state: Arc<DiskState>) -> Self {
        Self { inner, state }
    }
}

impl Vfs for FaultyVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = self.inner.open(path, mode)?;
        let state = self.state.clone();
        Ok(Arc::new(FaultyFile { inner, state }))
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
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state.before_sync()?;
        self.inner.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.inner.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_bytes(dir)
    }

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.total_bytes(dir)
    }
}

struct FaultyFile {
    inner: Arc<dyn File>,
    state: Arc<DiskState>,
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.state.before_read()?;
        self.inner.read_at(buffer, offset)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.state.before_read()?;
        self.inner.try_read_at(buffer, offset)
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            self.state.before_write()?;
            self.inner.write_at(bytes, offset).await
        })
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            self.state.before_sync()?;
            self.inner.sync().await
        })
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.inner.forget_cached()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.state.before_write()?;
        self.inner.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use crate::vfs::OsVfs;

    struct Disk {
        dir: tempfile::TempDir,
        vfs: FaultyVfs,
        file: Arc<dyn File>,
    }

    impl Disk {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let vfs = FaultyVfs::new(Arc::new(OsVfs), Arc::default());
            let file = vfs.open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
            Self { dir, vfs, file }
        }

        fn say(&self, text: &str) {
            self.vfs.state.set(&Control::parse(text).unwrap());
        }

        async fn took(&self, work: BoxFuture<'_, io::Result<()>>) -> Duration {
            let clock = Clock::boot();
            let begin = clock.now();
            work.await.unwrap();
            clock.now().since(begin)
        }
    }

    fn is(result: io::Result<()>, errno: Errno) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(errno.raw_os_error()))
    }

    #[tokio::test]
    async fn syncs_fail_always_or_once() {
        let disk = Disk::new();
        disk.say(r#"{"fsync": "error"}"#);
        for _ in 0..2 {
            assert!(is(disk.file.sync().await, Errno::IO));
            assert!(is(disk.vfs.sync_dir(disk.dir.path()), Errno::IO));
        }
        disk.file.write_at(b"still written", 0).await.unwrap();
        disk.say(r#"{"fsync": "error-once"}"#);
        assert!(is(disk.file.sync().await, Errno::IO));
        disk.file.sync().await.unwrap();
        disk.vfs.sync_dir(disk.dir.path()).unwrap();
        disk.say("");
        disk.file.sync().await.unwrap();
    }

    #[tokio::test]
    async fn writes_and_reservations_fail() {
        let disk = Disk::new();
        for (said, errno) in [("error", Errno::IO), ("full", Errno::NOSPC)] {
            disk.say(&format!(r#"{{"write": "{said}"}}"#));
            assert!(is(disk.file.write_at(b"x", 0).await, errno));
            assert!(is(disk.file.allocate(4096), errno));
            assert_eq!(disk.file.len().unwrap(), 0, "nothing was done");
            disk.file.sync().await.unwrap();
        }
        disk.say("{}");
        disk.file.allocate(4096).unwrap();
        disk.file.write_at(b"x", 0).await.unwrap();
    }

    #[tokio::test]
    async fn reads_fail() {
        let disk = Disk::new();
        disk.file.write_at(b"abc", 0).await.unwrap();
        disk.say(r#"{"read": "error"}"#);
        let mut buffer = [0; 3];
        assert!(is(disk.file.read_at(&mut buffer, 0).map(drop), Errno::IO));
        assert!(is(disk.file.try_read_at(&mut buffer, 0).map(drop), Errno::IO));
        assert!(disk.vfs.read_small(&disk.dir.path().join("f"), 10).is_err());
        disk.say("");
        disk.file.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"abc");
    }

    #[tokio::test]
    async fn slow_ones_take_their_time_and_then_work() {
        let disk = Disk::new();
        disk.say(r#"{"fsync": "slow", "fsync_ms": 30, "write": "slow", "write_ms": 20}"#);
        assert!(disk.took(disk.file.write_at(b"x", 0)).await >= Duration::from_millis(20));
        assert!(disk.took(disk.file.sync()).await >= Duration::from_millis(30));
        assert_eq!(disk.file.len().unwrap(), 1);
    }
}
