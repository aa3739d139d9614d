//! Put, get, compare-and-set and delete on keys that rotate.

use std::collections::BTreeMap;

use atoll_env::{BoxFuture, Instant};
use atoll_history::{Call, Expected, Level};

use super::Workload;
use super::driver::Driver;
use super::keys::Keys;
use super::worker::Worker;

/// How many keys a worker remembers versions of; those in use are among them.
const REMEMBERED_MAX: usize = 64;

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

    fn run<'a>(&'a self, driver: &'a Driver, worker: u32, until: Instant) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut worker = driver.worker(worker);
            let mut seen = Versions::default();
            while worker.next(until).await {
                let key = self.keys.pick(worker.rng());
                let call = seen.choose(&worker, &key);
                let outcome = worker.ask(&key, call).await;
                seen.note(key, outcome.version_shown());
            }
        })
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(driver.read_at_end(self.keys.all(), &Call::GET))
    }
}

/// The versions a worker saw last, by key.
#[derive(Default)]
pub(super) struct Versions(BTreeMap<String, u64>);

impl Versions {
    pub(super) fn note(&mut self, key: String, version: Option<u64>) {
        if let Some(version) = version {
            self.0.insert(key, version);
        }
        // Names grow: the first is the oldest.
        if self.0.len() > REMEMBERED_MAX {
            self.0.pop_first();
        }
    }

    /// Half of the operations write.
    pub(super) fn choose(&self, worker: &Worker, key: &str) -> Call {
        let value = || worker.value();
        match worker.rng().below(100) {
            0..25 => Call::Put { value: value() },
            25..46 => Call::Cas {
                expected: Expected {
                    version: self.0.get(key).copied().unwrap_or(0),
                    value: None,
                },
                value: Some(value()),
            },
            46..50 => Call::Delete,
            _ => Call::Get {
                level: Level::Linearizable,
            },
        }
    }
}
