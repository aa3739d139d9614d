//! One process's side of the network.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_types::limits::MESSAGE_BYTES_MAX;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::conn::{Phase, Process, Side};
use super::dial::unimplemented;
use super::state::Listener;
use super::{MemNet, pump};
use crate::net::{CallError, Code, Handler, Link, Net, Serving, Status};
use crate::{BoxFuture, Spawn};

/// Unary calls in progress get this long when a server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The network as one process of a node sees it. Cheap to clone.
#[derive(Clone)]
pub struct MemNode {
    net: MemNet,
    process: Process,
    spawn: Spawn,
}

impl MemNode {
    pub(super) fn new(net: MemNet, node: String, incarnation: u64, spawn: Spawn) -> Self {
        Self {
            net,
            process: Process { node, incarnation },
            spawn,
        }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.process.node
    }

    async fn call(
        self,
        to: String,
        method: &'static str,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, CallError> {
        self.net.copy_call(&self.process, &to, method, &request);
        self.call_once(&to, method, request, limit).await
    }

    pub(super) async fn call_once(
        &self,
        to: &str,
        method: &'static str,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, CallError> {
        if request.len() > MESSAGE_BYTES_MAX {
            let text = format!(
                "request of {} bytes, at most {MESSAGE_BYTES_MAX} are allowed",
                request.len()
            );
            return Err(Status::new(Code::ResourceExhausted, text).into());
        }
        let clock = &self.net.0.clock;
        let until = clock.now() + limit;
        let (conn, listener) = self.net.calls(&self.process, to, limit).await?;
        let left = until.since(clock.now());
        let answer = self.net.exchange(&conn, &listener, method, request, left);
        let outcome = clock.timeout(left, async {
            tokio::select! {
                biased;
                answer = answer => answer.ok(),
                () = conn.reached(Side::Dialer, Phase::Broken) => None,
            }
        });
        match outcome.await {
            Err(_) => Err(CallError::Deadline),
            Ok(None) => Err(CallError::Lost(format!("{to}: connection reset"))),
            Ok(Some(answer)) => Ok(answer?),
        }
    }

    async fn open(self, to: String, method: &'static str, limit: Duration) -> Result<Link, CallError> {
        let clock = &self.net.0.clock;
        let until = clock.now() + limit;
        let (conn, listener) = self.net.dial(&self.process, &to, false, limit).await?;
        let left = until.since(clock.now());
        let opening = async {
            self.net.carry(&conn, Side::Dialer, 0).await?;
            if listener.handler.is_stream(method) != Some(true) {
                self.net.carry(&conn, Side::Server, 0).await?;
                return Some(Err(CallError::Status(unimplemented(method))));
            }
            let (ours, theirs) = pump::link(&self.net, &conn, &to, method);
            let handler = Arc::clone(&listener.handler);
            listener
                .spawn
                .spawn(async move { handler.open(method, theirs) })
                .await?;
            self.net.carry(&conn, Side::Server, 0).await?;
            Some(Ok(ours))
        };
        match clock.timeout(left, opening).await {
            Ok(Some(opened)) => opened,
            Ok(None) => Err(CallError::Lost(format!("{to}: connection reset"))),
            Err(_) => Err(CallError::Deadline),
        }
    }

    fn listen(&self, listen: &str, handler: Arc<dyn Handler>) -> io::Result<Serving> {
        let spawn = self.spawn.clone();
        let (address, listener) = self
            .net
            .0
            .state
            .lock()
            .listen(listen, &self.process, handler, spawn)?;
        let (stop, stop_asked) = oneshot::channel::<()>();
        let (ended, stopped) = oneshot::channel();
        let net = self.net.clone();
        self.spawn.spawn(async move {
            if stop_asked.await.is_err() {
                // Whoever could ask was dropped: serve for ever.
                std::future::pending::<()>().await;
            }
            net.stop_serving(&listener).await;
            let _ = ended.send(());
        });
        Ok(Serving::new(address, stop, stopped))
    }
}

impl MemNet {
    async fn stop_serving(&self, listener: &Listener) {
        let conns = self.0.state.lock().unlisten(listener.id);
        let (calls, links): (Vec<_>, Vec<_>) = conns.into_iter().partition(|conn| conn.calls);
        for link in links {
            self.reset(link, Side::Server);
        }
        let mut in_progress = listener.calls.subscribe();
        let ended = async { in_progress.wait_for(|calls| *calls == 0).await.map(drop) };
        let _ = self.0.clock.timeout(STOP_PATIENCE, ended).await;
        // The last answers are on their way, and come before the end of the connection.
        self.0.clock.sleep(self.0.options.delay.end).await;
        for conn in calls {
            self.reset(conn, Side::Server);
        }
    }
}

impl Net for MemNode {
    fn call(
        &self,
        to: &str,
        method: &'static str,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        Box::pin(self.clone().call(to.to_owned(), method, request, deadline))
    }

    fn open(
        &self,
        to: &str,
        method: &'static str,
        _lane: u8,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>> {
        Box::pin(self.clone().open(to.to_owned(), method, deadline))
    }

    fn serve(&self, listen: &str, handler: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
        Box::pin(std::future::ready(self.listen(listen, handler)))
    }
}
