//! The register once more, by clients that never retry: plain unary calls to one node after another.
//!
//! What is unknown is not hidden by a library: a connection that breaks or a deadline that passes after sending leaves a
//! write unknown, and only an answer that says so makes it certain that nothing happened.

use std::time::Duration;

use atoll_client::Bytes;
use atoll_env::BoxFuture;
use atoll_env::net::{CallError, Status};
use atoll_history::{Call, Level, Origin, Outcome, Seen, value};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::{details, method, v1};
use prost::Message;

use super::Workload;
use super::answer::Answer;
use super::driver::Driver;
use super::keys::Keys;
use super::levels::level;
use super::single::spelled;
use super::worker::Worker;

/// See the module.
pub(super) struct Raw {
    keys: Keys,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            keys: Keys::new("raw"),
        }
    }
}

impl Workload for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn about(&self) -> &'static str {
        "The register by plain calls to any node, without a session and without retries."
    }

    /// Nobody tells its writes what it has seen.
    fn worker(&self, driver: &Driver, number: u32) -> Worker {
        driver.lone_worker(number)
    }

    fn act<'a>(&'a self, driver: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(driver, worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(driver.read_at_end(self.keys.all(), &Call::GET))
    }
}

impl Raw {
    async fn step(&self, driver: &Driver, worker: &mut Worker) {
        let key = self.keys.pick(worker.rng());
        let call = match worker.rng().below(8) {
            0 => Call::Get {
                level: unbound(level(worker.rng())),
            },
            _ => worker.choose(&key),
        };
        let addresses = driver.addresses();
        let node = worker.rng().below(addresses.len() as u64);
        let Some(address) = addresses.get(node as usize) else {
            return;
        };
        let deadline = Duration::from_millis(300 + worker.rng().below(3_000));
        let asked = driver.recorder().begin(worker.process(), &key, call.clone());
        let (method, request) = request(&key, &call);
        let reply = driver.env().net.call(address, method, request, deadline).await;
        let mut answer = answer(&call, reply, driver, &key);
        answer.origin.node = Some(node + 1);
        let outcome = driver.recorder().end(&asked, answer);
        worker.note(&key, &outcome);
    }
}

/// There is no session without a library that keeps it.
fn unbound(level: Level) -> Level {
    match level {
        Level::Session => Level::Eventual,
        other => other,
    }
}

fn request(key: &str, call: &Call) -> (&'static str, Bytes) {
    let key = Bytes::from(key.to_owned());
    match call {
        Call::Put { value } => {
            let value = spelled(value);
            let put = v1::PutRequest {
                key,
                value,
                ..v1::PutRequest::default()
            };
            (method::PUT, put.encode_to_vec().into())
        }
        Call::Cas { expected, value } => {
            let value = spelled(value.as_deref().unwrap_or_default());
            let expected = expected.version;
            let cas = v1::CompareAndSetRequest {
                key,
                value,
                expected,
                ..v1::CompareAndSetRequest::default()
            };
            (method::COMPARE_AND_SET, cas.encode_to_vec().into())
        }
        Call::Get { level } => {
            let options = Some(options(*level));
            (
                method::GET,
                v1::GetRequest { key, options }.encode_to_vec().into(),
            )
        }
        _ => {
            let delete = v1::DeleteRequest {
                key,
                ..v1::DeleteRequest::default()
            };
            (method::DELETE, delete.encode_to_vec().into())
        }
    }
}

fn options(level: Level) -> v1::ReadOptions {
    let (consistency, max_age_ms) = match level {
        Level::Linearizable | Level::Session => (v1::Consistency::Linearizable, 0),
        Level::Bounded { max_age_ns } => (v1::Consistency::Bounded, max_age_ns / 1_000_000),
        Level::Eventual => (v1::Consistency::Eventual, 0),
    };
    v1::ReadOptions {
        consistency: consistency.into(),
        max_age_ms,
        ..v1::ReadOptions::default()
    }
}

fn answer(call: &Call, reply: Result<Bytes, CallError>, driver: &Driver, key: &str) -> Answer {
    let read = matches!(call, Call::Get { .. });
    let error = match reply {
        Ok(reply) => {
            let decoded = if read { found(reply) } else { wrote(call, reply) };
            return decoded.unwrap_or_else(|| {
                driver
                    .recorder()
                    .wrong(format!("raw {key}: the reply to {call:?} cannot be read"));
                Outcome::Unknown.into()
            });
        }
        Err(error) => error,
    };
    let outcome = match &error {
        CallError::NotSent(_) => Outcome::Failed,
        CallError::Lost(_) | CallError::Deadline => Outcome::Unknown,
        CallError::Status(status) => refused(status, driver, key),
    };
    Answer {
        error: Some(error.to_string()),
        ..outcome.into()
    }
}

/// What the server says about what happened; a status without detail comes from elsewhere and says nothing.
fn refused(status: &Status, driver: &Driver, key: &str) -> Outcome {
    let Some(detail) = details::decode(&status.details) else {
        return Outcome::Unknown;
    };
    match detail.kind() {
        Kind::NotLeader | Kind::NotOwner | Kind::Overloaded | Kind::Deadline | Kind::Unavailable => {
            Outcome::Failed
        }
        Kind::UnknownOutcome => Outcome::Unknown,
        Kind::Corrupt => {
            driver
                .recorder()
                .corrupt(format!("raw {key}: {}", detail.message));
            Outcome::Failed
        }
        other => {
            driver
                .recorder()
                .wrong(format!("raw {key}: {other:?}: {}", detail.message));
            Outcome::Unknown
        }
    }
}

fn found(reply: Bytes) -> Option<Answer> {
    let reply = v1::GetReply::decode(reply).ok()?;
    let proof = atoll_client::Proof::from(reply.proof?);
    let seen = reply.found.then(|| Seen {
        value: value::read(&reply.value).to_string(),
        version: Some(reply.version),
    });
    Some(Answer {
        outcome: Outcome::Read(seen),
        origin: super::answer::origin(&proof),
        error: None,
    })
}

fn wrote(call: &Call, reply: Bytes) -> Option<Answer> {
    let reply = v1::WriteReply::decode(reply).ok()?;
    let outcome = match (reply.applied, call) {
        (true, _) => Outcome::Written {
            version: Some(reply.version),
        },
        (false, Call::Cas { .. }) => Outcome::Conflict {
            actual: reply.version,
        },
        (false, _) => return None,
    };
    let origin = Origin {
        group: reply.proof.map(|proof| proof.group),
        ..Origin::default()
    };
    Some(Answer {
        origin,
        ..outcome.into()
    })
}
