//! What one client process does.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::{Client, Options as ClientOptions, Routing, ScanOptions};
use atoll_env::{Env, Instant, Rng, Task};
use atoll_history::Expected;

use super::ask::{self, ask};
use super::recorder::Recorder;
use crate::history::{Call, Level};

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
    format!("key {number:02}")
}

/// Keys that are counters.
pub(crate) const COUNTERS: [&str; 2] = ["counter 0", "counter 1"];
/// Keys that are sets.
pub(crate) const SETS: [&str; 2] = ["set 0", "set 1"];
/// Pairs of keys that are written together.
const PAIRS: u64 = 2;
/// The longest age that a bounded read allows.
const AGE_MAX: Duration = Duration::from_secs(4);

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
            self.step().await;
            let rest = Duration::from_nanos(self.rng.below(self.rest.as_nanos() as u64));
            env.clock.sleep(rest).await;
        }
    }

    async fn step(&mut self) {
        let luck = self.rng.below(100);
        let client = self.client.with_routing(self.routing());
        let (recorder, who) = (&self.recorder, &self.who);
        match luck {
            0..78 => self.register(luck, &client).await,
            78..83 => {
                let call = Call::CounterAdd { amount: 1 };
                ask(recorder, who, &client, self.pick(&COUNTERS), call).await;
            }
            83..87 => {
                let element = recorder.value().to_string();
                let call = Call::SetAdd { element };
                ask(recorder, who, &client, self.pick(&SETS), call).await;
            }
            87..92 => {
                let keys = ask::pair(self.rng.below(PAIRS));
                ask::write_pair(recorder, who, &client, &keys, self.rng.below(5) == 0).await;
            }
            92..95 => {
                let keys = ask::pair(self.rng.below(PAIRS));
                ask::read_pair(recorder, who, &client, &keys).await;
            }
            95..97 => self.scan(&client).await,
            97 => {
                let level = Level::Linearizable;
                ask(
                    recorder,
                    who,
                    &client,
                    self.pick(&COUNTERS),
                    Call::CounterRead { level },
                )
                .await;
            }
            _ => {
                let level = Level::Linearizable;
                ask(recorder, who, &client, self.pick(&SETS), Call::SetRead { level }).await;
            }
        }
    }

    async fn register(&mut self, luck: u64, client: &Client) {
        let key = key_name(self.rng.below(self.keys as u64) as usize);
        let call = self.choose(luck, &key);
        let outcome = ask(&self.recorder, &self.who, client, &key, call).await;
        if let Some(version) = outcome.version_shown() {
            self.seen.insert(key, version);
        }
    }

    async fn scan(&self, client: &Client) {
        let keys: Vec<String> = (0..self.keys).map(key_name).collect();
        let options = ScanOptions {
            reverse: self.rng.below(2) == 0,
            page_rows: 1 + self.rng.below(8) as u32,
            ..ScanOptions::prefix("key ")
        };
        ask::scan(&self.recorder, &self.who, client, &keys, options).await;
    }

    fn choose(&self, luck: u64, key: &str) -> Call {
        let value = || self.recorder.value().to_string();
        match luck {
            0..28 => Call::Put { value: value() },
            28..48 => Call::Cas {
                expected: Expected {
                    version: self.seen.get(key).copied().unwrap_or(0),
                    value: None,
                },
                value: Some(value()),
            },
            48..52 => Call::Delete,
            _ => Call::Get { level: self.level() },
        }
    }

    fn level(&self) -> Level {
        match self.rng.below(10) {
            0..5 => Level::Linearizable,
            5..7 => Level::Session,
            7..9 => Level::Bounded {
                max_age_ns: self.rng.below(AGE_MAX.as_nanos() as u64),
            },
            _ => Level::Eventual,
        }
    }

    fn routing(&self) -> Routing {
        match self.rng.below(6) {
            0..3 => Routing::Leader,
            3 => Routing::Nearest,
            4 => Routing::RoundRobin,
            _ => Routing::Fastest,
        }
    }

    fn pick(&self, names: &[&'static str; 2]) -> &'static str {
        let [first, second] = names;
        if self.rng.below(2) == 0 { first } else { second }
    }
}
