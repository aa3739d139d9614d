//! What is received: messages out of an HTTP body.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use atoll_types::limits::MESSAGE_BYTES_MAX;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use http_body::Body;
use hyper::body::Incoming;

use super::body::PREFIX;
use super::cut::{Cut, Reason};
use super::status;
use crate::net::{Code, Status};

/// Why there are no more messages.
#[derive(Debug)]
pub(super) enum FrameError {
    /// The server ended with this.
    Status(Status),
    /// A message is larger than allowed or in a form that was not offered; what the sender should hear.
    Malformed(Status),
    /// The connection or the protocol broke.
    Broken(String),
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Status(status) => io::Error::other(status),
            FrameError::Malformed(status) => io::Error::new(io::ErrorKind::InvalidData, status),
            FrameError::Broken(why) => io::Error::new(io::ErrorKind::ConnectionReset, why),
        }
    }
}

/// The messages of one direction.
pub(super) struct Frames {
    body: Incoming,
    decoder: Decoder,
    side: Side,
    cut: Option<Arc<Cut>>,
    ended: bool,
}

/// Whose messages are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A client's: they simply end.
    Requests,
    /// A server's: they end with a status.
    Answers,
}

impl Frames {
    /// The messages of a unary call.
    pub(super) fn new(body: Incoming, side: Side) -> Self {
        Self {
            body,
            decoder: Decoder::default(),
            side,
            cut: None,
            ended: false,
        }
    }

    /// The messages of a link. Dropping this before they ended closes the link.
    pub(super) fn link(body: Incoming, side: Side, cut: Arc<Cut>) -> Self {
        let mut frames = Self::new(body, side);
        frames.cut = Some(cut);
        frames
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, FrameError>>> {
        loop {
            match self.decoder.next() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(why) => return Poll::Ready(Some(Err(FrameError::Malformed(why)))),
            }
            if self.stopping(context) {
                return Poll::Ready(Some(Err(FrameError::Broken("the server stops".to_owned()))));
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(FrameError::Broken(chain(&error))))),
                None => return Poll::Ready(self.end(None)),
            };
            match frame.into_data() {
                Ok(data) => self.decoder.push(data),
                Err(other) => {
                    let outcome = other.trailers_ref().and_then(status::from_headers);
                    return Poll::Ready(self.end(outcome));
                }
            }
        }
    }

    fn stopping(&self, context: &Context<'_>) -> bool {
        self.cut
            .as_ref()
            .is_some_and(|cut| cut.poll_receiving(context) == Some(Reason::Stopping))
    }

    fn end(&self, outcome: Option<Result<(), Status>>) -> Option<Result<Bytes, FrameError>> {
        match outcome {
            Some(Err(status)) => Some(Err(FrameError::Status(status))),
            None if self.side == Side::Answers => {
                Some(Err(FrameError::Broken("ended without a status".to_owned())))
            }
            _ if !self.decoder.is_empty() => {
                Some(Err(FrameError::Broken("ended inside a message".to_owned())))
            }
            _ => None,
        }
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, FrameError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll_message(context));
        self.ended = !matches!(polled, Some(Ok(_)));
        if polled.is_none() {
            // The other end closed its direction in order; ours goes on without this receiver.
            self.cut = None;
        }
        Poll::Ready(polled)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(cut) = &self.cut {
            cut.cut(Reason::Dropped);
        }
    }
}

/// An error with all that caused it: hyper's outermost message alone says nothing.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Finds messages in chunks. A message inside one chunk is a slice of it, not a copy.
#[derive(Debug, Default)]
struct Decoder {
    /// Not yet looked at.
    chunk: Bytes,
    /// A prefix that is not complete.
    prefix: BytesMut,
    /// Length of the message being read.
    expected: Option<usize>,
    /// A message that is not complete.
    partial: BytesMut,
}

impl Decoder {
    fn is_empty(&self) -> bool {
        self.chunk.is_empty() && self.prefix.is_empty() && self.expected.is_none()
    }

    fn push(&mut self, chunk: Bytes) {
        debug_assert!(
            self.chunk.is_empty(),
            "a chunk is pushed only when the last is used up"
        );
        self.chunk = chunk;
    }

    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let len = match self.expected {
            Some(len) => len,
            None => match self.read_prefix()? {
                Some(len) => len,
                None => return Ok(None),
            },
        };
        self.expected = Some(len);
        if self.partial.is_empty() && self.chunk.len() >= len {
            self.expected = None;
            return Ok(Some(self.chunk.split_to(len)));
        }
        if self.partial.is_empty() {
            self.partial.reserve(len);
        }
        let missing = len - self.partial.len();
        let part = self.chunk.split_to(missing.min(self.chunk.len()));
        self.partial.extend_from_slice(&part);
        if self.partial.len() < len {
            return Ok(None);
        }
        self.expected = None;
        Ok(Some(self.partial.split().freeze()))
    }

    fn read_prefix(&mut self) -> Result<Option<usize>, Status> {
        let missing = PREFIX - self.prefix.len();
        let part = self.chunk.split_to(missing.min(self.chunk.len()));
        let (compressed, len) = if part.len() == PREFIX {
            let mut part = part;
            (part.get_u8(), part.get_u32())
        } else {
            self.prefix.extend_from_slice(&part);
            if self.prefix.len() < PREFIX {
                return Ok(None);
            }
            (self.prefix.get_u8(), self.prefix.get_u32())
        };
        if compressed != 0 {
            let text = "a message is compressed, which was not offered: send it as it is";
            return Err(Status::new(Code::Unimplemented, text));
        }
        if len as usize > MESSAGE_BYTES_MAX {
            let text = format!("a message of {len} bytes, at most {MESSAGE_BYTES_MAX} are allowed");
            return Err(Status::new(Code::ResourceExhausted, text));
        }
        Ok(Some(len as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_survive_any_chunking(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            cuts in proptest::collection::vec(1_usize..50, 1..20),
        ) {
            let mut wire = BytesMut::new();
            for message in &messages {
                wire.extend_from_slice(&[0]);
                wire.extend_from_slice(&(message.len() as u32).to_be_bytes());
                wire.extend_from_slice(message);
            }
            let mut wire = wire.freeze();
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for cut in cuts.iter().cycle() {
                if wire.is_empty() {
                    break;
                }
                decoder.push(wire.split_to((*cut).min(wire.len())));
                while let Some(message) = decoder.next().unwrap() {
                    found.push(message.to_vec());
                }
            }
            prop_assert!(decoder.is_empty());
            prop_assert_eq!(found, messages);
        }
    }

    #[test]
    fn a_message_within_a_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"\0\0\0\0\x03abc\0\0\0\0\0");
        let mut decoder = Decoder::default();
        decoder.push(chunk.clone());
        let message = decoder.next().unwrap().unwrap();
        assert_eq!(message.as_ptr(), chunk[5..].as_ptr());
        assert_eq!(decoder.next().unwrap().unwrap(), Bytes::new());
        assert!(decoder.is_empty());
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_allocated() {
        let mut decoder = Decoder::default();
        decoder.push(Bytes::from_static(b"\0\xff\xff\xff\xff"));
        assert!(decoder.next().is_err());
        assert_eq!(decoder.partial.capacity(), 0);
    }
}
