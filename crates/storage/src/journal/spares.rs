//! Files of freed segments that wait to be used again.
//!
//! Filling a new segment with zeros writes every block of it twice. A file that held a segment already has its
//! blocks, so it is kept under another name (`….spare`) until the next segment needs one. What it holds is of no
//! meaning any more: the next life begins with a header with a salt of its own, durable before the file gets its
//! new name, and no frame of an earlier life checks under another salt. So a spare needs no cleaning, and after
//! a stop at any point it is a spare still, or a segment without frames.
//!
//! Only files of exactly the size of a segment are kept, only if segments are made ahead at all, and only a few: what
//! is freed at once when much is freed is for others to use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::Vfs;
use atoll_env::vfs::File;

use super::JournalOptions;
use super::prepare::file_name;

/// Extension of a spare.
pub(crate) const SPARE: &str = "spare";
/// Files kept at most, beside one that is asked for already.
const SPARES_MAX: usize = 2;

/// A file that nobody reads any more.
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

/// The spares of a journal.
pub(crate) struct Spares {
    /// Bytes of a file that is kept; `None`: none is.
    wanted: Option<u64>,
    kept: Vec<Spare>,
}

impl Spares {
    pub(crate) fn new(options: &JournalOptions) -> Self {
        Self {
            wanted: options.preallocate.then_some(u64::from(options.segment_bytes)),
            kept: Vec::new(),
        }
    }

    /// True if this file, of a segment or a spare, would be kept.
    pub(crate) fn wants(&self, file: &dyn File) -> io::Result<bool> {
        Ok(self.kept.len() < SPARES_MAX && self.wanted == Some(file.len()?))
    }

    /// Keeps a file that [`Spares::wants`], and that nobody else has open.
    pub(crate) fn keep(&mut self, spare: Spare) {
        debug_assert!(self.kept.len() < SPARES_MAX, "the pool has a bound");
        self.kept.push(spare);
    }

    /// A file for the next segment.
    pub(crate) fn take(&mut self) -> Option<Spare> {
        self.kept.pop()
    }
}

/// Name of the spare that a segment's file becomes. Segments never have the same number twice, so neither have these.
pub(crate) fn spare_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(file_name(segment)).with_extension(SPARE)
}

/// Lets go of a file that could not be used and is no segment.
pub(crate) fn discard(vfs: &dyn Vfs, path: &Path) {
    if let Err(error) = vfs.remove(path) {
        // The next start finds it and uses it, or removes it.
        tracing::warn!(file = %path.display(), %error, "a file that is no segment could not be removed");
    }
}
