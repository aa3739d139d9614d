//! A file of nothing, to be given up when the disk is full.

use std::io;
use std::path::{Path, PathBuf};

use atoll_env::Vfs;
use atoll_env::vfs::OpenMode;

/// Its name in the data directory.
pub(crate) const NAME: &str = "reserve.bin";

/// The ballast of a data directory. Its calls wait for the disk.
pub(super) struct Ballast {
    dir: PathBuf,
    path: PathBuf,
    bytes: u64,
}

impl Ballast {
    pub(super) fn new(dir: &Path, bytes: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            path: dir.join(NAME),
            bytes,
        }
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it if it is not there. Of one that could not be made nothing stays.
    pub(super) fn make(&self, vfs: &dyn Vfs) -> io::Result<()> {
        if self.bytes == 0 || vfs.exists(&self.path)? {
            return Ok(());
        }
        let file = vfs.open(&self.path, OpenMode::CreateNew)?;
        if let Err(error) = file.allocate(self.bytes) {
            drop(file);
            vfs.remove(&self.path)?;
            return Err(error);
        }
        vfs.sync_dir(&self.dir)
    }

    /// Gives it up; true if it was there.
    pub(super) fn give_up(&self, vfs: &dyn Vfs) -> io::Result<bool> {
        if !vfs.exists(&self.path)? {
            return Ok(false);
        }
        vfs.remove(&self.path)?;
        vfs.sync_dir(&self.dir)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::vfs::MemVfs;

    #[test]
    fn it_takes_its_room_and_gives_it_back() {
        let vfs = MemVfs::default();
        let dir = Path::new("/data");
        vfs.create_dir_all(dir).unwrap();
        vfs.set_free_bytes(1000);
        let ballast = Ballast::new(dir, 600);
        assert!(!ballast.give_up(&vfs).unwrap());
        ballast.make(&vfs).unwrap();
        ballast.make(&vfs).unwrap();
        assert_eq!(vfs.free_bytes(dir).unwrap(), 400);
        assert!(ballast.give_up(&vfs).unwrap());
        assert_eq!(vfs.free_bytes(dir).unwrap(), 1000);
        let large = Ballast::new(dir, 1001);
        assert_eq!(large.make(&vfs).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(
            vfs.list(dir).unwrap(),
            Vec::<String>::new(),
            "nothing of it stays"
        );
    }
}
