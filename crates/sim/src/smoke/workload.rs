//! Client processes that put, get and compare-and-set, and note what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Bytes, Cas, Client, Error, ErrorKind, Options as ClientOptions, Value, Version};
use atoll_env::{Env, Instant, Rng, Task};
use parking_lot::Mutex;

use super::world::Troubles;
use crate::history::{Call, Operation, Outcome};
use crate::trace::Trace;

/// Notes operations. Clones share the notes.
#[derive(Clone)]
pub(super) struct Recorder {
    notes: Arc<Mutex<Notes>>,
    trace: Trace,
    troubles: Troubles,
}

#[derive(Default)]
struct Notes {
    events: u64,
    values: u64,
    history: Vec<Operation>,
}

impl Recorder {
    pub(super) fn new(trace: Trace, troubles: Troubles) -> Self {
        Self {
            notes: Arc::default(),
            trace,
            troubles,
        }
    }

    /// Everything noted.
    pub(super) fn history(&self) -> Vec<Operation> {
        self.notes.lock().history.clone()
    }

    fn value(&self) -> u64 {
        let mut notes = self.notes.lock();
        notes.values += 1;
        notes.values
    }

    fn event(&self) -> u64 {
        let mut notes = self.notes.lock();
        notes.events += 1;
        notes.events
    }

    /// Runs one operation and notes it.
    pub(super) async fn run(&self, who: &str, client: &Client, key: &str, call: Call) -> Outcome {
        let invoked = self.event();
        let answer = ask(client, key, call).await;
        let outcome = answer.unwrap_or_else(|error| self.judge(who, &error));
        let completed = self.event();
        self.trace.event(who, &format!("{key} {call:?}: {outcome:?}"));
        let (who, key) = (who.to_owned(), key.to_owned());
        self.notes.lock().history.push(Operation {
            who,
            key,
            call,
            invoked,
            completed,
            outcome,
        });
        outcome
    }

    fn judge(&self, who: &str, error: &Error) -> Outcome {
        match error.kind() {
            ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::Deadline
            | ErrorKind::SessionExpired => Outcome::Nothing,
            ErrorKind::Unknown => Outcome::Unknown,
            _ => {
                self.troubles.lock().push(format!("{who}: {error}"));
                Outcome::Unknown
            }
        }
    }
}

async fn ask(client: &Client, key: &str, call: Call) -> Result<Outcome, Error> {
    let key = Bytes::from(key.to_owned());
    Ok(match call {
        Call::Put { value } => Outcome::Written(client.put(key, spell(value)).await?.0),
        Call::Cas { expected, value } => {
            let expected = Some(Version(expected)).filter(|version| version.0 != 0);
            match client.compare_and_set(key, expected, spell(value)).await? {
                Cas::Done(version) => Outcome::Written(version.0),
                Cas::Conflict { actual } => Outcome::Conflict(actual.map_or(0, |version| version.0)),
            }
        }
        Call::Get => match client.get(key).await? {
            None => Outcome::Read { version: 0, value: 0 },
            Some(Value { bytes, version }) => Outcome::Read {
                version: version.0,
                value: read(&bytes),
            },
        },
    })
}

/// A value's bytes: its number and as much more as the number asks for, so that some are kept in the
/// index, most in the journal, and a few travel alone.
fn spell(value: u64) -> Bytes {
    let len = match value % 50 {
        0 => 70_000,
        1..20 => 0,
        more => more * 20,
    };
    let mut bytes = format!("{value}:").into_bytes();
    bytes.resize(bytes.len() + len as usize, b'a' + (value % 26) as u8);
    bytes.into()
}

/// The number, if these are the bytes of one; else a number that nobody wrote.
fn read(bytes: &Bytes) -> u64 {
    let number = bytes
        .split(|byte| *byte == b':')
        .next()
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let number = number.and_then(|digits| digits.parse().ok());
    number
        .filter(|number| spell(*number) == *bytes)
        .unwrap_or(u64::MAX)
}

/// What a client process does.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) seeds: Vec<String>,
    pub(super) workers: usize,
    pub(super) keys: usize,
    pub(super) length: Duration,
}

impl Plan {
    /// Starts the process; it ends by itself some time after `length`.
    pub(super) fn start(self, env: Env, recorder: Recorder) -> Task<()> {
        let spawn = env.spawn.clone();
        spawn.spawn(Box::pin(async move {
            let until = env.clock.now() + self.length;
            let options = ClientOptions {
                deadline: Duration::from_millis(700 + env.rng.below(4000)),
                connect_timeout: Duration::from_millis(200 + env.rng.below(800)),
                attempt_timeout: Duration::from_millis(200 + env.rng.below(1000)),
                exactly_once: env.rng.below(3) > 0,
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
                    seen: BTreeMap::new(),
                };
                tasks.push(env.spawn.spawn(worker.run(env.clone(), until)));
            }
            for task in tasks {
                task.await;
            }
            client.close().await;
        }))
    }
}

/// The name of a key.
pub(super) fn key_name(number: usize) -> String {
    format!("key {number}")
}

struct Worker {
    who: String,
    client: Client,
    rng: Rng,
    recorder: Recorder,
    keys: usize,
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
            env.clock.sleep(Duration::from_millis(self.rng.below(10))).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_only_if_whole() {
        for value in 1..200 {
            assert_eq!(read(&spell(value)), value);
        }
        assert_eq!(read(&spell(45).slice(..20)), u64::MAX);
        assert_eq!(read(&Bytes::from_static(b"what")), u64::MAX);
    }
}
