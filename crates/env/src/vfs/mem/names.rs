//! Names of files and folders: as seen, as durable, and the changes between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Crash;
use crate::Rng;

/// The names on a disk.
#[derive(Clone)]
pub(super) struct Names {
    /// Durable as soon as made.
    folders: BTreeSet<PathBuf>,
    /// Files, as seen.
    seen: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    /// What leads from the durable names to those seen, in order.
    changes: Vec<NameChange>,
}

/// A file gets a name, loses one, or both at once.
#[derive(Clone)]
pub(super) struct NameChange {
    pub(super) inode: u64,
    pub(super) from: Option<PathBuf>,
    pub(super) to: Option<PathBuf>,
}

impl NameChange {
    fn touches(&self, dir: &Path) -> bool {
        [&self.from, &self.to]
            .into_iter()
            .flatten()
            .any(|name| name.parent() == Some(dir))
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(from) = &self.from
            && names.get(from) == Some(&self.inode)
        {
            names.remove(from);
        }
        if let Some(to) = self.to {
            names.insert(to, self.inode);
        }
    }
}

/// An error that says which file.
pub(super) fn error(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

impl Names {
    /// The roots of absolute and of relative paths.
    pub(super) fn new() -> Self {
        Self {
            folders: BTreeSet::from([PathBuf::new(), PathBuf::from("/")]),
            seen: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.seen.contains_key(path) || self.folders.contains(path)
    }

    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.folders.contains(path)
    }

    pub(super) fn file(&self, path: &Path) -> Option<u64> {
        self.seen.get(path).copied()
    }

    /// Files, as seen.
    pub(super) fn all(&self) -> impl Iterator<Item = (&PathBuf, &u64)> {
        self.seen.iter()
    }

    pub(super) fn durable_file(&self, path: &Path) -> Option<u64> {
        self.durable.get(path).copied()
    }

    /// The file of this name, or an error.
    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        if self.is_folder(path) {
            return Err(error(io::ErrorKind::IsADirectory, path));
        }
        self.file(path)
            .ok_or_else(|| error(io::ErrorKind::NotFound, path))
    }

    pub(super) fn check_folder(&self, dir: &Path) -> io::Result<()> {
        if self.is_folder(dir) {
            return Ok(());
        }
        let is_file = self.seen.contains_key(dir);
        let kind = if is_file {
            io::ErrorKind::NotADirectory
        } else {
            io::ErrorKind::NotFound
        };
        Err(error(kind, dir))
    }

    /// Whether a name can be given to a file.
    pub(super) fn check_parent(&self, path: &Path) -> io::Result<()> {
        self.check_folder(path.parent().unwrap_or(path))
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.check_folder(dir)?;
        let inside = self
            .seen
            .keys()
            .chain(&self.folders)
            .filter(|path| path.parent() == Some(dir));
        let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
        let mut names: Vec<String> = inside.filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The file that stands where a folder is wanted.
    pub(super) fn file_above(&self, path: &Path) -> Option<PathBuf> {
        path.ancestors()
            .find(|path| self.seen.contains_key(*path))
            .map(Path::to_owned)
    }

    pub(super) fn make_folder(&mut self, path: &Path) {
        self.folders.extend(path.ancestors().map(Path::to_owned));
    }

    pub(super) fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.seen);
        self.changes.push(change);
    }

    /// Makes what touches a folder durable.
    pub(super) fn sync(&mut self, dir: &Path) {
        let changes = std::mem::take(&mut self.changes);
        let (synced, left): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.touches(dir));
        self.changes = left;
        for change in synced {
            change.apply(&mut self.durable);
        }
    }

    pub(super) fn crash(&mut self, crash: Crash, rng: &Rng) {
        match crash {
            Crash::Process => return,
            Crash::LoseAll => self.changes.clear(),
            Crash::Random => self.keep_some(rng),
        }
        self.seen.clone_from(&self.durable);
    }

    fn keep_some(&mut self, rng: &Rng) {
        let changes = std::mem::take(&mut self.changes);
        // A file system with a journal of its own keeps a prefix, one without keeps anything.
        let prefix = (rng.below(2) == 0).then(|| rng.below(changes.len() as u64 + 1));
        for (number, change) in changes.into_iter().enumerate() {
            let kept = match prefix {
                Some(prefix) => (number as u64) < prefix,
                None => rng.below(2) == 0,
            };
            if kept {
                change.apply(&mut self.durable);
            }
        }
    }

    /// Every file that has, had or may get a name.
    pub(super) fn files(&self) -> BTreeSet<u64> {
        let named = self.seen.values().chain(self.durable.values()).copied();
        named
            .chain(self.changes.iter().map(|change| change.inode))
            .collect()
    }
}
