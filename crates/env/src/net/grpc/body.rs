//! What is sent: messages with their prefixes, as an HTTP body.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use atoll_types::limits::MESSAGE_BYTES_MAX;
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use tokio::sync::mpsc;

use super::cut::{Cut, Reason};
use super::status;
use crate::net::{Code, Status};

/// Not compressed (1 byte), length (4 bytes).
pub(super) const PREFIX: usize = 5;
/// Messages from here on are not copied behind their prefix but sent as they are.
const WHOLE: usize = 16 * 1024;
/// Small messages that wait together are sent together up to here.
const GATHER: usize = 64 * 1024;

/// The body of a request or an answer.
pub(super) struct SendBody {
    source: Source,
    /// Prefixes and small messages.
    buffer: BytesMut,
    /// Large messages, and prefixes before them, to be sent before anything else.
    ready: VecDeque<Bytes>,
    end: End,
    /// Why a stream failed, if whoever served it says so.
    reason: Option<Arc<OnceLock<Status>>>,
}

enum Source {
    One(Option<Bytes>),
    Frames(mpsc::Receiver<Bytes>, Arc<Cut>),
    Ended(Option<Reason>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A request ends without trailers.
    Request,
    /// An answer ends with its status.
    Answer,
    /// Nothing follows.
    Sent,
}

impl SendBody {
    /// One message.
    pub(super) fn request(message: Bytes) -> Self {
        Self::new(Source::One(Some(message)), End::Request)
    }

    /// A stream of messages to a server.
    pub(super) fn request_frames(frames: mpsc::Receiver<Bytes>, cut: Arc<Cut>) -> Self {
        Self::new(Source::Frames(frames, cut), End::Request)
    }

    /// One message and success.
    pub(super) fn answer(message: Bytes) -> Self {
        Self::new(Source::One(Some(message)), End::Answer)
    }

    /// A stream of messages to a client.
    pub(super) fn answer_frames(
        frames: mpsc::Receiver<Bytes>,
        cut: Arc<Cut>,
        reason: Arc<OnceLock<Status>>,
    ) -> Self {
        let mut body = Self::new(Source::Frames(frames, cut), End::Answer);
        body.reason = Some(reason);
        body
    }

    /// Nothing: the status stands in the head.
    pub(super) fn empty() -> Self {
        Self::new(Source::Ended(None), End::Sent)
    }

    fn new(source: Source, end: End) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            ready: VecDeque::new(),
            end,
            reason: None,
        }
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match &mut self.source {
            Source::One(message) => {
                let message = message.take();
                self.source = Source::Ended(None);
                Poll::Ready(message)
            }
            Source::Frames(frames, cut) => {
                let reason = cut.poll_sending(context);
                if reason.is_some() {
                    // What was sent before still goes out.
                    frames.close();
                }
                let polled = frames.poll_recv(context);
                if matches!(polled, Poll::Ready(None)) {
                    self.source = Source::Ended(reason);
                }
                polled
            }
            Source::Ended(_) => Poll::Ready(None),
        }
    }

    fn add(&mut self, message: Bytes) -> io::Result<()> {
        if message.len() > MESSAGE_BYTES_MAX {
            let len = message.len();
            tracing::error!(len, "a message is too large to be sent; its stream ends");
            return Err(io::Error::other(format!("message of {len} bytes")));
        }
        let whole = message.len() >= WHOLE;
        self.buffer
            .reserve(if whole { PREFIX } else { PREFIX + message.len() });
        self.buffer.put_u8(0);
        self.buffer.put_u32(message.len() as u32);
        if whole {
            self.ready.push_back(self.buffer.split().freeze());
            self.ready.push_back(message);
        } else {
            self.buffer.put_slice(&message);
        }
        Ok(())
    }

    fn trailers(&self) -> http::HeaderMap {
        if let Some(reason) = self.reason.as_ref().and_then(|reason| reason.get()) {
            return status::to_headers(reason);
        }
        match self.source {
            Source::Ended(Some(Reason::Stopping)) => {
                status::to_headers(&Status::new(Code::Unavailable, "the server stops"))
            }
            _ => status::ok_headers(),
        }
    }
}

impl http_body::Body for SendBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        while this.ready.is_empty() && this.buffer.len() < GATHER {
            match this.poll_message(context) {
                Poll::Ready(Some(message)) => this.add(message)?,
                Poll::Pending if this.buffer.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if let Some(bytes) = this.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !this.buffer.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(this.buffer.split().freeze()))));
        }
        let end = std::mem::replace(&mut this.end, End::Sent);
        Poll::Ready((end == End::Answer).then(|| Ok(Frame::trailers(this.trailers()))))
    }

    fn is_end_stream(&self) -> bool {
        let nothing_left =
            matches!(self.source, Source::Ended(_)) && self.ready.is_empty() && self.buffer.is_empty();
        nothing_left && self.end != End::Answer
    }
}
