//! Files of a folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Advice;

use crate::Result;

/// `st_blocks` counts in these, whatever the file system's own blocks are.
const BLOCK_BYTES: u64 = 512;

/// What the files of a folder take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Their lengths together.
    pub(crate) apparent: u64,
    /// Bytes that the file system gave them; holes take none, and what is reserved ahead counts.
    pub(crate) allocated: u64,
}

impl Usage {
    /// Of a folder and those below it. Files that vanish meanwhile do not count.
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let mut usage = Self::default();
        for path in files(dir)? {
            match fs::metadata(&path) {
                Ok(metadata) => {
                    usage.apparent += metadata.len();
                    usage.allocated += metadata.blocks() * BLOCK_BYTES;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(usage)
    }
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder != dir => continue,
            Err(error) => return Err(format!("{}: {error}", folder.display()).into()),
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(files)
}

/// Makes later reads of a folder's files come from the disk: each is synced, because pages that wait to be written stay,
/// and then dropped from the page cache (`POSIX_FADV_DONTNEED`). What a hypervisor caches below stays.
pub(crate) fn drop_cached(dir: &Path) -> Result<()> {
    for path in files(dir)? {
        let file = File::open(&path)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

/// Writes everything that waits for the folder's file system, so that counters of its device have it.
pub(crate) fn sync_filesystem(dir: &Path) -> Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_blocks_of_all_folders_below() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::write(dir.path().join("one"), [1; 10_000]).unwrap();
        fs::write(dir.path().join("below/two"), [1; 5_000]).unwrap();
        let holes = File::create(dir.path().join("below/holes")).unwrap();
        holes.set_len(1 << 30).unwrap();
        drop_cached(dir.path()).unwrap();
        let usage = Usage::of(dir.path()).unwrap();
        assert_eq!(usage.apparent, 15_000 + (1 << 30));
        assert!((15_000..1_000_000).contains(&usage.allocated), "{usage:?}");
        assert_eq!(fs::read(dir.path().join("one")).unwrap(), [1; 10_000]);
        assert!(Usage::of(&dir.path().join("none")).is_err());
    }
}
