//! Names, room, faults and the count of operations.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inode::Inode;
use super::{Crash, Fault, MemVfsOptions};
use crate::Rng;

/// All of a disk.
pub(super) struct Disk {
    /// The process that may use it.
    generation: u64,
    operations: u64,
    freeze_at: Option<u64>,
    frozen: bool,
    capacity: u64,
    cold_reads_permille: u64,
    rng: Rng,
    inodes: BTreeMap<u64, Inode>,
    inodes_made: u64,
    /// Durable as soon as made.
    folders: BTreeSet<PathBuf>,
    /// Names of files, as seen.
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// What leads from the durable names to the names seen, in order.
    changes: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    faults: Vec<(Fault, String)>,
}

/// A file gets a name, loses one, or both at once.
#[derive(Clone)]
struct NameChange {
    inode: u64,
    from: Option<PathBuf>,
    to: Option<PathBuf>,
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

/// What an open file holds.
pub(super) struct Opened {
    pub(super) inode: u64,
    pub(super) open: Arc<()>,
}

/// Whether an operation is the one at which everything stops.
#[derive(PartialEq, Eq)]
enum Turn {
    Go,
    Freeze,
}

impl Turn {
    /// The result of an operation that was done, as far as it got.
    fn end(self) -> io::Result<()> {
        match self {
            Self::Go => Ok(()),
            Self::Freeze => Err(frozen()),
        }
    }
}

fn frozen() -> io::Error {
    io::Error::other("the simulated disk is frozen")
}

fn error(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

impl Disk {
    pub(super) fn new(options: &MemVfsOptions) -> Self {
        Self {
            generation: 1,
            operations: 0,
            freeze_at: None,
            frozen: false,
            capacity: options.capacity_bytes,
            cold_reads_permille: options.cold_reads_permille,
            rng: Rng::seeded(options.seed),
            inodes: BTreeMap::new(),
            inodes_made: 0,
            folders: BTreeSet::from([PathBuf::new(), PathBuf::from("/")]),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            locks: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn fork(&self, seed: u64) -> Self {
        Self {
            rng: Rng::seeded(seed),
            inodes: self
                .inodes
                .iter()
                .map(|(id, inode)| (*id, inode.fork()))
                .collect(),
            folders: self.folders.clone(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            changes: self.changes.clone(),
            locks: self.locks.clone(),
            faults: self.faults.clone(),
            ..*self
        }
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.generation += 1;
        self.freeze_at = None;
        self.frozen = false;
        self.locks.clear();
        self.faults.clear();
        match crash {
            Crash::Process => {}
            Crash::LoseAll => {
                self.changes.clear();
                self.inodes.values_mut().for_each(Inode::lose_all);
            }
            Crash::Random => {
                self.lose_some_names();
                for inode in self.inodes.values_mut() {
                    inode.lose_some(&self.rng);
                }
            }
        }
        if crash != Crash::Process {
            self.names.clone_from(&self.durable_names);
        }
        self.forget_unnamed();
    }

    fn lose_some_names(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        // A file system with a journal of its own keeps a prefix, one without keeps anything.
        let prefix = (self.rng.below(2) == 0).then(|| self.rng.below(changes.len() as u64 + 1));
        for (number, change) in changes.into_iter().enumerate() {
            let kept = match prefix {
                Some(prefix) => (number as u64) < prefix,
                None => self.rng.below(2) == 0,
            };
            if kept {
                change.apply(&mut self.durable_names);
            }
        }
    }

    /// Drops the bytes nobody can come by.
    fn forget_unnamed(&mut self) {
        let mut named: BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .collect();
        named.extend(self.changes.iter().map(|change| change.inode));
        self.inodes
            .retain(|id, inode| named.contains(id) || inode.is_open());
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn freeze_at(&mut self, operation: u64) {
        self.freeze_at = Some(operation);
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(super) fn fail_next(&mut self, fault: Fault, path: &str) {
        self.faults.push((fault, path.to_owned()));
    }

    pub(super) fn set_free_bytes(&mut self, bytes: u64) {
        self.capacity = self.used_bytes().saturating_add(bytes);
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity.saturating_sub(self.used_bytes())
    }

    fn used_bytes(&self) -> u64 {
        self.inodes.values().map(Inode::len).sum()
    }

    /// A number below `bound`.
    pub(super) fn draw(&self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    pub(super) fn is_cold(&self) -> bool {
        self.cold_reads_permille > 0 && self.rng.below(1000) < self.cold_reads_permille
    }

    /// Whether a process may do anything at all.
    pub(super) fn check(&self, generation: u64) -> io::Result<()> {
        if generation != self.generation {
            return Err(io::Error::other("this simulated process has crashed"));
        }
        if self.frozen { Err(frozen()) } else { Ok(()) }
    }

    /// Counts a mutating operation.
    fn turn(&mut self) -> Turn {
        self.operations += 1;
        if self.freeze_at != Some(self.operations) {
            return Turn::Go;
        }
        self.frozen = true;
        Turn::Freeze
    }

    fn fault(&mut self, fault: Fault, path: &Path) -> Option<io::Error> {
        let text = path.to_string_lossy();
        let found = self
            .faults
            .iter()
            .position(|(kind, part)| *kind == fault && text.contains(part.as_str()))?;
        self.faults.remove(found);
        Some(io::Error::other(format!(
            "{}: simulated I/O error ({fault:?})",
            path.display()
        )))
    }

    pub(super) fn inode(&self, id: u64) -> &Inode {
        self.inodes.get(&id).expect("an open file keeps its bytes")
    }

    fn inode_mut(&mut self, id: u64) -> &mut Inode {
        self.inodes.get_mut(&id).expect("an open file keeps its bytes")
    }

    pub(super) fn file_mut(&mut self, path: &Path) -> Option<&mut Inode> {
        self.inodes.get_mut(self.names.get(path)?)
    }

    pub(super) fn durable_bytes(&self, path: &Path) -> Option<Vec<u8>> {
        Some(self.inodes.get(self.durable_names.get(path)?)?.durable().to_vec())
    }

    // Names.

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.names.contains_key(path) || self.folders.contains(path)
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.check_folder(dir)?;
        let files = self.names.keys();
        let inside = files
            .chain(&self.folders)
            .filter(|path| path.parent() == Some(dir));
        let mut names: Vec<String> = inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn check_folder(&self, dir: &Path) -> io::Result<()> {
        if self.folders.contains(dir) {
            return Ok(());
        }
        let kind = if self.names.contains_key(dir) {
            io::ErrorKind::NotADirectory
        } else {
            io::ErrorKind::NotFound
        };
        Err(error(kind, dir))
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        if self.folders.contains(path) {
            return Err(error(io::ErrorKind::IsADirectory, path));
        }
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| error(io::ErrorKind::NotFound, path))
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        if self.folders.contains(path) {
            return Ok(());
        }
        if let Some(file) = path.ancestors().find(|path| self.names.contains_key(*path)) {
            return Err(error(io::ErrorKind::NotADirectory, file));
        }
        let turn = self.turn();
        if turn == Turn::Go {
            self.folders.extend(path.ancestors().map(Path::to_owned));
        }
        turn.end()
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<Opened> {
        let inode = self.find(path)?;
        Ok(Opened {
            inode,
            open: self.inode(inode).opener(),
        })
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Opened> {
        if self.exists(path) {
            return Err(error(io::ErrorKind::AlreadyExists, path));
        }
        self.check_folder(path.parent().unwrap_or(path))?;
        let turn = self.turn();
        let inode = self.make(path);
        turn.end()?;
        Ok(Opened {
            inode,
            open: self.inode(inode).opener(),
        })
    }

    fn make(&mut self, path: &Path) -> u64 {
        self.inodes_made += 1;
        self.inodes.insert(self.inodes_made, Inode::default());
        self.change(NameChange {
            inode: self.inodes_made,
            from: None,
            to: Some(path.to_owned()),
        });
        self.inodes_made
    }

    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        self.check_folder(to.parent().unwrap_or(to))?;
        if self.folders.contains(to) {
            return Err(error(io::ErrorKind::IsADirectory, to));
        }
        let turn = self.turn();
        if from != to {
            self.change(NameChange {
                inode,
                from: Some(from.to_owned()),
                to: Some(to.to_owned()),
            });
        }
        turn.end()
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        let turn = self.turn();
        self.change(NameChange {
            inode,
            from: Some(path.to_owned()),
            to: None,
        });
        turn.end()
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.check_folder(dir)?;
        if self.turn() == Turn::Freeze {
            return Err(frozen());
        }
        let (synced, left) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change| change.touches(dir));
        self.changes = left;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            change.apply(&mut self.durable_names);
        }
        self.forget_unnamed();
        Ok(())
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<()> {
        self.check_folder(path.parent().unwrap_or(path))?;
        if !self.exists(path) {
            self.make(path);
        }
        if self.locks.insert(path.to_owned()) {
            return Ok(());
        }
        Err(error(io::ErrorKind::WouldBlock, path))
    }

    pub(super) fn unlock(&mut self, path: &Path) {
        self.locks.remove(path);
    }

    // Bytes.

    pub(super) fn read(&mut self, id: u64, path: &Path, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.fault(Fault::Read, path) {
            Some(error) => Err(error),
            None => Ok(self.inode(id).read(buffer, offset)),
        }
    }

    pub(super) fn write(&mut self, id: u64, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        let turn = self.turn();
        if let Some(error) = self.fault(Fault::Write, path) {
            let done = self.rng.below(bytes.len() as u64 + 1) as usize;
            self.inode_mut(id)
                .write(bytes.get(..done).unwrap_or_default(), offset);
            return Err(error);
        }
        let end = offset + bytes.len() as u64;
        let beyond = self.beyond_capacity(id, end);
        let fits = bytes.len().saturating_sub(beyond as usize);
        if fits > 0 {
            self.inode_mut(id)
                .write(bytes.get(..fits).unwrap_or_default(), offset);
        }
        if beyond > 0 {
            return Err(error(io::ErrorKind::StorageFull, path));
        }
        turn.end()
    }

    pub(super) fn allocate(&mut self, id: u64, len: u64) -> io::Result<()> {
        let turn = self.turn();
        if self.beyond_capacity(id, len) > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inode_mut(id).set_len(len);
        turn.end()
    }

    /// How many bytes too many there were if the file had this length.
    fn beyond_capacity(&self, id: u64, len: u64) -> u64 {
        let growth = len.saturating_sub(self.inode(id).len());
        if growth == 0 {
            0
        } else {
            growth.saturating_sub(self.free_bytes())
        }
    }

    pub(super) fn sync_begins(&mut self, id: u64) -> io::Result<u64> {
        self.turn().end()?;
        Ok(self.inode(id).mark())
    }

    pub(super) fn sync_ends(&mut self, id: u64, path: &Path, mark: u64) -> io::Result<()> {
        if let Some(error) = self.fault(Fault::Sync, path) {
            self.inode_mut(id).lost(mark);
            return Err(error);
        }
        self.inode_mut(id).synced(mark);
        Ok(())
    }
}
