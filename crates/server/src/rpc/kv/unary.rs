//! One unary call, from its bytes to its reply: here, or once at another node.
//!
//! A pipe's client follows redirects by itself; curl and grpcurl cannot, so a node that does not lead
//! the group passes a write on, and one without a replica passes everything on; a read is served by
//! any replica. A call that was passed on is never passed on again. As long as a
//! failure says that nothing happened and a leader may appear soon, the call waits for it.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Instant;
use atoll_env::net::{CallError, Status};
use atoll_kv::Command;
use atoll_proto::{method, v1};
use atoll_types::GroupId;
use atoll_types::limits::REQUEST_FIELDS_MAX;
use bytes::Bytes;
use prost::Message;

use super::super::convert::{self, Addressed, Request};
use super::super::error::{detail, detail_of, status};
use super::super::fields;
use super::once::Once;
use super::serving::{Serving, route};
use crate::shard::{Failure, ReadBatch, Reply, ReplySlot, Shard, WriteItem};

/// How long a call waits for its group to have a leader: an election with its slowest timers.
const LEADER_WAIT: Duration = Duration::from_secs(5);
/// How often it looks.
const LEADER_POLL: Duration = Duration::from_millis(50);
/// What an answer may come too late and still be told from silence.
const GRACE: Duration = Duration::from_millis(200);

/// One call.
pub(crate) struct Unary {
    pub(crate) serving: Arc<Serving>,
    pub(crate) method: &'static str,
    pub(crate) request: Bytes,
    pub(crate) deadline: Instant,
    /// True if another node passed it on.
    pub(crate) forwarded: bool,
}

/// What one try came to.
enum Try {
    Done(Result<Bytes, Status>),
    /// It did not happen, and may if tried again when there is a leader.
    NotYet(v1::ErrorDetail),
}

impl Unary {
    /// The reply message's bytes.
    pub(crate) async fn run(self) -> Result<Bytes, Status> {
        let result = self.tries().await;
        if let Some(detail) = result.as_ref().err().and_then(detail_of) {
            self.serving.traffic.refused(detail.kind());
        }
        result
    }

    async fn tries(&self) -> Result<Bytes, Status> {
        let (named, request) =
            parse(self.method, self.request.clone()).map_err(|failure| self.refuse(&failure))?;
        let started = self.serving.env.clock.now();
        let patience = (started + LEADER_WAIT).min(self.deadline);
        // Who leads, by the word of a node that was asked before.
        let mut hint = String::new();
        loop {
            let map = self.serving.directory.map();
            let tried = match route(&map, named, &request) {
                Ok(group) => self.attempt(group, &request, &hint).await,
                Err(Failure::Unavailable(reason)) => Try::NotYet(self.detail(&Failure::Unavailable(reason))),
                Err(failure) => Try::Done(Err(self.refuse(&failure))),
            };
            let detail = match tried {
                Try::Done(result) => return result,
                Try::NotYet(detail) => detail,
            };
            if self.forwarded || self.serving.env.clock.now() + LEADER_POLL >= patience {
                return Err(status(&detail));
            }
            self.serving.env.clock.sleep(LEADER_POLL).await;
            hint = detail.leader_address;
        }
    }

    async fn attempt(&self, group: GroupId, request: &Request, hint: &str) -> Try {
        let map = self.serving.directory.map();
        let reply = match self.serving.shard(&map, group) {
            Ok(shard) => self.local(&shard, request).await,
            Err(failure) => Reply::Failed(failure),
        };
        let failure = match reply {
            Reply::Failed(failure) => failure,
            reply => return Try::Done(encode(convert::result(reply, &*self.serving.directory))),
        };
        let is_read = matches!(request, Request::Read(_));
        match self.elsewhere(group, &failure, is_read, hint) {
            Some(address) => self.forward(&address, is_read).await,
            None if is_passing(&failure) => Try::NotYet(self.detail(&failure)),
            None => Try::Done(Err(self.refuse(&failure))),
        }
    }

    async fn local(&self, shard: &Arc<Shard>, request: &Request) -> Reply {
        let (once, reply) = Once::new();
        let command = match request {
            Request::Read(read) => {
                let item = read.clone().item(0, self.deadline, shard.group().key().id);
                shard.submit_reads(ReadBatch::new(vec![item], once));
                return self.within_deadline(reply, Failure::Deadline).await;
            }
            Request::Write(command) => command.clone(),
            Request::OpenSession(client, version) => Command::open_session(*client, *version),
        };
        shard.submit_writes(vec![WriteItem::new(
            command,
            self.deadline,
            ReplySlot::new(once, 0),
        )]);
        let late = Failure::Unknown("no outcome was seen before the deadline".into());
        self.within_deadline(reply, late).await
    }

