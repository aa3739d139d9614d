//! The files of one group.

use std::io;
use std::sync::Arc;

use atoll_env::vfs::{File, OpenMode};
use atoll_types::{GroupKey, Version};

use super::disk::OnDisk;
use super::round::{Flaw, Round};
use crate::manifest::{self, FolderError, MANIFEST};
use crate::run::{Audit, BlockCache, Run, RunAudit, RunValue};
use crate::value_file::{ValueFile, ValueFileError, ValueFileId};

impl Round<'_> {
    /// Looks at a manifest.
    pub(super) async fn manifest(&mut self, group: GroupKey) -> Option<Flaw> {
        let dir = self.folder(group);
        let vfs = self.env().vfs.clone();
        let file = match vfs.open(&dir.join(MANIFEST), OpenMode::Read) {
            Ok(file) => file,
            // Before the first checkpoint there is none.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.has_checkpoint(group) => {
                return None;
            }
            Err(error) => return Some(Flaw::unreadable(&error)),
        };
        let len = file.len().unwrap_or_default();
        if let Err(error) = file.forget_cached() {
            return Some(Flaw::unreadable(&error));
        }
        let front = Flaw::of_front(&*file);
        drop(file);
        let flaw = match manifest::read_any(&*vfs, &dir) {
            Ok((_, owner)) if owner.identity == self.identity() && owner.group == group => None,
            Ok((_, owner)) => Some(Flaw::new(0, &format!("it belongs to {owner}"))),
            Err(FolderError::Damaged { what, .. }) => Some(Flaw::new(0, what)),
            Err(error) => Some(Flaw::new(0, &error.to_string())),
        };
        self.took(len).await;
        flaw.or(front)
    }

    /// Looks at a run: everything that opening it reads, and every block.
    pub(super) async fn run(&mut self, known: &Run) -> Option<Flaw> {
        let file: Arc<dyn File> = Arc::new(OnDisk::new(known.file().clone()));
        // Nothing is kept: a block in memory proves nothing of the disk.
        let opened = Run::open(file, known.identity(), Arc::new(BlockCache::new(0)));
        let run = match opened {
            Ok(run) => run,
            Err(error) => return Some(Flaw::new(0, &error.to_string())),
        };
        if run.summary() != known.summary() {
            return Some(Flaw::new(0, "it is not the run that was opened"));
        }
        let mut audit = Audit::new(&run);
        let mut looking = Looking::default();
        while audit.step(&mut looking) && looking.flaw.is_none() && !self.is_over() {
            self.took(std::mem::take(&mut looking.bytes)).await;
        }
        let blocks = self.done_of_file();
        self.took(run.summary().file_len.saturating_sub(blocks)).await;
        looking.flaw.or_else(|| Flaw::of_front(&**known.file()))
    }

    /// Looks at all records of a value file.
    pub(super) async fn values(&mut self, known: &ValueFile, id: ValueFileId) -> Option<Flaw> {
        let file: Arc<dyn File> = Arc::new(OnDisk::new(known.file().clone()));
        let values = match ValueFile::open(file, id) {
            Ok(values) => values,
            Err(error) => return Some(Flaw::of_values(&error)),
        };
        for record in values.records() {
            match record {
                Ok(record) => self.took(u64::from(record.place.stored_len)).await,
                Err(error) => return Some(Flaw::of_values(&error)),
            }
            if self.is_over() {
                return None;
            }
        }
        let records = self.done_of_file();
        self.took(values.file_len().saturating_sub(records)).await;
        Flaw::of_front(&**known.file())
    }
}

/// Takes in what an audit of a run finds: the first flaw.
#[derive(Default)]
struct Looking {
    bytes: u64,
    flaw: Option<Flaw>,
}

impl RunAudit for Looking {
    fn row(&mut self, _block: u64, _key: &[u8], _version: Version, _value: &RunValue) {}

    fn flaw(&mut self, offset: u64, what: String) {
        self.flaw.get_or_insert_with(|| Flaw::new(offset, &what));
    }

    fn progress(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

impl Flaw {
    fn of_values(error: &ValueFileError) -> Self {
        match error {
            ValueFileError::Damaged { offset, what, .. } => Self::new(*offset, what),
            ValueFileError::Io(error) => Self::unreadable(error),
            other => Self::new(0, &other.to_string()),
        }
    }
}
