//! Reads of every level from every replica, between writes; each is held to its own promise.

use atoll_env::{BoxFuture, Rng};
use atoll_history::{Call, Level};

use super::Workload;
use super::driver::Driver;
use super::keys::Keys;
use super::worker::Worker;

/// The longest age that a bounded read allows.
const AGE_MAX_NS: u64 = 4_000_000_000;

/// See the module.
pub(super) struct Levels {
    keys: Keys,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            keys: Keys::new("levels"),
        }
    }
}

impl Workload for Levels {
    fn name(&self) -> &'static str {
        "levels"
    }

    fn about(&self) -> &'static str {
        "Linearizable, session, bounded and eventual reads from all replicas, each held to its own promise."
    }

    fn act<'a>(&'a self, _: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(driver.read_at_end(self.keys.all(), &Call::GET))
    }
}

impl Levels {
    async fn step(&self, worker: &mut Worker) {
        let key = self.keys.pick(worker.rng());
        if worker.rng().below(100) < 35 {
            worker.use_register(&key).await;
            return;
        }
        let level = level(worker.rng());
        worker.ask_any_replica(&key, Call::Get { level }).await;
    }
}

/// All levels alike; bounds from none to long, whole milliseconds as on the wire.
pub(super) fn level(rng: &Rng) -> Level {
    match rng.below(4) {
        0 => Level::Linearizable,
        1 => Level::Session,
        2 => Level::Bounded {
            max_age_ns: rng.below(AGE_MAX_NS / 1_000_000) * 1_000_000,
        },
        _ => Level::Eventual,
    }
}
