//! A data directory whose node does not run: is it sound, what stands in it, what may be removed from it.
//!
//! The storage engine explains the journal and the groups (`atoll_storage::check`), `identity` the small files; here both
//! come together, under the lock of the directory, so that no node starts meanwhile. A check or a dump changes nothing but
//! the text in a lock file. On a file system that is read-only there can be no node, and no lock is needed.

mod error;
#[cfg(test)]
mod tests;

pub use atoll_storage::check::{
    CheckOptions, CheckpointReport, Damage, Damages, Dump, DumpError, DumpedEntry, DumpedRow, DumpedValue,
    FileKind, FileReport, FileState, GroupReport, LogReport, Repair, Report, Space, plan_drop,
    plan_leftovers,
};
pub use atoll_storage::sealed::{KeyId, KeyRing, keys_in_use};
pub use atoll_storage::{Manifest, RunEntry, ValueFileEntry};
pub use error::OfflineError;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::Env;
use atoll_env::vfs::OpenMode;
use atoll_kv::SystemKey;
use atoll_storage::{Identity, check};

use crate::crypt;
use crate::identity::{SEALED, SmallFiles, kind_of};
use crate::room::RESERVE;
use crate::state_backend::SLED_FOLDER;

/// Keeps a second process out of a folder.
const LOCK: &str = "LOCK";
/// Folders that the storage engine explains.
const FOLDERS: [&str; 2] = ["journal", "groups"];
const RESERVE_HOLDS: &str = "nothing: room that is given up when the disk is full";
const SLED_HOLDS: &str = "nothing that is not elsewhere: a start with --state-backend sled makes it again";
/// End of the name of a file that is being written.
const UNREADY: &str = ".new";
/// What a file system may keep in its root.
const LOST_AND_FOUND: &str = "lost+found";

/// A data directory, locked until this is dropped.
pub struct Offline {
    env: Env,
    path: PathBuf,
    names: Vec<String>,
    small: SmallFiles,
    identity: Identity,
    _locks: Vec<Box<dyn Send + Sync>>,
}

impl Offline {
    /// Opens a directory for looking into it. Fails while a node runs there.
    pub fn open(env: &Env, path: &Path) -> Result<Self, OfflineError> {
        Self::open_with(env, path, false)
    }

    /// Opens a directory for removing something from it: what is found then is what the disk has.
    pub fn open_to_repair(env: &Env, path: &Path) -> Result<Self, OfflineError> {
        let offline = Self::open_with(env, path, true)?;
        Repair::settle(env, path)?;
        Ok(offline)
    }

    fn open_with(env: &Env, path: &Path, writes: bool) -> Result<Self, OfflineError> {
        let names = list(env, path)?;
        let ours = |name: &String| kind_of(name).is_some() || FOLDERS.contains(&name.as_str());
        if !names.iter().any(ours) {
            return Err(OfflineError::Foreign {
                path: path.to_owned(),
            });
        }
        let mut locks = Vec::new();
        for folder in [path.to_owned(), path.join("journal")] {
            locks.extend(lock(env, &folder.join(LOCK), writes && folder == path)?);
        }
        // Before the lock it may have been another's.
        let names = list(env, path)?;
        check_sealed(env, path, &names)?;
        let small = SmallFiles::read(&*env.vfs, path)?;
        let identity = match small.ident {
            Some(ident) => Some(Identity {
                cluster: ident.cluster,
                node: ident.node,
            }),
            None => check::owner(env, path)?,
        };
        Ok(Self {
            env: env.clone(),
            path: path.to_owned(),
            names,
            small,
            identity: identity.unwrap_or_default(),
            _locks: locks,
        })
    }

