//! A folder of its own for a database.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// A folder that was not there before, and is gone with everything in it when this is dropped.
pub(crate) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Creates `name` within `parent`, or within the system's temporary folder. With `keep` it stays.
    pub(crate) fn create(parent: Option<&Path>, name: &str, keep: bool) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        fs::create_dir_all(&parent)?;
        let path = parent.join(format!("atoll-benches-{}-{name}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, keep })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("kept: {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} could not be removed: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_unless_it_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for keep in [false, true] {
            let folder = Folder::create(Some(parent.path()), &keep.to_string(), keep).unwrap();
            fs::write(folder.path().join("file"), b"").unwrap();
            assert!(
                Folder::create(Some(parent.path()), &keep.to_string(), keep).is_err(),
                "taken"
            );
            paths.push(folder.path().to_owned());
        }
        assert!(!paths[0].exists());
        assert!(paths[1].join("file").exists());
    }
}
