//! Opening a group's folder after a stop of any kind.
//!
//! The order matters. A process that was killed may have renamed files without syncing their names: the
//! manifest read now could be gone after the next power cut, and the one before it be back. So names are made
//! durable first, then the manifest is read and every file it names is looked at, and only then what
//! it does not name is removed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::Vfs;
use atoll_env::vfs::OpenMode;
use atoll_types::{GroupGen, GroupId, GroupKey};

use super::codec::{self, DecodeError};
use super::file::{FileId, Garbage, GroupFile, UNREADY};
use super::state::{MANIFEST_BYTES_MAX, Manifest};
use super::{FolderError, FolderOwner};

/// The commit point.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// The folder of all groups' folders, in the data directory.
pub(crate) const GROUPS: &str = "groups";

pub(super) type NamedFiles = BTreeMap<FileId, Arc<GroupFile>>;

/// What a folder holds.
pub(super) struct Found {
    pub(super) dir: PathBuf,
    pub(super) manifest: Option<Manifest>,
    pub(super) named: NamedFiles,
}

/// Opens or makes the folder of a group in a data directory.
pub(super) fn find(
    vfs: &dyn Vfs,
    data: &Path,
    owner: &FolderOwner,
    garbage: &Arc<Garbage>,
) -> Result<Found, FolderError> {
    let groups = data.join(GROUPS);
    let dir = groups.join(folder_name(owner.group));
    vfs.create_dir_all(&dir)?;
    // Also if they were there: whoever made them may have been killed before their names were durable.
    vfs.sync_dir(data)?;
    vfs.sync_dir(&groups)?;
    vfs.sync_dir(&dir)?;
    let names = vfs.list(&dir)?;
    let manifest = if names.iter().any(|name| name == MANIFEST) {
        Some(read(vfs, &dir, owner)?)
    } else {
        check_fresh(&dir, &names)?;
        None
    };
    let named = match &manifest {
        Some(manifest) => open_named(vfs, &dir, manifest, garbage)?,
        None => NamedFiles::new(),
    };
    // From here on nothing can be wrong with the folder any more.
    remove_leftovers(vfs, &dir, &names, &named)?;
    for file in named.values() {
        file.set_named(true);
    }
    Ok(Found { dir, manifest, named })
}

/// Name of a group's folder.
pub(crate) fn folder_name(group: GroupKey) -> String {
    format!("{:016x}-{:08x}", group.id.0, group.generation.0)
}

/// The group that a folder's name stands for.
pub(crate) fn parse_folder_name(name: &str) -> Option<GroupKey> {
    let (id, generation) = name.split_once('-')?;
    let id = u64::from_str_radix(id, 16).ok()?;
    let generation = u32::from_str_radix(generation, 16).ok()?;
    let group = GroupKey::new(GroupId(id), GroupGen(generation));
    (folder_name(group) == name).then_some(group)
}

/// Without a manifest there is nothing but what came before the first one.
fn check_fresh(dir: &Path, names: &[String]) -> Result<(), FolderError> {
    match names.iter().find(|name| FileId::parse(name).is_some()) {
        Some(seen) => Err(FolderError::ManifestMissing {
            file: dir.join(MANIFEST),
            seen: dir.join(seen),
        }),
        None => Ok(()),
    }
}

fn read(vfs: &dyn Vfs, dir: &Path, owner: &FolderOwner) -> Result<Manifest, FolderError> {
    let (manifest, found) = read_any(vfs, dir)?;
    if found != *owner {
        return Err(FolderError::Foreign {
            file: dir.join(MANIFEST),
            found: Box::new(found),
            expected: Box::new(*owner),
        });
    }
    Ok(manifest)
}

/// The manifest in a folder, and whose it is.
pub(crate) fn read_any(vfs: &dyn Vfs, dir: &Path) -> Result<(Manifest, FolderOwner), FolderError> {
    let path = dir.join(MANIFEST);
    let file = vfs.open(&path, OpenMode::Read)?;
    let len = file.len()?;
    if len > MANIFEST_BYTES_MAX as u64 {
        return Err(FolderError::Damaged {
            file: path,
            what: "it is longer than a manifest can be",
        });
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0)?;
    match codec::decode(&bytes) {
        Ok(read) => Ok(read),
        Err(DecodeError::Damaged(what)) => Err(FolderError::Damaged { file: path, what }),
        Err(DecodeError::Unsupported(what)) => Err(FolderError::Unsupported { file: path, what }),
    }
}

fn open_named(
    vfs: &dyn Vfs,
    dir: &Path,
    manifest: &Manifest,
    garbage: &Arc<Garbage>,
) -> Result<NamedFiles, FolderError> {
    let mut named = NamedFiles::new();
    for (id, expected) in manifest.files() {
        let path = dir.join(id.to_string());
        let file = match vfs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FolderError::Missing { file: path });
            }
            Err(error) => return Err(error.into()),
        };
        let found = file.len()?;
        if found != expected {
            return Err(FolderError::Length {
                file: path,
                expected,
                found,
            });
        }
        named.insert(id, Arc::new(GroupFile::new(file, path, Arc::clone(garbage))));
    }
    Ok(named)
}

/// Removes what a stop left: files that were being written, and those that no manifest names.
fn remove_leftovers(vfs: &dyn Vfs, dir: &Path, names: &[String], named: &NamedFiles) -> io::Result<()> {
    let mut removed = false;
    for name in names {
        let leftover = match FileId::parse(name) {
            Some(id) => !named.contains_key(&id),
            None => name.ends_with(UNREADY),
        };
        if leftover {
            tracing::debug!(name, "removing what a stop left behind");
            vfs.remove(&dir.join(name))?;
            removed = true;
        } else if FileId::parse(name).is_none() && name != MANIFEST {
            tracing::warn!(name, dir = %dir.display(), "a file in a group's folder that is not the group's");
        }
    }
    if removed {
        vfs.sync_dir(dir)?;
    }
    Ok(())
}

impl Manifest {
    /// The files it names and their lengths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (FileId, u64)> {
        let runs = self.runs.iter().map(|run| (FileId::run(run.number), run.len));
        let values = self.value_files.iter();
        runs.chain(values.map(|file| (FileId::values(file.number), file.len)))
    }
}
