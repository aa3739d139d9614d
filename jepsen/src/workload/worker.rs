//! One worker: asks one thing after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::{Client, Routing};
use atoll_env::{Clock, Instant, Rng};
use atoll_history::{Call, Expected, Outcome};

use super::recorder::Recorder;
use super::single;

/// How many keys a worker remembers versions of; those in use are among them.
const REMEMBERED_MAX: usize = 256;

/// A worker of a workload: a client, a process number, and a pace.
pub struct Worker {
    client: Client,
    clock: Clock,
    /// Between two operations, on average.
    interval: Duration,
    next: Option<Instant>,
    rng: Rng,
    recorder: Recorder,
    process: u32,
    /// By key, the version that it saw last.
    seen: BTreeMap<String, u64>,
}

impl Worker {
    pub(super) fn new(
        client: Client,
        process: u32,
        (clock, interval): (Clock, Duration),
        rng: Rng,
        recorder: Recorder,
    ) -> Self {
        Self {
            client,
            clock,
            interval,
            next: None,
            rng,
            recorder,
            process,
            seen: BTreeMap::new(),
        }
    }

    /// Waits for the next operation's turn; false if the time has come. Who was held up does not hurry afterwards.
    pub(super) async fn next(&mut self, until: Instant) -> bool {
        let now = self.clock.now();
        let next = self.next.unwrap_or(now).max(now);
        if next >= until {
            self.clock.sleep_until(until).await;
            return false;
        }
        self.clock.sleep_until(next).await;
        self.next = Some(next + self.interval.mul_f64(0.5 + self.rng.fraction()));
        true
    }

    /// Its own randomness.
    pub(super) fn rng(&self) -> &Rng {
        &self.rng
    }

    /// Where it notes things.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Its process number.
    pub(super) fn process(&self) -> u32 {
        self.process
    }

    /// Its client, with the replicas that it asks drawn anew.
    pub(super) fn client(&self) -> Client {
        let routing = match self.rng.below(6) {
            0..3 => Routing::Leader,
            3 => Routing::Nearest,
            4 => Routing::RoundRobin,
            _ => Routing::Fastest,
        };
        self.client.with_routing(routing)
    }

    /// A value that nobody has written yet.
    pub(super) fn value(&self) -> String {
        self.recorder.value().to_string()
    }

    /// Asks for one thing of one key and notes it.
    pub(super) async fn ask(&self, key: &str, call: Call) -> Outcome {
        single::ask(&self.recorder, self.process, &self.client(), key, call).await
    }

    /// Asks, and says whether there was an answer.
    pub(super) async fn is_answered(&self, key: &str, call: &Call) -> bool {
        let outcome = self.ask(key, call.clone()).await;
        !matches!(outcome, Outcome::Failed | Outcome::Unknown)
    }

    /// Does something with a register, and remembers its version.
    pub(super) async fn use_register(&mut self, key: &str) {
        let call = self.choose(key);
        let outcome = self.ask(key, call).await;
        self.note(key, &outcome);
    }

    /// Something to do with a register: half of all is to write.
    pub(super) fn choose(&self, key: &str) -> Call {
        match self.rng.below(100) {
            0..25 => Call::Put { value: self.value() },
            25..46 => Call::Cas {
                expected: Expected {
                    version: self.seen.get(key).copied().unwrap_or(0),
                    value: None,
                },
                value: Some(self.value()),
            },
            46..50 => Call::Delete,
            _ => Call::GET,
        }
    }

    /// Remembers the version of a register.
    pub(super) fn note(&mut self, key: &str, outcome: &Outcome) {
        if let Some(version) = outcome.version_shown() {
            self.seen.insert(key.to_owned(), version);
        }
        // Names grow: the first is the oldest.
        if self.seen.len() > REMEMBERED_MAX {
            self.seen.pop_first();
        }
    }

    /// The same, but any replica may answer.
    pub(super) async fn ask_any_replica(&self, key: &str, call: Call) -> Outcome {
        let routing = if self.rng.below(2) == 0 {
            Routing::RoundRobin
        } else {
            Routing::Nearest
        };
        let client = self.client.with_routing(routing);
        single::ask(&self.recorder, self.process, &client, key, call).await
    }
}
