//! Connecting, and the way of a unary call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::MemNet;
use super::conn::{Conn, Phase, Process, Side};
use super::state::Listener;
use crate::net::{CallError, Code, Status};
use crate::watch;

impl MemNet {
    /// Connects within `limit`. Fails only before anything was sent.
    pub(super) async fn dial(
        &self,
        from: &Process,
        to: &str,
        calls: bool,
        limit: Duration,
    ) -> Result<(Arc<Conn>, Arc<Listener>), CallError> {
        let limit = limit.min(self.0.options.connect_timeout);
        let dialled = self.0.clock.timeout(limit, self.handshake(from, to, calls)).await;
        dialled.unwrap_or_else(|_| Err(CallError::NotSent(format!("{to}: no answer within {limit:?}"))))
    }

    async fn handshake(
        &self,
        from: &Process,
        to: &str,
        calls: bool,
    ) -> Result<(Arc<Conn>, Arc<Listener>), CallError> {
        let home = self.0.state.lock().home(to);
        let Some(home) = home else {
            return Err(CallError::NotSent(format!("{to}: unknown address")));
        };
        self.travel(&from.node, &home).await;
        let accepted = {
            let mut state = self.0.state.lock();
            let listener = state.listener(to).filter(|_| state.is_alive(from));
            listener.map(|listener| (state.connect(from, &listener, calls), listener))
        };
        self.travel(&home, &from.node).await;
        accepted.ok_or_else(|| CallError::NotSent(format!("{to}: connection refused")))
    }

    /// One packet's way. Nothing is counted: it carries nothing.
    async fn travel(&self, from: &str, to: &str) {
        let delay = self.delay(from, to);
        self.0.clock.sleep(delay).await;
        self.path_open(from, to).await;
    }

    /// The way of a request or an answer. `None` if the connection broke.
    pub(super) async fn carry(&self, conn: &Conn, from: Side, bytes: usize) -> Option<()> {
        let to = from.other();
        let way = async {
            let lost = self.is_lost();
            self.travel(conn.node(from), conn.node(to)).await;
            if lost {
                self.0.clock.sleep(self.0.options.stall).await;
                conn.break_both();
            }
        };
        tokio::select! {
            biased;
            () = conn.reached(to, Phase::Broken) => return None,
            () = way => {}
        }
        if conn.is_broken(to) {
            return None;
        }
        self.delivered(conn.node(from), conn.node(to), bytes);
        Some(())
    }

    /// The connection a process uses for calls to an address.
    pub(super) async fn calls(
        &self,
        from: &Process,
        to: &str,
        limit: Duration,
    ) -> Result<(Arc<Conn>, Arc<Listener>), CallError> {
        let known = {
            let state = self.0.state.lock();
            // If the listener has changed, the old connection is about to break; only the other end
            // knows. A call over it is lost.
            state.calls(from, to).map(|conn| (conn, state.listener(to)))
        };
        match known {
            Some((conn, Some(listener))) if conn.listener == listener.id => return Ok((conn, listener)),
            Some((conn, _)) => {
                // Into the void, until the news arrives that nobody is there.
                let waited = self
                    .0
                    .clock
                    .timeout(limit, conn.reached(Side::Dialer, Phase::Broken))
                    .await;
                return Err(match waited {
                    Ok(()) => CallError::Lost(format!("{to}: connection reset")),
                    Err(_) => CallError::Deadline,
                });
            }
            None => {}
        }
        let (conn, listener) = self.dial(from, to, true, limit).await?;
        self.0.state.lock().keep_calls(from, to, &conn);
        Ok((conn, listener))
    }

    /// Takes a request to its server and the answer back, whether or not anybody still waits.
    pub(super) fn exchange(
        &self,
        conn: &Arc<Conn>,
        listener: &Arc<Listener>,
        method: &'static str,
        request: Bytes,
        deadline: Duration,
    ) -> oneshot::Receiver<Result<Bytes, Status>> {
        let (answered, answer) = oneshot::channel();
        let (net, conn, listener) = (self.clone(), Arc::clone(conn), Arc::clone(listener));
        self.0.spawn.spawn(async move {
            if net.carry(&conn, Side::Dialer, request.len()).await.is_none() {
                return;
            }
            let Some(outcome) = listener.answer(method, request, deadline).await else {
                return;
            };
            let len = outcome.as_ref().map_or(0, Bytes::len);
            if net.carry(&conn, Side::Server, len).await.is_some() {
                // The caller may have given up.
                let _ = answered.send(outcome);
            }
        });
        answer
    }
}

impl Listener {
    /// Runs the handler in its node. `None` if the node ended meanwhile.
    async fn answer(
        &self,
        method: &'static str,
        request: Bytes,
        deadline: Duration,
    ) -> Option<Result<Bytes, Status>> {
        if self.handler.is_stream(method) != Some(false) {
            return Some(Err(unimplemented(method)));
        }
        let _counted = Counted::new(&self.calls);
        let handler = Arc::clone(&self.handler);
        // Also the handler's first steps belong to the node.
        self.spawn
            .spawn(async move { handler.call(method, request, Some(deadline)).await })
            .await
    }
}

pub(super) fn unimplemented(method: &str) -> Status {
    Status::new(Code::Unimplemented, format!("there is no method {method}"))
}

/// A call in progress.
struct Counted<'a>(&'a watch::Sender<u64>);

impl<'a> Counted<'a> {
    fn new(calls: &'a watch::Sender<u64>) -> Self {
        calls.send_modify(|calls| *calls += 1);
        Self(calls)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}
