//! Put, get, compare-and-set and delete on keys that rotate.

use atoll_env::BoxFuture;
use atoll_history::Call;

use super::Workload;
use super::driver::Driver;
use super::keys::Keys;
use super::worker::Worker;

/// See the module.
pub(super) struct Register {
    keys: Keys,
}

impl Default for Register {
    fn default() -> Self {
        Self {
            keys: Keys::new("register"),
        }
    }
}

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn about(&self) -> &'static str {
        "Puts, gets, compare-and-sets and deletes; every answer must fit one order that agrees with real time."
    }

    fn act<'a>(&'a self, _: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(driver.read_at_end(self.keys.all(), &Call::GET))
    }
}

impl Register {
    async fn step(&self, worker: &mut Worker) {
        let key = self.keys.pick(worker.rng());
        worker.use_register(&key).await;
    }
}
