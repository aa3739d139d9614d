//! Looks at the disk once a second, and when much came to the journal. What it takes in between, [`DiskRoom`] takes off by itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_storage::Journal;

use super::DiskRoom;
use super::ballast::Ballast;

const EVERY: Duration = Duration::from_secs(1);
/// The ballast is this part of what the disk must have free.
const BALLAST_SHARE: u64 = 4;
/// It is given up when only this part of that is free: before removals are refused, which is when nothing else may
/// give any space.
const GIVEN_UP_SHARE: u64 = 2;

/// Keeps a [`DiskRoom`] up to date, and the ballast.
pub(crate) struct Watch {
    env: Env,
    dir: PathBuf,
    room: Arc<DiskRoom>,
    ballast: Ballast,
}

impl Watch {
    pub(crate) fn new(env: &Env, data: &Path, room: Arc<DiskRoom>) -> Self {
        Self {
            env: env.clone(),
            dir: data.to_owned(),
            ballast: Ballast::new(data, room.keep_free_bytes() / BALLAST_SHARE),
            room,
        }
    }

    /// Looks until stopped.
    pub(crate) async fn run(self, journal: Journal) {
        if self.room.keep_free_bytes() == 0 {
            return;
        }
        let watch = Arc::new(self);
        let mut told = false;
        loop {
            let (own, journal_bytes) = (watch.clone(), journal.used_bytes());
            let looked = watch.env.spawn.blocking(move || own.look(journal_bytes)).await;
            if let Err(error) = &looked
                && !told
            {
                tracing::warn!(%error, "it cannot be told how full the disk is, or the reserve not be kept");
            }
            told = looked.is_err();
            if told {
                watch.env.clock.sleep(EVERY).await;
            } else {
                // Sooner if much came to the journal.
                let _ = watch.env.clock.timeout(EVERY, watch.room.stale()).await;
            }
        }
    }

    fn look(&self, journal_bytes: u64) -> io::Result<()> {
        let vfs = &*self.env.vfs;
        let free = vfs.free_bytes(&self.dir)?;
        self.room.look(free, journal_bytes);
        let keep = self.room.keep_free_bytes();
        if free < keep / GIVEN_UP_SHARE {
            if self.ballast.give_up(vfs)? {
                tracing::error!(
                    free,
                    given_up = self.ballast.bytes(),
                    "the disk is full: the reserve is given up"
                );
                self.room.look(vfs.free_bytes(&self.dir)?, journal_bytes);
            }
        } else if free >= keep.saturating_mul(2) {
            self.ballast.make(vfs)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::Vfs;
    use atoll_env::vfs::MemVfs;

    #[test]
    fn the_reserve_goes_when_the_disk_is_full_and_comes_back_when_there_is_room() {
        let vfs = MemVfs::default();
        let dir = Path::new("/data");
        vfs.create_dir_all(dir).unwrap();
        let mut env = Env::real();
        env.vfs = Arc::new(vfs.clone());
        let watch = Watch::new(&env, dir, Arc::new(DiskRoom::new(None, 1000)));
        let look = |free| {
            vfs.set_free_bytes(free);
            watch.look(0).unwrap();
            (vfs.exists(&dir.join("reserve.bin")).unwrap(), watch.room.is_low())
        };
        assert_eq!(look(1999), (false, false), "making it would leave too little");
        assert_eq!(look(2000), (true, false));
        assert_eq!(look(500), (true, true));
        assert_eq!(look(499), (false, true));
        assert_eq!(vfs.free_bytes(dir).unwrap(), 749);
        assert_eq!(look(1500), (false, false));
        assert_eq!(look(2500), (true, false));
    }
}
