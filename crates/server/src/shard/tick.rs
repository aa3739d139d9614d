//! Ticks (D3): an idle leader lets group time pass while something waits for it.
//!
//! Group time only moves with entries. Sessions and, later, leases and TTLs expire in it; with
//! nothing written they would stay for ever. So a leader that proposed nothing for a while, and whose
//! machine has deadlines, proposes an empty entry that carries the elapsed time.

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_env::{Env, Instant};
use atoll_kv::Command;

use super::Shard;
use super::reply::ReplySlot;
use super::write::WriteItem;

/// Idle time after which a leader proposes a tick.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Patience of a tick in the queue; a later one does as well.
const TICK_DEADLINE: Duration = Duration::from_secs(10);

/// When this node last packed an entry of the group.
#[derive(Debug)]
pub(crate) struct LastEntry(AtomicU64);

impl LastEntry {
    /// Counts idle time from `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self(AtomicU64::new(now.as_nanos()))
    }

    /// An entry was packed at `now`.
    pub(crate) fn touch(&self, now: Instant) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// When a tick is due, unless an entry comes first.
    fn tick_due(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Relaxed)) + IDLE_MAX
    }
}

/// Runs until the shard is gone.
pub(crate) async fn run(env: Env, shard: Weak<Shard>, last_entry: Arc<LastEntry>) {
    loop {
        env.clock.sleep_until(last_entry.tick_due()).await;
        let now = env.clock.now();
        if last_entry.tick_due() > now {
            continue;
        }
        let Some(shard) = shard.upgrade() else { return };
        last_entry.touch(now);
        if shard.wants_tick() {
            shard.submit_writes(vec![WriteItem::new(
                Command::tick(),
                now + TICK_DEADLINE,
                ReplySlot::ignored(),
            )]);
        }
    }
}

impl Shard {
    fn wants_tick(&self) -> bool {
        self.state.has_deadlines() && *self.leader.borrow() == Some(self.state.replica)
    }
}
