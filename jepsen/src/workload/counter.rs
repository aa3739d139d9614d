//! Ones are added to counters by clients that retry; no addition may count twice or be lost.

use atoll_env::BoxFuture;
use atoll_history::{Call, Level};

use super::Workload;
use super::driver::Driver;
use super::keys::Keys;
use super::worker::Worker;

const READ: Call = Call::CounterRead {
    level: Level::Linearizable,
};

/// See the module.
pub(super) struct Counter {
    keys: Keys,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            keys: Keys::new("counter"),
        }
    }
}

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn about(&self) -> &'static str {
        "Increments; no two may be answered with one number, and every sum must be possible."
    }

    fn act<'a>(&'a self, _: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(driver.read_at_end(self.keys.all(), &READ))
    }
}

impl Counter {
    async fn step(&self, worker: &mut Worker) {
        let key = self.keys.pick(worker.rng());
        let call = if worker.rng().below(5) == 0 {
            READ
        } else {
            Call::CounterAdd { amount: 1 }
        };
        worker.ask(&key, call).await;
    }
}
