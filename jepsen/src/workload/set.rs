//! Elements are put into sets; none that was acknowledged may be missing, none may be there twice.

use atoll_env::BoxFuture;
use atoll_history::{Call, Level};

use super::Workload;
use super::driver::Driver;
use super::keys::Keys;
use super::worker::Worker;

const READ: Call = Call::SetRead {
    level: Level::Linearizable,
};

/// See the module.
pub(super) struct Set {
    keys: Keys,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            keys: Keys::new("set"),
        }
    }
}

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn about(&self) -> &'static str {
        "Elements are appended to sets; the final reads must have every acknowledged one, once."
    }

    fn act<'a>(&'a self, _: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(driver.read_at_end(self.keys.all(), &READ))
    }
}

impl Set {
    async fn step(&self, worker: &mut Worker) {
        let key = self.keys.pick(worker.rng());
        let call = if worker.rng().below(5) == 0 {
            READ
        } else {
            let element = worker.value();
            Call::SetAdd { element }
        };
        worker.ask(&key, call).await;
    }
}
