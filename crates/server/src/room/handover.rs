//! Hands leaderships to nodes that have room.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_raft::RaftHost;
use atoll_storage::Journal;
use atoll_types::GroupId;

use super::DiskRoom;

const EVERY: Duration = Duration::from_secs(1);
/// Looks in a row at which writes were refused, before anything is handed over: space may come back at once.
const LOOKS: u32 = 10;
const WHY: &str = "the disk of its node is almost full";

/// Watches a node whose disk may run full.
pub(crate) struct Handover {
    pub(crate) env: Env,
    pub(crate) host: RaftHost,
    pub(crate) journal: Journal,
    pub(crate) room: Arc<DiskRoom>,
}

impl Handover {
    /// Works until stopped.
    pub(crate) async fn run(self) {
        let mut looks = 0;
        loop {
            self.env.clock.sleep(EVERY).await;
            let full = self.room.is_full(self.journal.used_bytes(), false).is_some();
            looks = if full { looks + 1 } else { 0 };
            self.host.set_reluctance(full.then_some(WHY));
            if looks >= LOOKS {
                self.give_up().await;
                looks = 0;
            }
        }
    }

    /// Whoever takes a group over must say that its own disk has room, and for a while this node does not get it back. So the worst
    /// that comes of full disks everywhere is a question.
    async fn give_up(&self) {
        let data = self.host.groups().into_iter();
        let led = data.filter(|group| group.key().id != GroupId::CONTROL && group.is_leader());
        for group in led.collect::<Vec<_>>() {
            if let Err(error) = group.give_up_leadership(WHY).await {
                tracing::debug!(group = %group.key(), %error, "leadership was not handed over");
            }
        }
    }
}
