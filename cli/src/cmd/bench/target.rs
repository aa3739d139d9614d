//! What carries the operations: the client's pipe, or one gRPC call for each.

use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, Error};
use atoll_env::net::CallError;
use atoll_env::{Env, Net};
use atoll_proto::{method, v1};
use bytes::Bytes;
use prost::Message;

use super::plan::Operation;

/// Carries operations.
pub(super) enum Target {
    /// The client, as programs use it.
    Pipe(Client),
    /// Plain unary calls, as a generic gRPC program would make them.
    Unary(Unary),
}

/// Plain unary calls.
pub(super) struct Unary {
    net: Arc<dyn Net>,
    endpoints: Vec<String>,
    deadline: Duration,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Done.
    Done,
    /// Done; the key was absent.
    Missing,
    /// Not done, or not known to be done; the kind of failure.
    Failed(String),
}

impl Target {
    /// Calls, round robin over the endpoints.
    pub(super) fn unary(env: &Env, endpoints: Vec<String>, deadline: Duration) -> Self {
        Self::Unary(Unary {
            net: Arc::clone(&env.net),
            endpoints,
            deadline,
        })
    }

    /// Does one operation for a worker.
    pub(super) async fn run(&self, worker: usize, operation: Operation) -> Outcome {
        match (self, operation) {
            (Self::Pipe(client), Operation::Get(key)) => match client.get(key).await {
                Ok(Some(_)) => Outcome::Done,
                Ok(None) => Outcome::Missing,
                Err(error) => Outcome::of(&error),
            },
            (Self::Pipe(client), Operation::Put(key, value)) => match client.put(key, value).await {
                Ok(_) => Outcome::Done,
                Err(error) => Outcome::of(&error),
            },
            (Self::Unary(unary), operation) => unary.run(worker, operation).await,
        }
    }
}

impl Unary {
    async fn run(&self, worker: usize, operation: Operation) -> Outcome {
        let (method, request, is_read) = match operation {
            Operation::Get(key) => (
                method::GET,
                v1::GetRequest { key, options: None }.encode_to_vec(),
                true,
            ),
            Operation::Put(key, value) => {
                let put = v1::PutRequest {
                    key,
                    value,
                    ..v1::PutRequest::default()
                };
                (method::PUT, put.encode_to_vec(), false)
            }
        };
        let Some(endpoint) = self.endpoints.get(worker % self.endpoints.len().max(1)) else {
            return Outcome::Failed("no endpoint".to_owned());
        };
        match self
            .net
            .call(endpoint, method, request.into(), self.deadline)
            .await
        {
            Ok(reply) => read_reply(reply, is_read),
            Err(error) => Outcome::Failed(call_error_name(&error)),
        }
    }
}

fn read_reply(reply: Bytes, is_read: bool) -> Outcome {
    let done = if is_read {
        v1::GetReply::decode(reply).map(|reply| reply.found)
    } else {
        v1::WriteReply::decode(reply).map(|reply| reply.applied)
    };
    match done {
        Ok(true) => Outcome::Done,
        Ok(false) if is_read => Outcome::Missing,
        Ok(false) => Outcome::Failed("not applied".to_owned()),
        Err(_) => Outcome::Failed("malformed reply".to_owned()),
    }
}

fn call_error_name(error: &CallError) -> String {
    match error {
        CallError::NotSent(_) => "cannot connect".to_owned(),
        CallError::Lost(_) => "connection lost".to_owned(),
        CallError::Deadline => "deadline".to_owned(),
        CallError::Status(status) => words(&format!("{:?}", status.code)),
    }
}

impl Outcome {
    fn of(error: &Error) -> Self {
        Self::Failed(words(&format!("{:?}", error.kind())))
    }
}

/// `ResourceExhausted` as words.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for (at, c) in name.char_indices() {
        if c.is_uppercase() && at > 0 {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_failure_read_as_words() {
        assert_eq!(words("ResourceExhausted"), "resource exhausted");
        assert_eq!(words("Deadline"), "deadline");
    }

    #[test]
    fn replies() {
        let get = |found| {
            v1::GetReply {
                found,
                ..v1::GetReply::default()
            }
            .encode_to_vec()
            .into()
        };
        assert_eq!(read_reply(get(true), true), Outcome::Done);
        assert_eq!(read_reply(get(false), true), Outcome::Missing);
        let put = v1::WriteReply {
            applied: true,
            ..v1::WriteReply::default()
        }
        .encode_to_vec();
        assert_eq!(read_reply(put.into(), false), Outcome::Done);
        assert_eq!(
            read_reply(Bytes::new(), false),
            Outcome::Failed("not applied".to_owned())
        );
        assert_eq!(
            read_reply(Bytes::from_static(b"\xff"), true),
            Outcome::Failed("malformed reply".to_owned())
        );
    }
}
