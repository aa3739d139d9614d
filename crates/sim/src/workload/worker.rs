//! What one client process does.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::{Client, Options as ClientOptions};
use atoll_env::{Env, Instant, Rng, Task};

use super::recorder::Recorder;
use crate::history::Call;

/// What a client process does.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) seeds: Vec<String>,
    pub(crate) workers: usize,
    pub(crate) keys: usize,
    pub(crate) rest: Duration,
    pub(crate) length: Duration,
    /// No session can expire.
    pub(crate) sessions_last: bool,
}

impl Plan {
    /// Starts the process; it ends by itself some time after `length`.
    pub(crate) fn start(self, env: Env, recorder: Recorder) -> Task<()> {
        let spawn = env.spawn.clone();
        spawn.spawn(Box::pin(async move {
            let until = env.clock.now() + self.length;
            let options = ClientOptions {
                deadline: Duration::from_millis(700 + env.rng.below(4000)),
                connect_timeout: Duration::from_millis(200 + env.rng.below(800)),
                attempt_timeout: Duration::from_millis(200 + env.rng.below(1000)),
                exactly_once: env.rng.below(3) > 0,
                ..ClientOptions::default()
            };
            let client = loop {
                match Client::connect(&env, &self.seeds, options.clone()).await {
                    Ok(client) => break client,
                    Err(error) => recorder
                        .trace
                        .event(&self.name, &format!("cannot connect: {error}")),
                }
                env.clock.sleep(Duration::from_millis(50)).await;
            };
            let mut tasks = Vec::new();
            for number in 0..self.workers {
                let worker = Worker {
                    who: format!("{}.{number}", self.name),
                    client: client.clone(),
                    rng: Rng::seeded(env.rng.bits64()),
                    recorder: recorder.clone(),
                    keys: self.keys,
                    rest: self.rest,
                    seen: BTreeMap::new(),
                };
                tasks.push(env.spawn.spawn(worker.run(env.clone(), until)));
            }
            for task in tasks {
                task.await;
            }
            let renewed = client.stats().sessions_renewed;
            if renewed > 0 && self.sessions_last {
                recorder.wrong(format!(
                    "{}: {renewed} sessions expired before their time",
                    self.name
                ));
            }
            client.close().await;
        }))
    }
}

/// The name of a key.
pub(crate) fn key_name(number: usize) -> String {
    format!("key {number}")
}

struct Worker {
    who: String,
    client: Client,
    rng: Rng,
    recorder: Recorder,
    keys: usize,
    rest: Duration,
    /// The version last seen of each key.
    seen: BTreeMap<String, u64>,
}

impl Worker {
    async fn run(mut self, env: Env, until: Instant) {
        while env.clock.now() < until {
            let key = key_name(self.rng.below(self.keys as u64) as usize);
            let call = self.choose(&key);
            let outcome = self.recorder.run(&self.who, &self.client, &key, call).await;
            if let Some(version) = outcome.version() {
                self.seen.insert(key, version);
            }
            let rest = Duration::from_nanos(self.rng.below(self.rest.as_nanos() as u64));
            env.clock.sleep(rest).await;
        }
    }

    fn choose(&self, key: &str) -> Call {
        match self.rng.below(100) {
            0..40 => Call::Put {
                value: self.recorder.value(),
            },
            40..70 => {
                let expected = self.seen.get(key).copied().unwrap_or(0);
                Call::Cas {
                    expected,
                    value: self.recorder.value(),
                }
            }
            _ => Call::Get,
        }
    }
}
