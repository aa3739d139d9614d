//! The directory of sled, and the one database in it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sled::{Config, Db, Mode, Tree};

use crate::SledError;
use crate::error::guarded;

/// sled for all groups of a node, empty when it was opened. A cheap handle.
#[derive(Clone)]
pub struct SledHome(Arc<Home>);

struct Home {
    db: Db,
    /// The number of the next tree.
    next: AtomicU64,
}

impl SledHome {
    /// Throws this directory away, whatever is in it, and opens sled in a fresh one. About `cache_bytes` of pages stay in
    /// memory. There must be one at a time for a directory, and the directory must be nobody else's: give one below the
    /// node's own, which is locked. Waits for the disk.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, SledError> {
        let failed = |error| SledError::Directory {
            dir: dir.to_owned(),
            error,
        };
        remove(dir).map_err(failed)?;
        let config = Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .mode(Mode::HighThroughput)
            // Nothing here has to outlive the process.
            .flush_every_ms(None);
        // A panic of sled in the middle of opening leaves locks and thread locals behind that nobody should meet again.
        let opening = thread::Builder::new()
            .name("sled-open".to_owned())
            .spawn(move || config.open())
            .map_err(failed)?;
        let db = match opening.join() {
            Ok(opened) => opened?,
            Err(panic) => return Err(SledError::of_panic(&*panic)),
        };
        Ok(Self(Arc::new(Home {
            db,
            next: AtomicU64::new(0),
        })))
    }

    /// A tree that nobody has.
    pub(crate) fn fresh_tree(&self) -> Result<Tree, SledError> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        guarded(|| self.0.db.open_tree(format!("rows-{number}")))
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "sled makes its files itself, outside of the seam; so they are removed outside of it"
)]
fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
