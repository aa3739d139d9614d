//! Connections to servers, one per address and lane, made when first needed and when broken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::body::SendBody;
use super::frames::chain;
use super::{CONNECTION_WINDOW, Executor, FRAME_BYTES, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, STREAM_WINDOW};
use crate::{Clock, Spawn};

/// Bound of resolving the name and connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Broken connections are forgotten when there are about this many.
const SLOTS_SWEEP: usize = 64;

/// Which of an address's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Calls,
    Streams(u8),
}

/// The connections of a process.
pub(super) struct Connections {
    clock: Clock,
    spawn: Spawn,
    slots: Mutex<BTreeMap<(String, Lane), Arc<Slot>>>,
}

/// One connection, or the lack of it.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    /// Held by whoever connects, so that a broken connection is not replaced by many.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<SendRequest<SendBody>>,
    /// Attempts that failed so far, and how the last one did.
    failures: u64,
    failure: String,
}

impl Slot {
    fn live(&self) -> Option<SendRequest<SendBody>> {
        let mut state = self.state.lock();
        if state.current.as_ref().is_some_and(SendRequest::is_closed) {
            state.current = None;
        }
        state.current.clone()
    }
}

impl Connections {
    pub(super) fn new(clock: Clock, spawn: Spawn) -> Self {
        Self {
            clock,
            spawn,
            slots: Mutex::default(),
        }
    }

    /// A connection that was alive a moment ago. Callers that wait together share one attempt and
    /// its outcome; the next caller tries again at once.
    pub(super) async fn get(&self, to: &str, lane: Lane) -> Result<SendRequest<SendBody>, String> {
        let slot = self.slot(to, lane);
        if let Some(connection) = slot.live() {
            return Ok(connection);
        }
        let failures = slot.state.lock().failures;
        let _turn = slot.connecting.lock().await;
        if let Some(connection) = slot.live() {
            return Ok(connection);
        }
        {
            let state = slot.state.lock();
            if state.failures != failures {
                return Err(state.failure.clone());
            }
        }
        let connected = match self.clock.timeout(CONNECT_TIMEOUT, self.connect(to)).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no answer from {to} within {CONNECT_TIMEOUT:?}")),
        };
        let mut state = slot.state.lock();
        match &connected {
            Ok(connection) => state.current = Some(connection.clone()),
            Err(why) => {
                state.failures += 1;
                state.failure.clone_from(why);
            }
        }
        connected
    }

    /// How many connections are or were open.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> usize {
        self.slots.lock().len()
    }

    fn slot(&self, to: &str, lane: Lane) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        let key = (to.to_owned(), lane);
        if let Some(slot) = slots.get(&key) {
            return Arc::clone(slot);
        }
        if slots.len() >= SLOTS_SWEEP {
            // A slot that somebody else holds may be connecting.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.live().is_some());
        }
        Arc::clone(slots.entry(key).or_default())
    }

    async fn connect(&self, to: &str) -> Result<SendRequest<SendBody>, String> {
        let stream = TcpStream::connect(to)
            .await
            .map_err(|error| format!("{to}: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| format!("{to}: {error}"))?;
        let (sender, connection) = Builder::new(Executor(self.spawn.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("{to}: {}", chain(&error)))?;
        let to = to.to_owned();
        self.spawn.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(to, error = chain(&error), "connection ended");
            }
        });
        Ok(sender)
    }
}
