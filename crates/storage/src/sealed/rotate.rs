//! Wrapping the keys of files under another key, and seeing which keys files are under.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::vfs::{File, OpenMode};
use atoll_env::{Rng, Vfs};

use super::header::{self, HeaderCopy, look, read_front};
use super::keys::{KeyId, KeyRing};
use super::page::{HEADER_BYTES, PAGE};
use super::{FOLDERS, is_sealed_place};

/// End of the name of a file that was being written: the next start removes it.
const UNREADY: &str = ".new";

/// Wraps the key of every sealed file under the newest key, and makes good what is damaged of one copy of a header. Returns how
/// many files were written to.
///
/// Nothing else may use the directory. One copy of a header is written only while the other one is sound and durable, so a
/// stop at any point leaves files that open with the keys given here; it may be repeated. Returned without an error, no
/// file needs an older key any more, but for those that the disk does not read now: they are named in the log, and fail whoever
/// needs them, as they would without encryption.
pub async fn rotate(below: &dyn Vfs, data: &Path, keys: &KeyRing, rng: &Rng) -> io::Result<u64> {
    let mut changed = 0;
    for path in files(below, data)? {
        match front_of(below, &path, OpenMode::Write) {
            Ok((file, front)) => {
                let front = (&*path, &front[..]);
                changed += u64::from(rewrap(&*file, front, keys, rng).await?);
            }
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "the key of a file cannot be read: keep older keys until it can");
            }
        }
    }
    Ok(changed)
}

/// A file, and what stands at its front.
fn front_of(below: &dyn Vfs, path: &Path, mode: OpenMode) -> io::Result<(Arc<dyn File>, Vec<u8>)> {
    let file = below.open(path, mode)?;
    let front = read_front(&*file)?;
    Ok((file, front))
}

async fn rewrap(
    file: &dyn File,
    (path, front): (&Path, &[u8]),
    keys: &KeyRing,
    rng: &Rng,
) -> io::Result<bool> {
    let current = |copy: &[u8]| matches!(look(copy), HeaderCopy::Wrapped(id) if id == keys.newest());
    if front.len() < HEADER_BYTES || front.chunks(PAGE).all(current) {
        return Ok(false);
    }
    // Without a sound copy nothing of the file can be read; whoever reads it says so.
    let Some((sound, secret)) = header::open(front, keys, path)? else {
        return Ok(false);
    };
    // What was read may be only in the cache: the copy that is kept has to be on the disk before the other one is touched.
    file.sync().await?;
    for at in [1 - sound, sound] {
        let offset = (at * PAGE) as u64;
        file.write_at(&secret.wrap(keys, rng), offset).await?;
        file.sync().await?;
    }
    Ok(true)
}

/// What the headers of a directory's files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysInUse {
    /// How many files are under which key.
    pub keys: BTreeMap<KeyId, u64>,
    /// Files with only one sound copy of their header. The next start makes the other one good.
    pub halves: Vec<PathBuf>,
    /// Files that the disk does not read now.
    pub unread: Vec<PathBuf>,
}

/// Looks at the headers of all sealed files. Needs no key.
pub fn keys_in_use(below: &dyn Vfs, data: &Path) -> io::Result<KeysInUse> {
    let mut found = KeysInUse::default();
    for path in files(below, data)? {
        let Ok((_, front)) = front_of(below, &path, OpenMode::Read) else {
            found.unread.push(path);
            continue;
        };
        let wrapped = front.chunks(PAGE).filter_map(|copy| match look(copy) {
            HeaderCopy::Wrapped(id) => Some(id),
            HeaderCopy::Bad | HeaderCopy::Unsupported(_) => None,
        });
        let wrapped: Vec<_> = wrapped.collect();
        if let Some(id) = wrapped.first() {
            *found.keys.entry(*id).or_default() += 1;
        }
        if wrapped.len() == 1 {
            found.halves.push(path);
        }
    }
    Ok(found)
}

/// The files of a data directory that are sealed, if it is a sealed one.
fn files(below: &dyn Vfs, data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|name| data.join(name)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let names = match below.list(&folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for name in names {
            let path = folder.join(&name);
            // Other folders are nobody's.
            let is_group = crate::manifest::parse_folder_name(&name).is_some();
            if is_group && folder != data.join(crate::check::JOURNAL) {
                folders.push(path);
            } else if is_sealed_place(data, &path) && !name.ends_with(UNREADY) && below.list(&path).is_err() {
                files.push(path);
            }
        }
    }
    Ok(files)
}