    async fn within_deadline(&self, reply: tokio::sync::oneshot::Receiver<Reply>, late: Failure) -> Reply {
        let clock = &self.serving.env.clock;
        let limit = self.deadline.since(clock.now()) + GRACE;
        match clock.timeout(limit, reply).await {
            Ok(Ok(reply)) => reply,
            // The shard answers whatever it drops, so only the deadline is left.
            _ => Reply::Failed(late),
        }
    }

    /// The node to pass the call on to, if that can help.
    fn elsewhere(&self, group: GroupId, failure: &Failure, is_read: bool, hint: &str) -> Option<String> {
        if self.forwarded {
            return None;
        }
        let directory = &self.serving.directory;
        let node = match failure {
            // Any replica reads: one that cannot now has no better word than the leader it asked.
            Failure::NotLeader { .. } if is_read => return None,
            Failure::NotLeader { leader, .. } => directory.node_of(group, (*leader)?)?,
            Failure::NotHere { .. } if !hint.is_empty() => return Some(hint.to_owned()),
            // Any replica knows who leads and can read.
            Failure::NotHere { .. } => {
                let map = directory.map();
                let nodes: Vec<_> = map.groups.get(&group)?.replicas.values().copied().collect();
                let pick = self.serving.env.rng.below(nodes.len() as u64) as usize;
                nodes.get(pick).copied()?
            }
            _ => return None,
        };
        if node == directory.local_node() {
            None
        } else {
            directory.address(node)
        }
    }

    async fn forward(&self, address: &str, is_read: bool) -> Try {
        self.serving.traffic.passed_on();
        let env = &self.serving.env;
        let left = self.deadline.since(env.clock.now());
        let envelope = v1::ForwardRequest {
            method: self.method.to_owned(),
            request: self.request.clone(),
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1),
        };
        let call = env.net.call(
            address,
            method::FORWARD,
            envelope.encode_to_vec().into(),
            left + GRACE,
        );
        let error = match call.await {
            Ok(reply) => return Try::Done(Ok(reply)),
            Err(error) => error,
        };
        match judge(address, error, is_read) {
            Forwarded::NotYet(failure) => Try::NotYet(self.detail(&failure)),
            Forwarded::NotYetThere(detail) => Try::NotYet(detail),
            Forwarded::Refused(status) => Try::Done(Err(status)),
            Forwarded::Unknown(reason) => Try::Done(Err(self.refuse(&Failure::Unknown(reason)))),
        }
    }

    fn detail(&self, failure: &Failure) -> v1::ErrorDetail {
        detail(failure, &*self.serving.directory)
    }

    fn refuse(&self, failure: &Failure) -> Status {
        status(&self.detail(failure))
    }
}

/// What a failed forwarding means for the call.
#[derive(Debug, PartialEq)]
enum Forwarded {
    /// It did not happen, by what this node knows.
    NotYet(Failure),
    /// It did not happen, by the other node's word.
    NotYetThere(v1::ErrorDetail),
    /// The other node's answer is the caller's.
    Refused(Status),
    /// The other node may have done it.
    Unknown(String),
}

fn judge(address: &str, error: CallError, is_read: bool) -> Forwarded {
    let silent = |reason: String| {
        if is_read {
            Forwarded::NotYet(Failure::Unavailable(reason))
        } else {
            Forwarded::Unknown(reason)
        }
    };
    match error {
        CallError::Status(status) => match detail_of(&status) {
            Some(detail) if is_passing_kind(detail.kind()) => Forwarded::NotYetThere(detail),
            Some(_) => Forwarded::Refused(status),
            // Only Atoll says what its refusals mean for a write. Whoever else answers, a proxy or a
            // stream that broke, may do so after the write was passed on.
            None => silent(format!(
                "{address}, to which it was passed on, only says: {}",
                status.message
            )),
        },
        CallError::NotSent(reason) => {
            let reason = format!("the leader at {address} cannot be reached: {reason}");
            Forwarded::NotYet(Failure::Unavailable(reason))
        }
        CallError::Lost(_) | CallError::Deadline => silent(format!(
            "{address}, to which it was passed on, does not answer: {error}"
        )),
    }
}

/// True if nothing happened and waiting may help.
fn is_passing(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NotLeader { .. } | Failure::Unavailable(_) | Failure::NotHere { .. }
    )
}

fn is_passing_kind(kind: v1::error_detail::Kind) -> bool {
    use v1::error_detail::Kind;
    matches!(kind, Kind::NotLeader | Kind::Unavailable)
}

