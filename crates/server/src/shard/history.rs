//! Who says how much history a group keeps: its leader, by an entry, so that all replicas agree.
//!
//! It is a setting of nodes, which should be the same on all of them; where it is not, the setting of whoever leads holds. While
//! a node's disk is nearly full, the groups that it leads give their history up: room for writes is worth more.

use std::sync::Weak;
use std::time::Duration;

use atoll_env::{Env, watch};
use atoll_kv::{Command, EntryHeader, HistoryLimits, encode_entry};
use atoll_types::{ReplicaId, Version};

use super::Shard;

/// How often a leader looks whether there is still room for what it keeps.
const PERIOD: Duration = Duration::from_secs(10);
/// How long a leader waits before it says again what was not taken.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until the shard is gone.
pub(crate) async fn run(env: Env, shard: Weak<Shard>, mut leader: watch::Receiver<Option<ReplicaId>>) {
    loop {
        // Seen before looking, so that a change meanwhile ends the wait below.
        let leads = *leader.borrow_and_update();
        let Some(shard) = shard.upgrade() else { return };
        let next = if leads == Some(shard.state.replica) {
            shard.settle_history().await
        } else {
            None
        };
        drop(shard);
        let ended = match next {
            Some(period) => tokio::select! {
                biased;
                changed = leader.changed() => changed.is_err(),
                () = env.clock.sleep(period) => false,
            },
            None => leader.changed().await.is_err(),
        };
        if ended {
            return;
        }
    }
}

impl Shard {
    /// Says what is to be kept, if it is not what is kept. When to look again; `None`: not while the leader stays the same.
    async fn settle_history(&self) -> Option<Duration> {
        let wanted = self.wanted_history();
        let kept = self.state.history();
        if wanted == kept {
            return self.history.map(|_| PERIOD);
        }
        let stamp = Version::from_millis(self.env.clock.wall_ms()).max(self.state.version());
        let header = EntryHeader { stamp, elapsed_ms: 0 };
        let payload = encode_entry(header, [&Command::keep_history(wanted)]);
        match self.group.propose(payload).await {
            Ok(_) => {
                tracing::info!(group = %self.state.key, ?wanted, ?kept, "what history is kept has changed");
            }
            Err(error) => {
                tracing::debug!(group = %self.state.key, %error, "history could not be set yet");
            }
        }
        Some(RETRY)
    }

    fn wanted_history(&self) -> Option<HistoryLimits> {
        let is_full = self.room.is_full(self.journal.used_bytes(), false).is_some();
        self.history.filter(|_| !is_full)
    }
}
