//! Files of a group's folder: their names, and who may remove them when.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atoll_env::BoxFuture;
use atoll_env::vfs::{File, FrontDamage};
use parking_lot::Mutex;

/// Extension of a file that is being written.
pub(crate) const UNREADY: &str = ".new";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    Run,
    Values,
}

impl FileKind {
    fn affixes(self) -> (&'static str, &'static str) {
        match self {
            Self::Run => ("r-", ".run"),
            Self::Values => ("v-", ".val"),
        }
    }
}

/// Names a file of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(crate) kind: FileKind,
    pub(crate) number: u64,
}

impl FileId {
    pub(crate) fn run(number: u64) -> Self {
        Self {
            kind: FileKind::Run,
            number,
        }
    }

    pub(crate) fn values(number: u32) -> Self {
        Self {
            kind: FileKind::Values,
            number: u64::from(number),
        }
    }

    /// The file a name stands for.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [FileKind::Run, FileKind::Values].into_iter().find_map(|kind| {
            let (before, after) = kind.affixes();
            let digits = name.strip_prefix(before)?.strip_suffix(after)?;
            let number = u64::from_str_radix(digits, 16).ok()?;
            let id = Self { kind, number };
            (id.to_string() == name).then_some(id)
        })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.kind.affixes();
        write!(f, "{before}{:016x}{after}", self.number)
    }
}

/// Files that nothing needs any more. A reader may let go on any thread, also on one that must not wait for
/// a disk: it leaves the name here, and whoever maintains the folder removes it. Bounded by the number of files.
#[derive(Default)]
pub(super) struct Garbage(Mutex<Vec<PathBuf>>);

impl Garbage {
    pub(super) fn push(&self, path: PathBuf) {
        self.0.lock().push(path);
    }

    pub(super) fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0.lock())
    }
}

/// A whole, durable file of the folder, open for reading. Holding it is the pin: while anybody does, the file is
/// not removed, even if no manifest names it any more. To keep the pin, hold this `Arc` (as `Arc<dyn File>` too).
///
/// A file that was published and never made it into a manifest goes when the last holder lets go.
pub struct GroupFile {
    file: Arc<dyn File>,
    path: PathBuf,
    /// The last durable manifest names it.
    named: AtomicBool,
    garbage: Arc<Garbage>,
}

impl GroupFile {
    pub(super) fn new(file: Arc<dyn File>, path: PathBuf, garbage: Arc<Garbage>) -> Self {
        Self {
            file,
            path,
            named: AtomicBool::new(false),
            garbage,
        }
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn set_named(&self, named: bool) {
        self.named.store(named, Ordering::Release);
    }
}

impl Drop for GroupFile {
    fn drop(&mut self) {
        if !self.named.load(Ordering::Acquire) {
            self.garbage.push(std::mem::take(&mut self.path));
        }
    }
}

impl fmt::Debug for GroupFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupFile({})", self.path.display())
    }
}

impl File for GroupFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.file.try_read_at(buffer, offset)
    }

    fn write_at<'a>(&'a self, _bytes: &'a [u8], _offset: u64) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(Err(self.immutable())))
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        self.file.sync()
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.file.forget_cached()
    }

    fn forget_range(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.forget_range(offset, len)
    }

    fn check_front(&self) -> io::Result<Option<FrontDamage>> {
        self.file.check_front()
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Err(self.immutable())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

impl GroupFile {
    fn immutable(&self) -> io::Error {
        let reason = format!("{} is published and never written to again", self.path.display());
        io::Error::new(io::ErrorKind::PermissionDenied, reason)
    }
}

/// A run or value file that is being written. Dropped without [`GroupFolder::publish`](super::GroupFolder::publish), it is
/// removed with the garbage.
pub struct NewFile {
    pub(super) id: FileId,
    pub(super) file: Arc<dyn File>,
    path: PathBuf,
    garbage: Option<Arc<Garbage>>,
}

impl NewFile {
    pub(super) fn new(id: FileId, file: Arc<dyn File>, path: PathBuf, garbage: Arc<Garbage>) -> Self {
        Self {
            id,
            file,
            path,
            garbage: Some(garbage),
        }
    }

    /// The number it will have in a manifest. Given once in the life of a process, and never again once a
    /// manifest has named it.
    pub fn number(&self) -> u64 {
        self.id.number
    }

    /// Where to write it.
    pub fn file(&self) -> Arc<dyn File> {
        Arc::clone(&self.file)
    }

    /// Its name until it is published.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if it was made by the folder that this list belongs to.
    pub(super) fn is_of(&self, garbage: &Arc<Garbage>) -> bool {
        self.garbage.as_ref().is_some_and(|own| Arc::ptr_eq(own, garbage))
    }

    /// It has another name now.
    pub(super) fn renamed(mut self) {
        self.garbage = None;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(garbage) = self.garbage.take() {
            garbage.push(std::mem::take(&mut self.path));
        }
    }
}
