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
pub(super) fn link(net: &MemNet, conn: &Arc<Conn>, address: &str, method: &'static str) -> (Link, Link) {
    let target = Some((address.to_owned(), method));
    let (to_server, at_server) = direction(net, conn, Side::Dialer, target);
    let (to_dialer, at_dialer) = direction(net, conn, Side::Server, None);
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

fn direction(
    net: &MemNet,
    conn: &Arc<Conn>,
    from: Side,
    target: Option<(String, &'static str)>,
) -> (LinkSender, LinkReceiver) {
    let (sender, frames) = mpsc::channel(LINK_FRAMES);
    let (arrive, arrived) = mpsc::channel(LINK_FRAMES);
    let pump = Pump {
        net: net.clone(),
        conn: Arc::clone(conn),
        from,
        target,
        arrive: Some(arrive),
        travelling: VecDeque::new(),
        latest: Instant::default(),
        sent_all: false,
        closing: false,
    };
    net.0.spawn.spawn(pump.run(frames));
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
    /// Address and method, on the way to a server.
    target: Option<(String, &'static str)>,
    /// To the receiver: frames, and `None` for the orderly end. Gone once the receiving end knows
    /// that the connection is broken.
    arrive: Option<mpsc::Sender<Option<Bytes>>>,
    travelling: VecDeque<Travelling>,
    /// When the last frame arrives.
    latest: Instant,
    /// Nothing more comes from the sender.
    sent_all: bool,
    /// The sender's receiver was dropped.
    closing: bool,
}

struct Travelling {
    at: Instant,
    lost: bool,
    frame: Option<Bytes>,
}

enum Step {
    SenderBroken,
    ReceiverBroken,
    Closing,
    Taken(Option<Bytes>),
    /// There is room at the receiver for the frame whose time has come.
    Arrived,
    Lost,
    /// All that was sent before closing has had its time.
    Closed,
}

impl Pump {
    async fn run(mut self, mut frames: mpsc::Receiver<Bytes>) {
        let (from, to) = (self.from, self.from.other());
        let mut sender_broken = false;
        loop {
            let taking = !self.sent_all && (self.closing || self.travelling.len() < WINDOW);
            let step = tokio::select! {
                biased;
                () = self.conn.reached(to, Phase::Broken), if self.arrive.is_some() => Step::ReceiverBroken,
                () = self.conn.reached(from, Phase::Broken), if !sender_broken => Step::SenderBroken,
                () = self.conn.reached(from, Phase::Closing), if !self.closing => Step::Closing,
                frame = frames.recv(), if taking => Step::Taken(frame),
                step = self.front(), if !self.travelling.is_empty() => step,
                () = self.closed(), if self.closing && self.sent_all && !sender_broken => Step::Closed,
            };
            match step {
                Step::ReceiverBroken => self.arrive = None,
                Step::SenderBroken => {
                    // What it had not handed over goes with it; what is on the way arrives.
                    sender_broken = true;
                    self.sent_all = true;
                    frames.close();
                }
                Step::Lost => self.conn.break_both(),
                Step::Closing => {
                    self.closing = true;
                    frames.close();
                }
                Step::Taken(frame) => self.take(frame),
                Step::Arrived => self.deliver(),
                Step::Closed => self.net.reset(Arc::clone(&self.conn), from),
            }
            let nobody = sender_broken && self.arrive.is_none();
            let all_done = self.sent_all && self.travelling.is_empty() && !self.closing && !sender_broken;
            if nobody || all_done {
                return;
            }
        }
    }

    fn take(&mut self, frame: Option<Bytes>) {
        if let Some(frame) = frame.as_ref().filter(|frame| frame.len() > MESSAGE_BYTES_MAX) {
            tracing::error!(
                len = frame.len(),
                "a message is too large to be sent; its stream ends"
            );
            self.conn.break_both();
            return;
        }
        self.sent_all = frame.is_none();
        if frame.is_none() && self.closing {
            // Whoever closes by dropping the receiver resets, after what was sent.
            return;
        }
        if let (Some((address, method)), Some(frame)) = (&self.target, &frame) {
            self.net.copy_frame(self.conn.dialer(), address, method, frame);
        }
        let (from, to) = (self.conn.node(self.from), self.conn.node(self.from.other()));
        self.latest = self.latest.max(self.net.0.clock.now() + self.net.delay(from, to));
        self.travelling.push_back(Travelling {
            at: self.latest,
            lost: self.net.is_lost(),
            frame,
        });
    }

    /// Waits until the frame in front arrives, and is not too many for the receiver. May be dropped
    /// and begun again.
    async fn front(&self) -> Step {
        let (Some(front), Some(arrive)) = (self.travelling.front(), &self.arrive) else {
            return std::future::pending().await;
        };
        let clock = &self.net.0.clock;
        clock.sleep_until(front.at).await;
        if front.lost {
            clock.sleep_until(front.at + self.net.0.options.stall).await;
            return Step::Lost;
        }
        self.net
            .path_open(self.conn.node(self.from), self.conn.node(self.from.other()))
            .await;
        match arrive.reserve().await {
            Ok(_) => Step::Arrived,
            // The receiver was dropped; the news of it is on its way.
            Err(_) => std::future::pending().await,
        }
    }

    async fn closed(&self) {
        self.net.0.clock.sleep_until(self.latest).await;
    }

    fn deliver(&mut self) {
        let (Some(front), Some(arrive)) = (self.travelling.pop_front(), &self.arrive) else {
            return;
        };
        let bytes = front.frame.as_ref().map_or(0, Bytes::len);
        self.net.delivered(
            self.conn.node(self.from),
            self.conn.node(self.from.other()),
            bytes,
        );
        // There was room a moment ago, and only this task fills it.
        let _ = arrive.try_send(front.frame);
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
