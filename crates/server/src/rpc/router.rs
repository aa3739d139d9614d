//! Sends every call to where it is answered.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::BoxFuture;
use atoll_env::net::{Code, Handler, Link, Status};
use atoll_proto::{method, v1};
use atoll_types::limits::REQUEST_FIELDS_MAX;
use bytes::Bytes;
use prost::Message;

use super::discovery::Discovery;
use super::fields;
use super::{KvService, admin, error, join, peer};
use crate::membership::Standing;
use crate::node::{Core, Phase};
use crate::running::Running;

/// A node's [`Handler`].
pub(crate) struct Router {
    core: Arc<Core>,
    discovery: Arc<Discovery>,
}

impl Router {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let discovery = Arc::new(Discovery::new());
        Self { core, discovery }
    }

    fn data(&self, method: &str, request: &Bytes, deadline: Option<Duration>) -> Reply {
        match serving(&self.core) {
            Ok(running) => running.kv().call(method, request, deadline),
            Err(status) => Box::pin(std::future::ready(Err(status))),
        }
    }
}

type Reply = BoxFuture<'static, Result<Bytes, Status>>;

/// The parts that serve data, or why there are none.
fn serving(core: &Core) -> Result<Arc<Running>, Status> {
    match core.phase() {
        Phase::Running(running) => Ok(running),
        Phase::Stopping(_) => Err(unavailable("this node is shutting down")),
        Phase::Starting => Err(unavailable("this node is starting")),
        Phase::Waiting => Err(not_in_a_cluster(core)),
    }
}

/// What a node without a cluster answers to whoever needs one.
pub(super) fn not_in_a_cluster(core: &Core) -> Status {
    match core.membership.standing() {
        Standing::Fresh => unavailable(
            "this node waits for init: make a cluster with `atoll init`, naming the addresses of all initial nodes, or \
             start it with --join naming nodes of a cluster that exists",
        ),
        Standing::Joining(ident) => unavailable(&format!("this node is joining cluster {}", ident.cluster)),
        Standing::Claimed(claim) => unavailable(&format!(
            "this node is claimed for cluster {} of {} and waits until all of them are; if that does not happen by \
             itself, repeat `{}`",
            claim.cluster,
            claim.addresses(),
            crate::membership::init_command(&claim)
        )),
        Standing::Admitted(..) => unavailable("this node is starting"),
    }
}

/// A refusal before anything was done, which the detail says too.
pub(super) fn unavailable(reason: &str) -> Status {
    error::status(&v1::ErrorDetail {
        kind: v1::error_detail::Kind::Unavailable.into(),
        message: reason.to_owned(),
        ..v1::ErrorDetail::default()
    })
}

impl Handler for Router {
    fn is_stream(&self, method: &str) -> Option<bool> {
        match method {
            method::RAFT => Some(true),
            method::INIT
            | method::STATUS
            | method::GET_MAP
            | method::TRANSFER_LEADER
            | method::HELLO
            | method::CLAIM
            | method::JOIN
            | method::ADMIT
            | method::HEALTH_CHECK => Some(false),
            stream if Discovery::is_stream(stream) => Some(true),
            other => KvService::is_stream(other),
        }
    }

    fn call(&self, method: &str, request: Bytes, deadline: Option<Duration>) -> Reply {
        let core = self.core.clone();
        match method {
            method::INIT => unary(request, move |request| async move {
                admin::init(&core, request, deadline).await
            }),
            method::STATUS => unary(request, move |v1::StatusRequest {}| async move {
                Ok(admin::status(&core))
            }),
            method::GET_MAP => unary(
                request,
                move |request| async move { admin::get_map(&core, request) },
            ),
            method::TRANSFER_LEADER => unary(request, move |request| async move {
                admin::transfer_leader(&core, request).await
            }),
            method::HELLO => unary(request, move |request| async move {
                let map = core.running().map(|running| running.directory().map());
                peer::hello(&core.membership, map.as_deref(), request)
            }),
            method::JOIN => unary(
                request,
                move |request| async move { join::join(&core, request).await },
            ),
            method::CLAIM => unary(request, move |request| async move {
                peer::claim(&core.membership, request).await
            }),
            method::ADMIT => unary(request, move |request| async move {
                peer::admit(&core.membership, request).await
            }),
            method::HEALTH_CHECK => {
                let discovery = self.discovery.clone();
                unary(
                    request,
                    move |request| async move { discovery.check(&core, &request) },
                )
            }
            other => self.data(other, &request, deadline),
        }
    }

    fn open(&self, method: &str, link: Link) {
        match method {
            method::RAFT => {
                // Without a host it is dropped, which closes it: the peer tries again.
                if let Some(running) = self.core.running() {
                    running.host().accept(link);
                }
            }
            method::PIPE => match serving(&self.core) {
                Ok(running) => running.kv().open_pipe(link),
                Err(status) => link.sender.fail(status),
            },
            other => self.discovery.open(&self.core, other, link),
        }
    }
}

/// Decodes, answers, encodes.
fn unary<Q, R, F>(request: Bytes, answer: impl FnOnce(Q) -> F) -> Reply
where
    Q: Message + Default,
    R: Message,
    F: Future<Output = Result<R, Status>> + Send + 'static,
{
    let decoded = match fields::are_too_many(&request) {
        Ok(true) => Err(format!("it has more than {REQUEST_FIELDS_MAX} fields")),
        Ok(false) => Q::decode(request).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match decoded {
        Ok(request) => {
            let answer = answer(request);
            Box::pin(async move { answer.await.map(|reply| reply.encode_to_vec().into()) })
        }
        Err(why) => {
            let status = Status::new(
                Code::InvalidArgument,
                format!("the request cannot be read: {why}"),
            );
            Box::pin(std::future::ready(Err(status)))
        }
    }
}
