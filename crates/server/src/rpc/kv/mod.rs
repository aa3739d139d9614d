//! The data API: unary calls for any gRPC tool, and pipes for clients in a hurry. Both do the same
//! things to the same shards; what differs is how replies are carried and who follows redirects.

mod once;
mod serving;
mod traffic;
mod unary;

pub(crate) use serving::{Serving, route};
pub(crate) use traffic::Traffic;

use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{Code, Link, Status};
use atoll_env::{BoxFuture, Env};
use atoll_proto::{method, v1};
use bytes::Bytes;
use prost::Message;

use super::pipe;
use crate::directory::Directory;
use crate::shard::DEADLINE_DEFAULT;
use crate::store::Registry;
use unary::Unary;

/// The unary methods.
const METHODS: [&str; 8] = [
    method::PUT,
    method::DELETE,
    method::COMPARE_AND_SET,
    method::WRITE,
    method::GET,
    method::MULTI_GET,
    method::SCAN,
    method::OPEN_SESSION,
];

/// Serves `Kv` and `Peer.Forward`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct KvService(Arc<Serving>);

impl KvService {
    /// Serves the shards of `registry`; knows from `directory` where the others are.
    pub(crate) fn new(env: Env, registry: Arc<Registry>, directory: Arc<Directory>) -> Self {
        Self(Arc::new(Serving {
            env,
            registry,
            directory,
            traffic: Arc::default(),
        }))
    }

    /// True for the stream, false for unary methods, `None` for methods of others.
    pub(crate) fn is_stream(method: &str) -> Option<bool> {
        match method {
            method::PIPE => Some(true),
            method::FORWARD => Some(false),
            other => METHODS.contains(&other).then_some(false),
        }
    }

    /// Answers a unary call.
    pub(crate) fn call(
        &self,
        method: &str,
        request: &Bytes,
        deadline: Option<Duration>,
    ) -> BoxFuture<'static, Result<Bytes, Status>> {
        let unary = if method == method::FORWARD {
            self.forwarded(request)
        } else {
            self.unary(method, request.clone(), deadline, false)
        };
        Box::pin(async move { unary?.run().await })
    }

    /// Counts since start.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    /// Serves a pipe in a task of its own.
    pub(crate) fn open_pipe(&self, link: Link) {
        // Ends when either end closes the stream.
        drop(self.0.env.spawn.spawn(pipe::run(self.0.clone(), link)));
    }

    fn forwarded(&self, request: &Bytes) -> Result<Unary, Status> {
        let envelope = v1::ForwardRequest::decode(request.clone())
            .map_err(|error| Status::new(Code::InvalidArgument, format!("not a forwarded call: {error}")))?;
        let patience = pipe::patience(envelope.deadline_ms);
        self.unary(&envelope.method, envelope.request, Some(patience), true)
    }

    fn unary(
        &self,
        method: &str,
        request: Bytes,
        deadline: Option<Duration>,
        forwarded: bool,
    ) -> Result<Unary, Status> {
        let known = METHODS.iter().find(|&&known| known == method);
        let method = known.ok_or_else(|| Status::new(Code::Unimplemented, format!("no method {method}")))?;
        let deadline = self.0.env.clock.now() + deadline.unwrap_or(DEADLINE_DEFAULT);
        Ok(Unary {
            serving: self.0.clone(),
            method,
            request,
            deadline,
            forwarded,
        })
    }
}
