//! Links to other processes: unary calls and two-way streams of framed bytes.
//!
//! A method is named as in gRPC (`/atoll.v1.Kv/Get`) and carries bytes; what they mean is decided
//! above. `GrpcNet` is HTTP/2 gRPC, so any gRPC tool can speak to a node; [`MemNet`] is the
//! simulator's, with delay, loss and cut links. No type of the gRPC library shows above this folder.

mod detour;
#[cfg(feature = "grpc")]
mod grpc;
mod link;
mod mem;
mod none;
mod status;

pub use detour::DetourNet;
#[cfg(feature = "grpc")]
pub use grpc::GrpcNet;
pub use link::{Link, LinkReceiver, LinkSender};
pub use mem::{MemNet, MemNetFaults, MemNetOptions, MemNode};
pub use none::NoNet;
pub use status::{CallError, Code, Status};

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::BoxFuture;

/// A way to other processes.
pub trait Net: Send + Sync + 'static {
    /// One request, one reply, within `deadline`.
    fn call(
        &self,
        to: &str,
        method: &'static str,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>>;

    /// Opens a two-way stream. Streams of different `lane`s to one address use different
    /// connections, so that a large frame on one does not hold up the other.
    fn open(
        &self,
        to: &str,
        method: &'static str,
        lane: u8,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>>;

    /// Serves `handler` at an address (`host:port`; port 0 lets the system choose).
    fn serve(&self, listen: &str, handler: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>>;
}

/// What a server does with calls and streams.
pub trait Handler: Send + Sync + 'static {
    /// True if `method` is a two-way stream, false if it is unary, `None` if there is no such method.
    fn is_stream(&self, method: &str) -> Option<bool>;

    /// Answers a unary call. `deadline` is what the caller gave, if it did.
    fn call(
        &self,
        method: &str,
        request: Bytes,
        deadline: Option<Duration>,
    ) -> BoxFuture<'static, Result<Bytes, Status>>;

    /// Takes a stream; must not wait, so spawn.
    fn open(&self, method: &str, link: Link);
}

/// A running server. [`Serving::stop`] ends it; dropping it lets it run.
pub struct Serving {
    address: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    stopped: tokio::sync::oneshot::Receiver<()>,
}

impl Serving {
    /// For implementations: `stop` is told to end, `stopped` fires (or is dropped) when ended.
    pub fn new(
        address: String,
        stop: tokio::sync::oneshot::Sender<()>,
        stopped: tokio::sync::oneshot::Receiver<()>,
    ) -> Self {
        Self {
            address,
            stop: Some(stop),
            stopped,
        }
    }

    /// The address with the port that was chosen.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Takes no new connections, lets unary calls in progress end, closes streams. Bounded by the caller's patience.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The server may have ended by itself: nothing is left to stop then.
            let _ = stop.send(());
        }
        let _ = self.stopped.await;
    }
}
