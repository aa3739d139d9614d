//! Messages to plain requests and plain replies to messages. Total: whatever arrives becomes a
//! request or a failure that says what is wrong with it.

mod reads;
mod replies;
mod writes;

pub(crate) use reads::{get, multi_get, scan};
pub(crate) use replies::result;
pub(crate) use writes::{compare_and_set, delete, open_session, put, write};

use atoll_env::Instant;
use atoll_kv::Command;
use atoll_proto::v1;
use atoll_types::{ClientId, Epoch, GroupId, Version};

use crate::shard::{Consistency, Failure, ReadItem, ReadOp};

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
    pub(crate) consistency: Consistency,
    pub(crate) slot_epoch: Epoch,
}

impl ReadRequest {
    /// The read as a shard takes it.
    pub(crate) fn item(self, id: u64, deadline: Instant) -> ReadItem {
        let Self {
            op,
            consistency,
            slot_epoch,
        } = self;
        ReadItem {
            id,
            cost: ReadItem::cost_of(&op),
            deadline,
            consistency,
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
        Operation::Scan(request) => scan(request),
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
