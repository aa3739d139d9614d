//! Takes space back, once a second: logs are purged as far as they may be, groups that hold back old segments of the journal
//! make checkpoints although nothing is written to them, and segments go that nobody needs any more. When there is hardly room left,
//! the storage engine is told to do whatever may give some.
//!
//! Moving what is needed out of old segments is the storage engine's own work (`atoll_storage`, `store/mod.rs`); it looks for
//! it when it is told to here.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_raft::RaftHost;
use atoll_storage::{Journal, Store};

use crate::room::DiskRoom;

const EVERY: Duration = Duration::from_secs(1);

/// What it works on.
pub(crate) struct Reclaim {
    pub(crate) env: Env,
    pub(crate) store: Store,
    pub(crate) host: RaftHost,
    pub(crate) journal: Journal,
    pub(crate) room: Arc<DiskRoom>,
}

impl Reclaim {
    /// Works until stopped.
    pub(crate) async fn run(self) {
        let mut told = false;
        loop {
            self.env.clock.sleep(EVERY).await;
            let used_bytes = self.journal.used_bytes();
            let tight = self.room.is_tight(used_bytes);
            self.store.set_spare_room(self.room.left_of_quota(used_bytes));
            self.store.set_urgent(tight);
            self.host.set_tight(tight);
            self.store.look();
            self.store.relieve();
            self.purge().await;
            let freed = self.store.reclaim().await;
            if let Err(error) = &freed
                && !told
            {
                tracing::warn!(%error, "segments of the journal that nobody needs could not be let go; trying again");
            }
            told = freed.is_err();
            self.room.journal().look(self.store.journal_load());
            self.room.note_file_bytes(self.store.disk_bytes());
        }
    }

    async fn purge(&self) {
        let pressed = self.store.groups_that_hold_space();
        for group in self.host.groups() {
            group.purge();
            if pressed.contains(&group.key())
                && let Err(error) = group.checkpoint().await
            {
                tracing::debug!(group = %group.key(), %error, "no checkpoint was made for space");
            }
        }
    }
}
