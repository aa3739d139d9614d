//! Files of freed segments that wait to be used again.
//!
//! Filling a new segment with zeros writes every block of it twice. A file that held a segment already has its
//! blocks, so it is kept under another name (`….spare`) until the next segment needs one. What it holds is of no
//! meaning any more: the next life begins with a header with a salt of its own, durable before the file gets its
//! new name, and no frame of an earlier life checks under another salt. So a spare needs no cleaning, and after
//! a stop at any point it is a spare still, or a segment without frames.
//!
//! Only files of exactly the size of a segment are kept, and only if segments are made ahead at all. How many, depends on what
//! room there is ([`SpareLimits`]): segments are freed several at a time, when values have left them, and what is not kept then is made
//! again, with zeros, soon after. Two are kept in any case, so that a journal goes on for a while on a disk that is full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use atoll_env::vfs::File;
use atoll_env::{Vfs, trouble};

use super::prepare::file_name;
use super::{Journal, JournalOptions};

/// Extension of a spare.
pub(crate) const SPARE: &str = "spare";
/// Files kept however little room there is, beside one that is asked for already.
const SPARES_FEW: usize = 2;
/// Files kept however much room there is: more are hardly ever freed at once.
const SPARES_MAX: usize = 8;

/// How much files may take that wait to be used again. Two are kept in any case, and eight at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpareLimits {
    /// Bytes that they may take together with the segments that nothing is written to any more.
    pub with_segments: u64,
    /// Bytes that they may take.
    pub alone: u64,
}

/// How many spares there are and may be, also for those who may not touch them.
pub(crate) struct SpareRoom {
    /// Bytes of each.
    file_bytes: u64,
    with_segments: AtomicU64,
    alone: AtomicU64,
    count: AtomicUsize,
}

impl SpareRoom {
    /// Before anybody says more, few are kept.
    fn new(file_bytes: u64) -> Self {
        Self {
            file_bytes,
            with_segments: AtomicU64::new(0),
            alone: AtomicU64::new(0),
            count: AtomicUsize::new(0),
        }
    }

    fn bytes_of(&self, count: usize) -> u64 {
        self.file_bytes.saturating_mul(count as u64)
    }

    fn limit(&self, SpareLimits { with_segments, alone }: SpareLimits) {
        self.with_segments.store(with_segments, Ordering::Relaxed);
        self.alone.store(alone, Ordering::Relaxed);
    }

    /// True if so many may be kept beside segments of so many bytes.
    fn fits(&self, count: usize, segments: u64) -> bool {
        let bytes = self.bytes_of(count);
        let in_limits = bytes <= self.alone.load(Ordering::Relaxed)
            && bytes.saturating_add(segments) <= self.with_segments.load(Ordering::Relaxed);
        count <= SPARES_FEW || count <= SPARES_MAX && in_limits
    }
}

impl Journal {
    /// Bytes of files of freed segments that wait to be used again.
    pub fn spare_bytes(&self) -> u64 {
        let spares = &self.0.spares;
        spares.bytes_of(spares.count.load(Ordering::Relaxed))
    }

    /// What segments take that nothing is written to any more.
    pub(crate) fn sealed_bytes(&self) -> u64 {
        self.0.segments.sealed_bytes()
    }

    /// Keeps files of freed segments from now on as these limits let it, and removes those that are too many; may wait for a file
    /// that is being made then. Until this is said two are kept, and what a start finds.
    pub async fn keep_spares(&self, limits: SpareLimits) -> io::Result<()> {
        let spares = &self.0.spares;
        spares.limit(limits);
        if spares.fits(spares.count.load(Ordering::Relaxed), self.sealed_bytes()) {
            return Ok(());
        }
        self.0.trim_spares().await
    }
}

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
    room: Arc<SpareRoom>,
}

impl Spares {
    pub(crate) fn new(options: &JournalOptions) -> Self {
        let file_bytes = u64::from(options.segment_bytes);
        Self {
            wanted: options.preallocate.then_some(file_bytes),
            kept: Vec::new(),
            room: Arc::new(SpareRoom::new(file_bytes)),
        }
    }

    pub(crate) fn room(&self) -> &Arc<SpareRoom> {
        &self.room
    }

    /// True if this file, of a segment that is no more, would be kept beside segments of so many bytes.
    pub(crate) fn wants(&self, file: &dyn File, segments: u64) -> io::Result<bool> {
        Ok(self.room.fits(self.kept.len() + 1, segments) && self.wanted == Some(file.len()?))
    }

    /// True if a start keeps this spare. Who says later how much room there is has those removed that are too many.
    pub(crate) fn wants_found(&self, file: &dyn File) -> io::Result<bool> {
        Ok(self.kept.len() < SPARES_MAX && self.wanted == Some(file.len()?))
    }

    /// Keeps a file that is wanted, and that nobody else has open.
    pub(crate) fn keep(&mut self, spare: Spare) {
        debug_assert!(self.kept.len() < SPARES_MAX, "the pool has a bound");
        self.kept.push(spare);
        self.note_count();
    }

    /// A file for the next segment.
    pub(crate) fn take(&mut self) -> Option<Spare> {
        let taken = self.kept.pop();
        self.note_count();
        taken
    }

    /// Removes those that are too many beside segments of so many bytes; true if there were any.
    pub(crate) fn trim(&mut self, vfs: &dyn Vfs, segments: u64) -> bool {
        let before = self.kept.len();
        while !self.room.fits(self.kept.len(), segments) {
            let Some(Spare { path, .. }) = self.take() else {
                break;
            };
            discard(vfs, &path);
            trouble::sometimes("a spare gives its room back");
        }
        self.kept.len() < before
    }

    fn note_count(&self) {
        self.room.count.store(self.kept.len(), Ordering::Relaxed);
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
