//! What all parts of a check share.

use std::io;
use std::path::{Path, PathBuf};

use atoll_env::Env;
use atoll_env::vfs::OpenMode;

use super::JOURNAL;
use super::report::{FileKind, FileReport, FileState, Report};
use crate::journal::Identity;
use crate::manifest::GROUPS;

/// How thoroughly to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Read every value that a row points at and compare it with the row's sum. Reads the values of a group in the
    /// order of its keys, which on a large journal takes far longer than the rest.
    pub deep: bool,
}

/// What all parts of a check share.
pub(super) struct Context<'a> {
    pub(super) env: &'a Env,
    pub(super) data: &'a Path,
    pub(super) identity: Identity,
    pub(super) options: CheckOptions,
    pub(super) report: Report,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        env: &'a Env,
        data: &'a Path,
        identity: Identity,
        options: CheckOptions,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> io::Result<Self> {
        let mut context = Self {
            env,
            data,
            identity,
            options,
            report: Report::default(),
            progress,
            done: 0,
            total: 0,
        };
        context.total = context.measure()?;
        Ok(context)
    }

    /// Bytes of the journal and of all groups.
    fn measure(&self) -> io::Result<u64> {
        let mut total = 0;
        let groups = Path::new(GROUPS);
        let folders = self.list(groups)?.unwrap_or_default();
        let folders = folders.iter().map(|name| groups.join(name));
        for folder in folders.chain([PathBuf::from(JOURNAL)]) {
            let names = self.list(&folder)?.unwrap_or_default();
            total += names.iter().map(|name| self.len(&folder.join(name))).sum::<u64>();
        }
        Ok(total)
    }

    /// So many bytes more are done with.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(self.done.min(self.total), self.total);
    }

    /// Names in a folder of the data directory; `None` if it is not there, or no folder.
    pub(super) fn list(&self, folder: &Path) -> io::Result<Option<Vec<String>>> {
        match self.env.vfs.list(&self.data.join(folder)) {
            Ok(names) => Ok(Some(names)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Length of a file; 0 if there is none to be opened.
    pub(super) fn len(&self, path: &Path) -> u64 {
        let file = self.env.vfs.open(&self.data.join(path), OpenMode::Read);
        file.and_then(|file| file.len()).unwrap_or(0)
    }

    /// Notes a file of which there is nothing to say but this.
    pub(super) fn note(&mut self, path: PathBuf, kind: FileKind, state: FileState) {
        self.note_holding(path, kind, state, String::new());
    }

    /// Notes a file, and what stands in it.
    pub(super) fn note_holding(&mut self, path: PathBuf, kind: FileKind, state: FileState, holds: String) {
        let bytes = self.len(&path);
        self.report.add(FileReport {
            path,
            kind,
            bytes,
            state,
            holds,
        });
    }

    /// Notes something that nobody knows.
    pub(super) fn note_unknown(&mut self, path: PathBuf) {
        let folder = matches!(self.list(&path), Ok(Some(_)));
        let kind = if folder { FileKind::Folder } else { FileKind::Other };
        self.note(path, kind, FileState::Unknown);
    }
}