    /// Looks at every file. `progress` is told now and then how many bytes are done with, of how many.
    pub fn check(
        &self,
        options: CheckOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Report, OfflineError> {
        let mut report = check::check(&self.env, &self.path, self.identity, options, progress)?;
        for name in &self.names {
            report.files.extend(self.look_at(name));
        }
        for (name, why) in &self.small.missing {
            let kind = if FOLDERS.contains(name) {
                FileKind::Folder
            } else {
                FileKind::Identity
            };
            report.files.push(FileReport {
                path: PathBuf::from(name),
                kind,
                bytes: 0,
                state: FileState::Missing(why.clone()),
                holds: String::new(),
            });
        }
        report.problems.extend(self.small.problems.iter().cloned());
        report.files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(report)
    }

    /// What is to be said of a name in the directory; nothing of the folders, whose files are told one by one.
    fn look_at(&self, name: &str) -> Option<FileReport> {
        if FOLDERS.contains(&name) && self.is_folder(name) {
            return None;
        }
        let small = self.small.found.iter().find(|(found, _)| *found == name);
        let mut holds = String::new();
        let (kind, state) = match (small, kind_of(name)) {
            (Some((_, says)), hint) => {
                let kind = if hint == Some(true) {
                    FileKind::Hint
                } else {
                    FileKind::Identity
                };
                let state = match says {
                    Ok(says) => {
                        holds.clone_from(says);
                        FileState::Sound
                    }
                    Err(what) => FileState::Damaged(Damages::one(0, what.clone())),
                };
                (kind, state)
            }
            (None, _) if name == LOCK => (FileKind::Lock, FileState::Sound),
            (None, _) if name == RESERVE && !self.is_folder(name) => {
                RESERVE_HOLDS.clone_into(&mut holds);
                (FileKind::Reserve, FileState::Sound)
            }
            (None, _) if name.ends_with(UNREADY) && kind_of(name.trim_end_matches(UNREADY)).is_some() => {
                let why = "it was being written when the process ended".to_owned();
                (FileKind::Unready, FileState::Leftover(why))
            }
            (None, _) if name == SLED_FOLDER && self.is_folder(name) => {
                SLED_HOLDS.clone_into(&mut holds);
                (FileKind::Folder, FileState::Sound)
            }
            (None, _) if name == LOST_AND_FOUND || self.is_folder(name) => {
                (FileKind::Folder, FileState::Unknown)
            }
            (None, _) => (FileKind::Other, FileState::Unknown),
        };
        let file = self.env.vfs.open(&self.path.join(name), OpenMode::Read);
        Some(FileReport {
            path: PathBuf::from(name),
            kind,
            bytes: file.and_then(|file| file.len()).unwrap_or(0),
            state,
            holds,
        })
    }

    fn is_folder(&self, name: &str) -> bool {
        self.env.vfs.list(&self.path.join(name)).is_ok()
    }

    /// Opens what is to be shown. With `logs` the journal is read as at a start.
    pub fn dump(&self, logs: bool) -> Result<Dump, OfflineError> {
        Ok(Dump::open(&self.env, &self.path, self.identity, logs)?)
    }

    /// Does what was planned by a check of this very directory.
    pub fn repair(&self, repair: &Repair) -> Result<(), OfflineError> {
        Ok(repair.apply(&self.env, &self.path)?)
    }
}

/// What a row of the system is about, in words.
pub fn system_row_name(key: &[u8]) -> String {
    match SystemKey::parse(key) {
        Some(key) => key.to_string(),
        None => "too short for a key".to_owned(),
    }
}

/// True for the row of a session.
pub fn is_session(key: &[u8]) -> bool {
    SystemKey::parse(key).is_some_and(|key| key.kind == SystemKey::SESSION)
}

/// An environment in which the files of a directory are seen through its keys.
pub fn with_keys(env: &Env, path: &Path, keys: KeyRing) -> Env {
    let mut env = env.clone();
    crypt::seal(&mut env, path, &Arc::new(keys));
    env
}

/// Refuses keys where there is nothing for them, and the lack of keys where there is.
fn check_sealed(env: &Env, path: &Path, names: &[String]) -> Result<(), OfflineError> {
    let sealed = names.iter().any(|name| name == SEALED);
    let path = path.to_owned();
    match (sealed, env.vfs.seals(&path.join("journal"))) {
        (true, false) => Err(OfflineError::Sealed { path }),
        (false, true) => Err(OfflineError::Clear { path }),
        _ => Ok(()),
    }
}

fn list(env: &Env, path: &Path) -> Result<Vec<String>, OfflineError> {
    env.vfs.list(path).map_err(|source| OfflineError::NotThere {
        path: path.to_owned(),
        source,
    })
}

/// Takes a lock if its file is there; with `always` also if not.
fn lock(env: &Env, path: &Path, always: bool) -> Result<Option<Box<dyn Send + Sync>>, OfflineError> {
    if !always && !env.vfs.exists(path)? {
        return Ok(None);
    }
    match env.vfs.lock(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(OfflineError::InUse(error)),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && !always => Ok(None),
        Err(error) => Err(error.into()),
    }
}
