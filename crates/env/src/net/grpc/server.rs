//! Serving a [`Handler`].

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use atoll_types::limits::MESSAGE_BYTES_MAX;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::body::SendBody;
use super::cut::{Cut, Reason};
use super::frames::{FrameError, Frames, Side, chain};
use super::{
    CONNECTION_WINDOW, Executor, FRAME_BYTES, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, LINK_FRAMES, STREAM_WINDOW,
    status,
};
use crate::net::{Code, Handler, Link, LinkReceiver, LinkSender, Serving, Status};
use crate::{Clock, Spawn, watch};

/// Unary calls in progress get this long when a server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// Once no call is in progress, connections get this long to send what was answered.
const STOP_FLUSH: Duration = Duration::from_millis(100);
/// Calls and streams of one connection at a time; more wait at the client.
const CONCURRENT_STREAMS: u32 = 4096;
/// Calls given up by one client before the server looked at them; a client that gives up more of
/// them at once is taken for an attacker (CVE-2023-44487).
const RESET_STREAMS: usize = 1024;
/// Wait after a connection could not be accepted (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds and serves until told to stop.
pub(super) async fn serve(
    clock: Clock,
    spawn: Spawn,
    listen: String,
    handler: Arc<dyn Handler>,
) -> io::Result<Serving> {
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}")))?;
    let address = listener.local_addr()?.to_string();
    let (stop, stop_asked) = oneshot::channel();
    let (ended, stopped) = oneshot::channel();
    let links = Mutex::new(Some(Vec::new()));
    let calls = watch::Sender::new(0);
    let server = Arc::new(Server {
        clock,
        spawn: spawn.clone(),
        handler,
        links,
        calls,
    });
    spawn.spawn(async move {
        server.run(listener, stop_asked).await;
        // Nobody waits if the `Serving` was dropped.
        let _ = ended.send(());
    });
    Ok(Serving::new(address, stop, stopped))
}

struct Server {
    clock: Clock,
    spawn: Spawn,
    handler: Arc<dyn Handler>,
    /// Open links, and some that are no more. `None` once the server stops.
    links: Mutex<Option<Vec<Weak<Cut>>>>,
    /// Unary calls in progress.
    calls: watch::Sender<usize>,
}

impl Server {
    async fn run(self: &Arc<Self>, listener: TcpListener, stop_asked: oneshot::Receiver<()>) {
        let (stopping, stop_seen) = watch::channel(false);
        // Each connection holds a sender, so that the receiver ends with the last of them.
        let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
        tokio::select! {
            biased;
            () = asked(stop_asked) => {}
            never = self.accept(&listener, &stop_seen, &alive) => match never {},
        }
        drop(listener);
        drop(alive);
        let _ = stopping.send(true);
        let links = self.links.lock().take();
        for cut in links.iter().flatten().filter_map(Weak::upgrade) {
            cut.cut(Reason::Stopping);
        }
        let _ = all_gone.recv().await;
    }

    async fn accept(
        self: &Arc<Self>,
        listener: &TcpListener,
        stop: &watch::Receiver<bool>,
        alive: &mpsc::Sender<Infallible>,
    ) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    self.spawn
                        .spawn(Arc::clone(self).connection(stream, stop.clone(), alive.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        mut stop: watch::Receiver<bool>,
        _alive: mpsc::Sender<Infallible>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "connection ended before it began");
            return;
        }
        let server = Arc::clone(&self);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let connection = Builder::new(Executor(self.spawn.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            .max_concurrent_streams(CONCURRENT_STREAMS)
            .max_pending_accept_reset_streams(RESET_STREAMS)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            biased;
            served = connection.as_mut() => Some(served),
            // Changes once; an error means that it did and the server is gone.
            _ = stop.changed() => None,
        };
        let served = if let Some(served) = served {
            served
        } else {
            connection.as_mut().graceful_shutdown();
            let ending = async {
                tokio::select! {
                    biased;
                    served = connection => served,
                    () = self.calls_ended() => Ok(()),
                }
            };
            self.clock.timeout(STOP_PATIENCE, ending).await.unwrap_or(Ok(()))
        };
        if let Err(error) = served {
            tracing::debug!(error = chain(&error), "connection ended");
        }
    }

