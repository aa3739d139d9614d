//! The stream this node dialed to another one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use atoll_env::Instant;
use atoll_env::net::{Link, LinkReceiver, LinkSender};
use atoll_types::{NodeId, limits};
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, oneshot};

use super::{CallFailure, Transport};
use crate::wire::{Kind, Message, frame_messages, start_frame};

/// Calls waiting for room on the stream or for an answer.
const CALLS_MAX: usize = 16 * 1024;
/// Bytes waiting for room on the stream.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A frame takes messages until it has this size.
const FRAME_BYTES: usize = limits::APPEND_BYTES;
/// After a failed dial, calls fail at once for this long.
const REDIAL_PAUSE: Duration = Duration::from_millis(100);
const DIAL_LIMIT: Duration = Duration::from_secs(1);

/// The calls to one node.
pub(crate) struct PeerLink {
    node: NodeId,
    state: Mutex<State>,
    wake: Notify,
    next_call: AtomicU64,
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Message>,
    queue_bytes: usize,
    waiting: FxHashMap<u64, oneshot::Sender<Result<Bytes, CallFailure>>>,
    down_until: Option<(Instant, String)>,
}

impl PeerLink {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            state: Mutex::default(),
            wake: Notify::new(),
            next_call: AtomicU64::new(1),
            closed: AtomicBool::new(false),
        }
    }

    /// Queues a call; the future gives its answer. Dropping the future forgets the call.
    pub(crate) fn call(
        self: &Arc<Self>,
        mut message: Message,
    ) -> Result<impl Future<Output = Result<Bytes, CallFailure>> + use<>, CallFailure> {
        message.call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let call = message.call;
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state.lock();
            if let Some((_, reason)) = &state.down_until {
                return Err(CallFailure::Unreachable(reason.clone()));
            }
            if state.waiting.len() >= CALLS_MAX || state.queue_bytes >= QUEUE_BYTES_MAX {
                return Err(CallFailure::Unreachable("too many calls are waiting".to_owned()));
            }
            state.queue_bytes += message.encoded_len();
            state.queue.push_back(message);
            state.waiting.insert(call, sender);
        }
        self.wake.notify_one();
        let forget = Forget {
            link: self.clone(),
            call,
        };
        Ok(async move {
            let _forget = forget;
            receiver
                .await
                .unwrap_or_else(|_| Err(CallFailure::Unreachable("closed".to_owned())))
        })
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The next frame's messages, or none.
    fn take_frame(&self) -> Option<(Bytes, u64)> {
        let mut state = self.state.lock();
        let first = state.queue.front()?.encoded_len();
        let mut frame = start_frame(first.max(state.queue_bytes.min(FRAME_BYTES)));
        let mut count = 0;
        while let Some(message) = state.queue.front() {
            if count > 0 && frame.len() + message.encoded_len() > FRAME_BYTES {
                break;
            }
            message.encode(&mut frame);
            state.queue_bytes -= message.encoded_len();
            state.queue.pop_front();
            count += 1;
        }
        Some((frame.freeze(), count))
    }

    fn finish(&self, message: Message) {
        let sender = self.state.lock().waiting.remove(&message.call);
        let Some(sender) = sender else { return };
        let result = match message.kind {
            Kind::Reply => Ok(message.body),
            _ => Err(CallFailure::Refused(
                String::from_utf8_lossy(&message.body).into_owned(),
            )),
        };
        // The caller may have given up at this very moment.
        let _ = sender.send(result);
    }

    fn fail_all(&self, reason: &str, down_until: Option<Instant>) {
        let waiting = {
            let mut state = self.state.lock();
            state.queue.clear();
            state.queue_bytes = 0;
            state.down_until = down_until.map(|until| (until, reason.to_owned()));
            std::mem::take(&mut state.waiting)
        };
        for sender in waiting.into_values() {
            let _ = sender.send(Err(CallFailure::Unreachable(reason.to_owned())));
        }
    }
}

/// Removes a call that nobody waits for any more.
struct Forget {
    link: Arc<PeerLink>,
    call: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.link.state.lock().waiting.remove(&self.call);
    }
}

/// Keeps the stream: dials when there is something to send, carries calls and answers, and after a
/// break starts again.
pub(super) async fn run(transport: Arc<Transport>, link: Arc<PeerLink>) {
    while !link.is_closed() {
        if link.state.lock().queue.is_empty() {
            link.wake.notified().await;
            continue;
        }
        let clock = &transport.env.clock;
        let dialed = clock.timeout(DIAL_LIMIT, transport.peers.dial(link.node)).await;
        let problem = match dialed {
            Ok(Ok(stream)) => {
                (transport.on_up)(link.node);
                carry(&transport, &link, stream).await;
                link.fail_all("the stream broke", None);
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        link.fail_all(&problem, Some(clock.now() + REDIAL_PAUSE));
        clock.sleep(REDIAL_PAUSE).await;
        link.state.lock().down_until = None;
        // Somebody may be waiting for exactly this node to come back: look again by ourselves.
        probe(&transport, &link).await;
    }
    link.fail_all("shutting down", None);
}

/// While a node is down, dials it now and then, so that its return is noticed although Raft backs off.
async fn probe(transport: &Transport, link: &PeerLink) {
    let clock = &transport.env.clock;
    let mut pause = REDIAL_PAUSE;
    while !link.is_closed() && link.state.lock().queue.is_empty() {
        if let Ok(Ok(stream)) = clock.timeout(DIAL_LIMIT, transport.peers.dial(link.node)).await {
            (transport.on_up)(link.node);
            carry(transport, link, stream).await;
            link.fail_all("the stream broke", None);
            return;
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(800));
    }
}

async fn carry(transport: &Transport, link: &PeerLink, stream: Link) {
    let Link { sender, receiver } = stream;
    tokio::select! {
        biased;
        () = read_answers(link, receiver) => {}
        () = write_calls(transport, link, sender) => {}
    }
}

async fn read_answers(link: &PeerLink, mut receiver: LinkReceiver) {
    while let Some(Ok(frame)) = receiver.recv().await {
        for message in frame_messages(frame) {
            let Some(message) = message else {
                tracing::warn!(node = %link.node, "a frame of answers cannot be read; the stream is closed");
                return;
            };
            link.finish(message);
        }
    }
}

async fn write_calls(transport: &Transport, link: &PeerLink, sender: LinkSender) {
    loop {
        while let Some((frame, messages)) = link.take_frame() {
            transport.counters.frames.fetch_add(1, Ordering::Relaxed);
            transport.counters.messages.fetch_add(messages, Ordering::Relaxed);
            if !sender.send(frame).await {
                return;
            }
        }
        if link.is_closed() {
            return;
        }
        link.wake.notified().await;
    }
}