/// A unary method's request.
fn parse(method: &str, bytes: Bytes) -> Result<Addressed, Failure> {
    fn decoded<M: Message + Default>(bytes: Bytes) -> Result<M, Failure> {
        let malformed = |error| Failure::Invalid(format!("the request cannot be decoded: {error}"));
        if fields::are_too_many(&bytes).map_err(malformed)? {
            return Err(Failure::Invalid(format!(
                "the request has more than {REQUEST_FIELDS_MAX} keys and other fields"
            )));
        }
        M::decode(bytes).map_err(malformed)
    }
    match method {
        method::PUT => convert::put(decoded(bytes)?),
        method::DELETE => convert::delete(decoded(bytes)?),
        method::COMPARE_AND_SET => convert::compare_and_set(decoded(bytes)?),
        method::WRITE => convert::write(decoded(bytes)?),
        method::GET => convert::get(decoded(bytes)?),
        method::MULTI_GET => convert::multi_get(decoded(bytes)?),
        method::SCAN => convert::scan(decoded(bytes)?),
        method::OPEN_SESSION => convert::open_session(&decoded(bytes)?),
        _ => Err(Failure::Unsupported("there is no such method")),
    }
}

fn encode(result: v1::pipe_reply_item::Result) -> Result<Bytes, Status> {
    use v1::pipe_reply_item::Result as Reply;
    Ok(Bytes::from(match result {
        Reply::Write(reply) => reply.encode_to_vec(),
        Reply::Get(reply) => reply.encode_to_vec(),
        Reply::MultiGet(reply) => reply.encode_to_vec(),
        Reply::Scan(reply) => reply.encode_to_vec(),
        Reply::OpenSession(reply) => reply.encode_to_vec(),
        Reply::Error(detail) => return Err(status(&detail)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::net::Code;

    #[test]
    fn every_unary_method_is_parsed_and_garbage_is_refused() {
        for method in super::super::METHODS {
            let parsed = parse(method, Bytes::from_static(&[0xff]));
            assert!(matches!(parsed, Err(Failure::Invalid(_))), "{method}: {parsed:?}");
        }
        assert!(matches!(
            parse("/atoll.v1.Kv/Nothing", Bytes::new()),
            Err(Failure::Unsupported(_))
        ));
    }

    #[test]
    fn a_call_with_millions_of_keys_is_not_decoded() {
        let keys = vec![Bytes::new(); 1_000_000];
        let request = v1::MultiGetRequest { keys, options: None };
        let parsed = parse(method::MULTI_GET, request.encode_to_vec().into());
        assert!(matches!(parsed, Err(Failure::Invalid(why)) if why.contains("131072")));
    }

    #[test]
    fn a_write_passed_on_is_unknown_unless_atoll_itself_says_otherwise() {
        let from_a_proxy = || CallError::Status(Status::new(Code::Unavailable, "no upstream"));
        let refused = |kind: v1::error_detail::Kind| {
            let detail = v1::ErrorDetail {
                kind: kind.into(),
                ..Default::default()
            };
            status(&detail)
        };
        for error in [
            from_a_proxy(),
            CallError::Deadline,
            CallError::Lost("reset".into()),
        ] {
            assert!(matches!(judge("n1", error, false), Forwarded::Unknown(_)));
        }
        for error in [
            from_a_proxy(),
            CallError::Deadline,
            CallError::Lost("reset".into()),
        ] {
            assert!(matches!(judge("n1", error, true), Forwarded::NotYet(_)));
        }
        let not_sent = CallError::NotSent("refused".into());
        assert!(matches!(judge("n1", not_sent, false), Forwarded::NotYet(_)));
        let detailed = CallError::Status(refused(v1::error_detail::Kind::NotLeader));
        assert!(matches!(judge("n1", detailed, false), Forwarded::NotYetThere(_)));
        let invalid = refused(v1::error_detail::Kind::Invalid);
        let judged = judge("n1", CallError::Status(invalid.clone()), false);
        assert_eq!(judged, Forwarded::Refused(invalid));
    }

    #[test]
    fn a_unary_put_becomes_a_command() {
        let put = v1::PutRequest {
            key: Bytes::from_static(b"k"),
            value: Bytes::from_static(b"v"),
            ..Default::default()
        };
        let (group, request) = parse(method::PUT, put.encode_to_vec().into()).unwrap();
        assert_eq!(group, GroupId::CONTROL);
        let Request::Write(command) = request else {
            panic!("{request:?}")
        };
        assert_eq!(command.ops.len(), 1);
    }
}
