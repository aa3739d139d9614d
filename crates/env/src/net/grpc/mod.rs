//! gRPC over HTTP/2, for methods that are only known by name and carry only bytes.
//!
//! hyper does HTTP/2; the few rules of gRPC above it (a five-byte prefix per message, the status in
//! trailers) are here, because these streams carry everything Atoll does and a general gRPC stack
//! copies each message on both sides and passes requests through a task of its own. A frame is
//! handed from [`LinkSender`](super::LinkSender) to the one task that writes its stream ([`body`]),
//! and from the connection to whoever awaits [`LinkReceiver`](super::LinkReceiver) ([`frames`]);
//! large ones are copied on neither side.
//!
//! - A received frame is a slice of the connection's read buffer and keeps that buffer (up to a
//!   megabyte) alive: copy what is kept for long.
//! - Dropping a link's sender closes that direction; frames sent before still arrive as long as the
//!   receiver is kept. Dropping the receiver before it ended closes both directions, and what was
//!   on the way to the other end may be lost.
//! - Two links share a connection only if address and lane are equal. Unary calls have their own.
//! - There is no waiting between attempts to connect: who calls decides how often.
//! - A handler's unary call runs to its end even if the caller has gone, as in [`MemNet`](super::MemNet).

mod body;
mod client;
mod connections;
mod cut;
mod frames;
mod server;
mod status;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{CallError, Handler, Link, Net, Serving};
use crate::{BoxFuture, Clock, Spawn};
use connections::Connections;

/// Window of one stream: a few of the largest messages' worth of bytes may be on the way.
const STREAM_WINDOW: u32 = 4 << 20;
/// Window of one connection, over all its streams.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Largest HTTP/2 frame taken. A message that fits into one is not copied when it arrives.
const FRAME_BYTES: u32 = 1 << 20;
/// An idle or stuck connection is asked this often whether the other end is still there,
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// and is given up if no answer comes in this time.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Frames between a [`LinkSender`](super::LinkSender) and the task that writes its stream.
const LINK_FRAMES: usize = 4;

/// The real network. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct GrpcNet {
    connections: Arc<Connections>,
    clock: Clock,
    spawn: Spawn,
}

impl GrpcNet {
    /// A network without connections yet. Its methods must be called within a tokio runtime.
    pub fn new(clock: Clock, spawn: Spawn) -> Self {
        Self {
            connections: Arc::new(Connections::new(clock.clone(), spawn.clone())),
            clock,
            spawn,
        }
    }
}

impl Net for GrpcNet {
    fn call(
        &self,
        to: &str,
        method: &'static str,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let connections = Arc::clone(&self.connections);
        let clock = self.clock.clone();
        let to = to.to_owned();
        Box::pin(async move { client::call(&connections, &clock, &to, method, request, deadline).await })
    }

    fn open(
        &self,
        to: &str,
        method: &'static str,
        lane: u8,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>> {
        let connections = Arc::clone(&self.connections);
        let clock = self.clock.clone();
        let to = to.to_owned();
        Box::pin(async move { client::open(&connections, &clock, &to, method, lane, deadline).await })
    }

    fn serve(&self, listen: &str, handler: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
        let listen = listen.to_owned();
        Box::pin(server::serve(
            self.clock.clone(),
            self.spawn.clone(),
            listen,
            handler,
        ))
    }
}

/// Lets hyper start its tasks through the seam.
#[derive(Clone)]
struct Executor(Spawn);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, work: F) {
        self.0.spawn(work);
    }
}
