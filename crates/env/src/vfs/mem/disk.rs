//! Room, faults and the count of operations, over names and bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::ills::Ills;
use super::inode::Inode;
use super::names::{NameChange, Names, error};
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
    pub(super) rng: Rng,
    pub(super) inodes: BTreeMap<u64, Inode>,
    inodes_made: u64,
    pub(super) names: Names,
    locks: BTreeSet<PathBuf>,
    sector_bytes: u64,
    pub(super) ills: Ills,
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
            names: Names::new(),
            locks: BTreeSet::new(),
            sector_bytes: options.sector_bytes,
            ills: Ills::default(),
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
            names: self.names.clone(),
            locks: self.locks.clone(),
            ills: self.ills.clone(),
            ..*self
        }
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.generation += 1;
        self.freeze_at = None;
        self.frozen = false;
        self.locks.clear();
        self.ills.forget_planned();
        self.names.crash(crash, &self.rng);
        for inode in self.inodes.values_mut() {
            match crash {
                Crash::Process => {}
                Crash::LoseAll => inode.lose_all(),
                Crash::Random => inode.lose_some(&self.rng, self.sector_bytes),
            }
        }
        self.forget_unnamed();
    }

    pub(super) fn clear(&mut self) {
        self.inodes
            .values_mut()
            .for_each(|inode| *inode = Inode::default());
    }

    /// Drops the bytes nobody can come by.
    fn forget_unnamed(&mut self) {
        let named = self.names.files();
        self.inodes
            .retain(|id, inode| named.contains(id) || inode.is_open());
    }

    /// What there is, and is called what.
    pub(super) fn names(&self) -> &Names {
        &self.names
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

    pub(super) fn set_free_bytes(&mut self, bytes: u64) {
        self.capacity = self.used_bytes().saturating_add(bytes);
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity.saturating_sub(self.used_bytes())
    }

    fn used_bytes(&self) -> u64 {
        self.inodes.values().map(Inode::len).sum()
    }

    /// How long this sync takes more than others.
    pub(super) fn stall(&mut self) -> Duration {
        self.ills.stall(&self.rng)
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

    pub(super) fn inode(&self, id: u64) -> &Inode {
        self.inodes.get(&id).expect("an open file keeps its bytes")
    }

    pub(super) fn inode_mut(&mut self, id: u64) -> &mut Inode {
        self.inodes.get_mut(&id).expect("an open file keeps its bytes")
    }

    pub(super) fn file_mut(&mut self, path: &Path) -> Option<&mut Inode> {
        self.inodes.get_mut(&self.names.file(path)?)
    }

    pub(super) fn durable_bytes(&self, path: &Path) -> Option<Vec<u8>> {
        Some(
            self.inodes
                .get(&self.names.durable_file(path)?)?
                .durable()
                .to_vec(),
        )
    }

    // Names.

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        if self.names.is_folder(path) {
            return Ok(());
        }
        if let Some(file) = self.names.file_above(path) {
            return Err(error(io::ErrorKind::NotADirectory, &file));
        }
        let turn = self.turn();
        if turn == Turn::Go {
            self.names.make_folder(path);
        }
        turn.end()
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<Opened> {
        let inode = self.names.find(path)?;
        Ok(Opened {
            inode,
            open: self.inode(inode).opener(),
        })
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Opened> {
        if self.names.exists(path) {
            return Err(error(io::ErrorKind::AlreadyExists, path));
        }
        self.names.check_parent(path)?;
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
        let inode = self.inodes_made;
        self.inodes.insert(inode, Inode::default());
        self.names.change(NameChange {
            inode,
            from: None,
            to: Some(path.to_owned()),
        });
        inode
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.names.find(from)?;
        self.names.check_parent(to)?;
        if self.names.is_folder(to) {
            return Err(error(io::ErrorKind::IsADirectory, to));
        }
        let turn = self.turn();
        if from != to {
            self.names.change(NameChange {
                inode,
                from: Some(from.to_owned()),
                to: Some(to.to_owned()),
            });
        }
        turn.end()
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.names.find(path)?;
        let turn = self.turn();
        self.names.change(NameChange {
            inode,
            from: Some(path.to_owned()),
            to: None,
        });
        turn.end()
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.names.check_folder(dir)?;
        self.turn().end()?;
        self.names.sync(dir);
        self.forget_unnamed();
        Ok(())
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<()> {
        self.names.check_parent(path)?;
        if !self.names.exists(path) {
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
        match self.ills.fault(Fault::Read, path, &self.rng) {
            Some(error) => Err(error),
            None => Ok(self.inode(id).read(buffer, offset)),
        }
    }

    pub(super) fn write(&mut self, id: u64, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        let turn = self.turn();
        if let Some(error) = self.ills.fault(Fault::Write, path, &self.rng) {
            let done = self.rng.below(bytes.len() as u64 + 1) as usize;
            self.inode_mut(id)
                .write(bytes.get(..done).unwrap_or_default(), offset);
            return Err(error);
        }
        if self.ills.misdirects(&self.rng)
            && let Some((id, offset)) = self.wrong_place(bytes.len())
        {
            self.ills.counted.misdirected += 1;
            self.inode_mut(id).write(bytes, offset);
            return turn.end();
        }
        let end = offset + bytes.len() as u64;
        let beyond = self.beyond_capacity(id, end);
        let fits = bytes.len().saturating_sub(beyond as usize);
        if fits > 0 {
            self.inode_mut(id)
                .write(bytes.get(..fits).unwrap_or_default(), offset);
        }
        if beyond > 0 {
            self.ills.counted.full += 1;
            return Err(error(io::ErrorKind::StorageFull, path));
        }
        turn.end()
    }

    pub(super) fn allocate(&mut self, id: u64, len: u64) -> io::Result<()> {
        let turn = self.turn();
        if self.beyond_capacity(id, len) > 0 {
            self.ills.counted.full += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inode_mut(id).set_len(len);
        turn.end()
    }

    pub(super) fn forget_cached(&mut self, id: u64) {
        self.inode_mut(id).forget_cached();
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
        if let Some(error) = self.ills.fault(Fault::Sync, path, &self.rng) {
            self.inode_mut(id).lost(mark);
            return Err(error);
        }
        self.inode_mut(id).synced(mark);
        Ok(())
    }
}
