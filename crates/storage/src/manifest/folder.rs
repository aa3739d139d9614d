//! The folder of one group, open.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use atoll_env::vfs::{File, OpenMode};
use atoll_env::{Env, Vfs};
use atoll_types::{Mutant, mutant};

use super::file::{FileId, FileKind, Garbage, GroupFile, NewFile, UNREADY};
use super::open::{self, Found, MANIFEST, NamedFiles};
use super::{FolderError, FolderOwner, Manifest, codec};

/// The folder of one group: the only one who writes, names and removes files in it. Its calls wait for the
/// disk: for the thread that maintains, not for one that serves.
pub struct GroupFolder {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    owner: FolderOwner,
    /// The last one that is durable.
    manifest: Option<Manifest>,
    /// The files it names.
    named: NamedFiles,
    /// Files that the next one may name too, as long as somebody holds them.
    published: BTreeMap<FileId, Weak<GroupFile>>,
    garbage: Arc<Garbage>,
    next_run: u64,
    next_value_file: u32,
    /// A change of names began and was not seen to end: what the disk holds is known only after the next start.
    broken: bool,
}

impl GroupFolder {
    /// Opens the folder of the owner's group in a data directory, making it if it is not there, and removes what
    /// a stop left behind. What the manifest says then is durable, and all files that it names are there in
    /// their full length. Without a manifest nothing was ever committed here. After an error nothing was removed,
    /// unless the error is one of removing.
    pub fn open(env: &Env, data: &Path, owner: FolderOwner) -> Result<(Self, Option<Manifest>), FolderError> {
        let garbage = Arc::new(Garbage::default());
        let found = open::find(&*env.vfs, data, &owner, &garbage)?;
        let Found { dir, manifest, named } = found;
        let folder = Self {
            vfs: Arc::clone(&env.vfs),
            dir,
            owner,
            next_run: manifest.as_ref().map_or(1, |manifest| manifest.next_run),
            next_value_file: manifest.as_ref().map_or(1, |manifest| manifest.next_value_file),
            manifest: manifest.clone(),
            named,
            published: BTreeMap::new(),
            garbage,
            broken: false,
        };
        Ok((folder, manifest))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The last durable manifest: the one to change and commit.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// A run that the last durable manifest names.
    pub fn run(&self, number: u64) -> Option<Arc<GroupFile>> {
        self.named.get(&FileId::run(number)).cloned()
    }

    /// A value file that the last durable manifest names.
    pub fn value_file(&self, number: u32) -> Option<Arc<GroupFile>> {
        self.named.get(&FileId::values(number)).cloned()
    }

    /// A new run, empty. Before the first file of a folder an empty manifest is committed.
    pub async fn create_run(&mut self) -> io::Result<NewFile> {
        self.ensure_manifest().await?;
        let number = self.next_run;
        self.next_run = number.checked_add(1).ok_or_else(numbers_used_up)?;
        self.create(FileId::run(number))
    }

    /// A new value file, empty, as [`GroupFolder::create_run`].
    pub async fn create_value_file(&mut self) -> io::Result<NewFile> {
        self.ensure_manifest().await?;
        let number = self.next_value_file;
        self.next_value_file = number.checked_add(1).ok_or_else(numbers_used_up)?;
        self.create(FileId::values(number))
    }

    /// Files without any manifest must mean that it was lost, or a lost one would cost all of them.
    async fn ensure_manifest(&mut self) -> io::Result<()> {
        match self.manifest {
            Some(_) => self.check_usable(),
            None => self.commit(Manifest::default()).await,
        }
    }

    fn create(&self, id: FileId) -> io::Result<NewFile> {
        let path = self.dir.join(format!("{id}{UNREADY}"));
        let file = self.vfs.open(&path, OpenMode::CreateNew)?;
        Ok(NewFile::new(id, file, path, Arc::clone(&self.garbage)))
    }

    /// Makes a file that was written to its end durable under its name. From now on a manifest may name it. If only
    /// syncing the file fails, the file is given up and the folder goes on.
    pub async fn publish(&mut self, new: NewFile) -> io::Result<Arc<GroupFile>> {
        self.check_usable()?;
        if !new.is_of(&self.garbage) {
            return Err(invalid("a file of another folder cannot be published here"));
        }
        let unsynced = match new.id.kind {
            FileKind::Run => Mutant::RunNotSynced,
            FileKind::Values => Mutant::ValuesNotSynced,
        };
        if !mutant::is(unsynced) {
            new.file.sync().await?;
        }
        let (id, path) = (new.id, self.dir.join(new.id.to_string()));
        let file = GroupFile::new(new.file(), path.clone(), Arc::clone(&self.garbage));
        self.broken = true;
        self.vfs.rename(new.path(), &path)?;
        new.renamed();
        self.vfs.sync_dir(&self.dir)?;
        self.broken = false;
        let file = Arc::new(file);
        self.published.insert(id, Arc::downgrade(&file));
        Ok(file)
    }

    /// Makes a manifest the one that counts; durable on return. It may name the files of the one before and
    /// published ones that somebody still holds, each with its very length, and its `applied` never goes back.
    /// Otherwise nothing happens, with `InvalidInput`.
    ///
    /// It is written under another name first; if that fails, nothing has changed and it may be tried again. After an error
    /// behind that, nobody knows which manifest the disk holds: the folder [is broken](GroupFolder::is_broken).
    pub async fn commit(&mut self, mut manifest: Manifest) -> io::Result<()> {
        self.check_usable()?;
        let last = self.manifest.as_ref();
        let number = last.map_or(0, |last| last.number).checked_add(1);
        manifest.number = number.ok_or_else(numbers_used_up)?;
        manifest.next_run = self.next_run;
        manifest.next_value_file = self.next_value_file;
        let index = |applied: &Manifest| applied.applied.map(|id| id.index);
        if last.is_some_and(|last| index(&manifest) < index(last)) {
            return Err(invalid("what is applied never goes back"));
        }
        let bytes = codec::encode(&manifest, &self.owner)?;
        let named = self.resolve(&manifest)?;
        let unready = self.write_beside(&bytes).await?;
        self.broken = true;
        self.vfs.rename(&unready, &self.dir.join(MANIFEST))?;
        self.vfs.sync_dir(&self.dir)?;
        self.broken = false;
        // Not before the manifest is durable: until then the one before counts, which needs its files.
        for file in named.values() {
            file.set_named(true);
        }
        let before = std::mem::replace(&mut self.named, named);
        for (id, file) in before {
            file.set_named(self.named.contains_key(&id));
        }
        self.published
            .retain(|id, file| !self.named.contains_key(id) && file.strong_count() > 0);
        self.manifest = Some(manifest);
        Ok(())
    }

    /// Writes a manifest to a new file beside the one that counts, durably.
    async fn write_beside(&self, manifest: &[u8]) -> io::Result<PathBuf> {
        let path = self.dir.join(format!("{MANIFEST}{UNREADY}"));
        // What an earlier try left is given up with its file: a sync that failed is never tried again.
        if self.vfs.exists(&path)? {
            self.vfs.remove(&path)?;
        }
        let file = self.vfs.open(&path, OpenMode::CreateNew)?;
        file.write_at(manifest, 0).await?;
        file.sync().await?;
        Ok(path)
    }

    /// The files that a manifest names, if all of them may be named.
    fn resolve(&self, manifest: &Manifest) -> io::Result<NamedFiles> {
        let mut named = NamedFiles::new();
        for (id, len) in manifest.files() {
            let published = || self.published.get(&id).and_then(Weak::upgrade);
            let file = self.named.get(&id).cloned().or_else(published);
            let file = file.ok_or_else(|| invalid(&format!("{id} was never published, or is given up")))?;
            let found = file.len()?;
            if found != len {
                return Err(invalid(&format!("{id} has {found} bytes, not {len}")));
            }
            named.insert(id, file);
        }
        Ok(named)
    }

    /// Removes the files that no manifest names and no reader holds any more; returns how many. What an error leaves
    /// behind is removed the next time, or at the next start.
    pub fn collect_garbage(&mut self) -> io::Result<usize> {
        self.check_usable()?;
        let mut paths = self.garbage.take().into_iter();
        let mut removed = 0;
        while let Some(path) = paths.next() {
            if let Err(error) = self.vfs.remove(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                self.garbage.push(path);
                paths.for_each(|path| self.garbage.push(path));
                return Err(error);
            }
            removed += 1;
        }
        if removed > 0 {
            self.vfs.sync_dir(&self.dir)?;
        }
        Ok(removed)
    }

    #[cfg(test)]
    pub(super) fn next_numbers(&self) -> (u64, u32) {
        (self.next_run, self.next_value_file)
    }

    /// True if a change of names began and was not seen to end. Then the folder refuses everything but reading, and only the
    /// next start of the process can tell what the disk holds.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    fn check_usable(&self) -> io::Result<()> {
        if self.broken {
            let reason = format!("{}: an earlier change failed, open it again", self.dir.display());
            return Err(io::Error::other(reason));
        }
        Ok(())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn numbers_used_up() -> io::Error {
    io::Error::other("all numbers are used up")
}
