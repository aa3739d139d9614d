//! One direction of a link: takes frames from a sender, lets them travel, gives them to a receiver.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use atoll_types::limits::MESSAGE_BYTES_MAX;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::MemNet;
use super::conn::{Conn, Phase, Side};
use crate::Instant;
use crate::net::{Link, LinkReceiver, LinkSender};

/// Frames a sender, or a receiver, holds.
const LINK_FRAMES: usize = 4;
/// Frames that travel at once; then the sender waits.
const WINDOW: usize = 64;

/// Both ends of a link over a connection. What is on the way is moved by tasks of the network.
pub(super) fn link(net: &MemNet, conn: &Arc<Conn>) -> (Link, Link) {
    let (to_server, at_server) = direction(net, conn, Side::Dialer);
    let (to_dialer, at_dialer) = direction(net, conn, Side::Server);
    let dialer = Link {
        sender: to_server,
        receiver: at_dialer,
    };
    let server = Link {
        sender: to_dialer,
        receiver: at_server,
    };
    (dialer, server)
}

fn direction(net: &MemNet, conn: &Arc<Conn>, from: Side) -> (LinkSender, LinkReceiver) {
    let (sender, frames) = mpsc::channel(LINK_FRAMES);
    let (arrive, arrived) = mpsc::channel(LINK_FRAMES);
    let pump = Pump {
        net: net.clone(),
        conn: Arc::clone(conn),
        from,
        frames,
        arrive,
        travelling: VecDeque::new(),
        latest: Instant::default(),
        ended: false,
    };
    net.0.spawn.spawn(pump.run());
    let receiver = Receiver {
        arrived,
        conn: Arc::clone(conn),
        side: from.other(),
        ended: false,
    };
    (LinkSender::new(sender), LinkReceiver::new(receiver))
}

struct Pump {
    net: MemNet,
    conn: Arc<Conn>,
    from: Side,
    frames: mpsc::Receiver<Bytes>,
    /// `None` is the orderly end.
    arrive: mpsc::Sender<Option<Bytes>>,
    travelling: VecDeque<Travelling>,
    latest: Instant,
    ended: bool,
}

#[derive(Clone)]
struct Travelling {
    at: Instant,
    lost: bool,
    frame: Option<Bytes>,
}

enum Step {
    Broken,
    Closing,
    Taken(Option<Bytes>),
    /// There is room at the receiver for the frame whose time has come.
    Arrived,
    Lost,
}

impl Pump {
    /// Ends when the sending end knows that the connection is broken, or all has been delivered.
    async fn run(mut self) {
        let mut closing = false;
        while !(self.ended && self.travelling.is_empty()) {
            let taking = !self.ended && self.travelling.len() < WINDOW;
            let step = tokio::select! {
                biased;
                () = self.conn.reached(self.from, Phase::Broken) => Step::Broken,
                () = self.conn.reached(self.from, Phase::Closing), if !closing => Step::Closing,
                frame = self.frames.recv(), if taking => Step::Taken(frame),
                step = self.front(), if !self.travelling.is_empty() => step,
            };
            match step {
                Step::Broken => return,
                Step::Lost => return self.conn.break_both(),
                Step::Closing => {
                    closing = true;
                    self.frames.close();
                }
                Step::Taken(Some(frame)) if frame.len() > MESSAGE_BYTES_MAX => {
                    tracing::error!(
                        len = frame.len(),
                        "a message is too large to be sent; its stream ends"
                    );
                    return self.conn.break_both();
                }
                Step::Taken(frame) => self.take(frame),
                Step::Arrived => self.deliver(closing),
            }
        }
        if closing {
            self.conn.break_both();
        }
    }

    fn take(&mut self, frame: Option<Bytes>) {
        self.ended = frame.is_none();
        self.latest = self.latest.max(self.net.0.clock.now() + self.net.delay());
        self.travelling.push_back(Travelling {
            at: self.latest,
            lost: self.net.is_lost(),
            frame,
        });
    }

    /// Waits until the frame in front arrives, and is not too many for the receiver. May be dropped
    /// and begun again.
    async fn front(&self) -> Step {
        let Some(front) = self.travelling.front() else {
            return std::future::pending().await;
        };
        let (clock, to) = (&self.net.0.clock, self.from.other());
        clock.sleep_until(front.at).await;
        if front.lost {
            clock.sleep_until(front.at + self.net.0.options.stall).await;
            return Step::Lost;
        }
        self.net
            .path_open(self.conn.node(self.from), self.conn.node(to))
            .await;
        if self.conn.is_broken(to) {
            // Nobody is there any more; the news of it is on its way.
            return std::future::pending().await;
        }
        match self.arrive.reserve().await {
            Ok(_) => Step::Arrived,
            // The receiver was dropped; likewise.
            Err(_) => std::future::pending().await,
        }
    }

    fn deliver(&mut self, closing: bool) {
        let Some(front) = self.travelling.pop_front() else {
            return;
        };
        let bytes = front.frame.as_ref().map_or(0, Bytes::len);
        self.net.delivered(
            self.conn.node(self.from),
            self.conn.node(self.from.other()),
            bytes,
        );
        // Whoever closes by dropping the receiver resets, after what was sent.
        if front.frame.is_some() || !closing {
            // There was room a moment ago, and only this task fills it.
            let _ = self.arrive.try_send(front.frame);
        }
    }
}

/// The receiving end. Dropped before the orderly end, it closes the link.
struct Receiver {
    arrived: mpsc::Receiver<Option<Bytes>>,
    conn: Arc<Conn>,
    side: Side,
    ended: bool,
}

impl Stream for Receiver {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = match ready!(self.arrived.poll_recv(context)) {
            Some(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
            Some(None) => None,
            None => Some(Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "connection reset",
            ))),
        };
        self.ended = true;
        Poll::Ready(item)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.ended {
            self.conn.close_side(self.side);
        }
    }
}
