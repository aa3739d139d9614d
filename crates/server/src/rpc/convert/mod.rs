//! Messages to plain requests and plain replies to messages. Total: whatever arrives becomes a
//! request or a failure that says what is wrong with it.

mod level;
mod reads;
mod replies;
mod writes;

pub(crate) use level::Level;
pub(crate) use reads::{get, multi_get, scan};
pub(crate) use replies::result;
pub(crate) use writes::{compare_and_set, delete, open_session, put, write};

use atoll_env::Instant;
use atoll_kv::Command;
use atoll_proto::v1;
use atoll_types::{ClientId, Epoch, GroupId, Version};

use crate::shard::{Failure, ReadItem, ReadOp};

/// What a caller asks, without the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Change something.
    Write(Command),
    /// Open a session for a client.
    OpenSession(ClientId, Version),
    /// Read something.
    Read(ReadRequest),
}

/// A read with its promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadRequest {
    pub(crate) op: ReadOp,
    pub(crate) level: Level,
    /// `None`: as it is now.
    pub(crate) at: Option<Version>,
    pub(crate) slot_epoch: Epoch,
}

impl ReadRequest {
    /// The read as the shard of a group takes it.
    pub(crate) fn item(self, id: u64, deadline: Instant, group: GroupId) -> ReadItem {
        let Self {
            op,
            level,
            at,
            slot_epoch,
        } = self;
        ReadItem {
            id,
            cost: ReadItem::cost_of(&op),
            deadline,
            consistency: level.for_group(group),
            at,
            slot_epoch,
            op,
        }
    }
}

/// A request and the group its message names; [`GroupId::CONTROL`] when it names none.
pub(crate) type Addressed = (GroupId, Request);

type Operation = v1::pipe_request_item::Operation;

/// Any operation of a pipe.
pub(crate) fn operation(operation: Operation) -> Result<Addressed, Failure> {
    match operation {
        Operation::Write(request) => write(request),
        Operation::Get(request) => get(request),
        Operation::MultiGet(request) => multi_get(request),
        Operation::Scan(request) => scan(*request),
        Operation::OpenSession(request) => open_session(&request),
    }
}

/// The message of a refusal, for tests.
#[cfg(test)]
fn invalid<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Invalid(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::Rng;
    use prost::Message;

    /// Every operation that computes.
    fn computing() -> Operation {
        let op = |kind| v1::WriteOp {
            kind,
            key: bytes::Bytes::from_static(b"a{t}1"),
            value: bytes::Bytes::from_static(b"value"),
            number: -3,
            end: bytes::Bytes::from_static(b"a{t}3"),
            limit: 9,
        };
        Operation::Write(v1::WriteRequest {
            ops: (2..=6).map(op).collect(),
            ..v1::WriteRequest::default()
        })
    }

    fn seeds() -> Vec<Vec<u8>> {
        let key = || bytes::Bytes::from_static(b"a{t}1");
        let op = |kind, value: &'static [u8]| v1::WriteOp {
            kind,
            key: key(),
            value: bytes::Bytes::from_static(value),
            ..v1::WriteOp::default()
        };
        let session = v1::Session {
            client_high: 1,
            client_low: 2,
            seq: 3,
            ack: 1,
        };
        let guard = v1::Guard {
            key: key(),
            end: bytes::Bytes::from_static(b"a{t}2"),
            version: 7,
        };
        let mark = v1::GroupMark {
            group: 1,
            generation: 1,
            applied_index: 300,
        };
        let token = v1::SessionToken {
            map_epoch: 1,
            marks: vec![mark; 2],
        };
        let operations = [
            computing(),
            Operation::Write(v1::WriteRequest {
                ops: vec![op(0, b"value"), op(1, b"")],
                guards: vec![guard],
                session: Some(session),
                after: 9,
            }),
            Operation::Get(v1::GetRequest {
                key: key(),
                options: Some(v1::ReadOptions {
                    consistency: v1::Consistency::Session.into(),
                    token: token.encode_to_vec().into(),
                    ..v1::ReadOptions::default()
                }),
            }),
            Operation::MultiGet(v1::MultiGetRequest {
                keys: vec![key(), key()],
                options: None,
            }),
            Operation::Scan(Box::new(v1::ScanRequest {
                start: key(),
                limit: 10,
                ..v1::ScanRequest::default()
            })),
            Operation::OpenSession(v1::OpenSessionRequest {
                client_high: 1,
                client_low: 2,
                group: 1,
                version: 5,
            }),
        ];
        let item = |operation| v1::PipeRequestItem {
            operation: Some(operation),
            ..v1::PipeRequestItem::default()
        };
        operations
            .into_iter()
            .map(|operation| item(operation).encode_to_vec())
            .collect()
    }

    fn mutate(bytes: &mut Vec<u8>, rng: &Rng) {
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(4) {
                0 => bytes[at] ^= 1 << rng.below(8),
                1 => bytes[at] = rng.below(256) as u8,
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, [0, 0x7f, 0x80, 0xff][rng.below(4) as usize]),
            }
        }
    }

    #[test]
    fn whatever_arrives_becomes_a_request_or_a_refusal() {
        let (rng, seeds) = (Rng::seeded(1), seeds());
        let (mut accepted, mut refused) = (0, 0);
        for round in 0..50_000 {
            let mut bytes = seeds[round % seeds.len()].clone();
            mutate(&mut bytes, &rng);
            let decoded = v1::PipeRequestItem::decode(&bytes[..]);
            let Some(arrived) = decoded.ok().and_then(|item| item.operation) else {
                continue;
            };
            match operation(arrived) {
                Ok(_) => accepted += 1,
                Err(Failure::Invalid(_) | Failure::Unsupported(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(accepted > 1000 && refused > 300, "{accepted} {refused}");
    }
}
