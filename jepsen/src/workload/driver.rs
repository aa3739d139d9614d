//! What all workloads share: clients, the recorder, the pace.

use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, Options as ClientOptions};
use atoll_env::{BoxFuture, Env, Rng};
use atoll_history::Call;

use super::recorder::Recorder;
use super::worker::Worker;

/// The nodes' addresses (`host:port`), node 1 first, as they are now.
pub type Addresses = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// How often a key is read at the end before it counts as unreadable, each time with the client's retries.
const FINAL_TRIES: u32 = 3;

/// How long one final read may take.
const FINAL_DEADLINE: Duration = Duration::from_secs(15);

/// After so many keys that cannot be read at the end, the others are not tried any more: it would take hours.
const UNREADABLE_MAX: usize = 3;

/// What a driver is made of.
#[derive(Clone)]
pub struct Plan {
    /// Where the nodes are.
    pub addresses: Addresses,
    /// How many workers there are.
    pub concurrency: u32,
    /// Operations per second that all workers together aim at.
    pub rate: u32,
    /// Decides what is asked for.
    pub seed: u64,
}

/// Drives workloads.
pub struct Driver {
    env: Env,
    plan: Plan,
    recorder: Recorder,
    /// One for each worker.
    clients: Vec<Client>,
}

impl Driver {
    /// Connects one client for each worker to a cluster that answers, within their deadline.
    pub async fn connect(env: Env, plan: Plan, recorder: Recorder) -> Result<Self, String> {
        let seeds = (plan.addresses)();
        let mut clients = Vec::new();
        for number in 0..plan.concurrency.max(1) {
            let options = options(&Rng::seeded(mixed(plan.seed, number)));
            let client = Client::connect(&env, &seeds, options).await.map_err(|error| {
                format!("client {number} cannot connect to {}: {error}", seeds.join(", "))
            })?;
            clients.push(client);
        }
        Ok(Self {
            env,
            plan,
            recorder,
            clients,
        })
    }

    /// The outside world.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// What was noted.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// How many workers there are to be.
    pub fn workers(&self) -> u32 {
        self.plan.concurrency
    }

    /// Closes all clients' connections.
    pub async fn close(&self) {
        for client in &self.clients {
            client.close().await;
        }
    }

    /// A worker with a number of its own.
    pub(super) fn worker(&self, number: u32) -> Worker {
        let client = u64::from(number) % self.count();
        self.worker_as(number, self.recorder.process(Some(client as u32)))
    }

    /// The same, whose writes do not count as those of its client.
    pub(super) fn lone_worker(&self, number: u32) -> Worker {
        self.worker_as(number, self.recorder.process(None))
    }

    fn worker_as(&self, number: u32, process: u32) -> Worker {
        let rng = Rng::seeded(mixed(self.plan.seed ^ 0x5e_ed0f_0a75, number));
        let interval = Duration::from_secs(self.count()) / self.plan.rate.max(1);
        let client = self.client((u64::from(number) % self.count()) as usize);
        let pace = (self.env.clock.clone(), interval);
        Worker::new(client, process, pace, rng, self.recorder.clone())
    }

    fn count(&self) -> u64 {
        u64::from(self.plan.concurrency.max(1))
    }

    fn client(&self, number: usize) -> Client {
        let client = self.clients.get(number).or(self.clients.last());
        client.expect("there is one at least").clone()
    }

    /// Who reads at the end: patient. Not by a client kept aside for that: one that asked nothing while all nodes got
    /// other addresses knows none of them any more.
    pub(super) fn final_worker(&self) -> Worker {
        let client = self.client(0).with_deadline(FINAL_DEADLINE);
        let process = self.recorder.process(Some(self.plan.concurrency));
        let rng = Rng::seeded(self.plan.seed);
        let pace = (self.env.clock.clone(), Duration::ZERO);
        Worker::new(client, process, pace, rng, self.recorder.clone())
    }

    /// Reads keys at the end, each until there is an answer.
    pub(super) async fn read_at_end(&self, keys: Vec<String>, call: &Call) {
        let worker = self.final_worker();
        for key in keys {
            let read = || -> BoxFuture<'_, bool> { Box::pin(worker.is_answered(&key, call)) };
            self.at_end(&key, read).await;
        }
    }

    /// Reads something at the end, until `read` says that there was an answer.
    pub(super) async fn at_end<'a>(&self, what: &str, read: impl Fn() -> BoxFuture<'a, bool> + Send) {
        if self.recorder.unread_at_end() >= UNREADABLE_MAX {
            self.recorder.read_at_end(Some(format!("{what}: not tried")));
            return;
        }
        for _ in 0..FINAL_TRIES {
            if read().await {
                self.recorder.read_at_end(None);
                return;
            }
        }
        let unread = format!("{what}: no answer, {FINAL_TRIES} times");
        self.recorder.read_at_end(Some(unread));
    }

    /// Where the nodes are now.
    pub(super) fn addresses(&self) -> Vec<String> {
        (self.plan.addresses)()
    }
}

/// Every client is another one: patient or not, with and without numbered writes.
fn options(rng: &Rng) -> ClientOptions {
    ClientOptions {
        deadline: Duration::from_millis(1_000 + rng.below(4_000)),
        connect_timeout: Duration::from_millis(300 + rng.below(700)),
        attempt_timeout: Duration::from_millis(300 + rng.below(1_200)),
        exactly_once: rng.below(3) > 0,
        ..ClientOptions::default()
    }
}

/// Another seed for each number.
fn mixed(seed: u64, number: u32) -> u64 {
    let rng = Rng::seeded(seed ^ (u64::from(number) << 32));
    rng.bits64();
    rng.bits64()
}