    /// Waits until every call has its answer, which is also on its way. A link may be held for long
    /// by whoever uses it; that keeps no server from stopping.
    async fn calls_ended(&self) {
        drop(self.calls.subscribe().wait_for(|calls| *calls == 0).await);
        self.clock.sleep(STOP_FLUSH).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<SendBody> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .map(HeaderValue::as_bytes);
        if !kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
            let mut response = Response::new(SendBody::empty());
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        let method = request.uri().path();
        match self.handler.is_stream(method) {
            None => refuse(&Status::new(
                Code::Unimplemented,
                format!("there is no method {method}"),
            )),
            Some(true) => self.open(request),
            Some(false) => match self.call(request).await {
                Ok(message) => respond(SendBody::answer(message)),
                Err(status) => refuse(&status),
            },
        }
    }

    async fn call(&self, request: Request<Incoming>) -> Result<Bytes, Status> {
        let _counted = Counted::new(&self.calls);
        let (head, body) = request.into_parts();
        let deadline = deadline(&head.headers);
        let message = match Frames::new(body, Side::Requests).next().await {
            Some(Ok(message)) => message,
            Some(Err(FrameError::Malformed(status) | FrameError::Status(status))) => return Err(status),
            Some(Err(FrameError::Broken(why))) => return Err(Status::new(Code::Internal, why)),
            None => return Err(Status::new(Code::Internal, "a unary call without a message")),
        };
        // A task of its own, because this one is dropped when the caller goes: what a call began, it
        // shall end.
        let work = self.handler.call(head.uri.path(), message, deadline);
        let Some(answer) = self.spawn.spawn(work).await else {
            return Err(Status::new(Code::Cancelled, "the call was stopped"));
        };
        let answer = answer?;
        if answer.len() > MESSAGE_BYTES_MAX {
            return Err(Status::new(
                Code::Internal,
                format!("answer of {} bytes", answer.len()),
            ));
        }
        Ok(answer)
    }

    fn open(&self, request: Request<Incoming>) -> Response<SendBody> {
        let (head, body) = request.into_parts();
        let (sender, outgoing) = mpsc::channel(LINK_FRAMES);
        let cut = Arc::new(Cut::default());
        if !self.remember(&cut) {
            return refuse(&Status::new(Code::Unavailable, "the server stops"));
        }
        let reason = Arc::new(OnceLock::new());
        let frames = Frames::link(body, Side::Requests, Arc::clone(&cut));
        let link = Link {
            sender: LinkSender::with_reason(sender, Arc::clone(&reason)),
            receiver: LinkReceiver::new(frames.map(|frame| frame.map_err(Into::into))),
        };
        self.handler.open(head.uri.path(), link);
        respond(SendBody::answer_frames(outgoing, cut, reason))
    }

    /// False if the server stops.
    fn remember(&self, cut: &Arc<Cut>) -> bool {
        let mut links = self.links.lock();
        let Some(links) = links.as_mut() else {
            return false;
        };
        if links.len().is_power_of_two() {
            links.retain(|link| link.strong_count() > 0);
        }
        links.push(Arc::downgrade(cut));
        true
    }
}

/// A call in progress.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(calls: &'a watch::Sender<usize>) -> Self {
        calls.send_modify(|calls| *calls += 1);
        Self(calls)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}

/// Ends when asked to; never if the one who could ask was dropped.
async fn asked(stop: oneshot::Receiver<()>) {
    if stop.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn respond(body: SendBody) -> Response<SendBody> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn refuse(status: &Status) -> Response<SendBody> {
    let mut response = respond(SendBody::empty());
    response.headers_mut().extend(status::to_headers(status));
    response
}

/// `grpc-timeout`: up to eight digits and a unit. What cannot be read is no deadline.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = digits.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(number)
}
