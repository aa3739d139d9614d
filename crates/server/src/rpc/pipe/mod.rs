//! The pipe (D20): many operations of one caller on one stream, matched by id.
//!
//! One task per pipe. It decodes each frame once, sorts its operations by group and hands them over;
//! the groups leave encoded replies in the pipe's outbox and wake the task, which sends what is there
//! when nothing else is ready or a frame is full. Nothing is spawned, boxed or timed per operation.
//!
//! It reads on while operations are pending, up to a number and a size of them; then it stops reading
//! until replies drain, and the stream's flow control stops the caller. Replies come in no particular
//! order.

mod outbox;
mod sorter;

use std::sync::Arc;

use atoll_env::net::{Code, Link, LinkReceiver, LinkSender, Status};
use atoll_proto::v1;
use atoll_types::limits::{PIPE_OPS_MAX, REQUEST_FIELDS_MAX};
use bytes::Bytes;
use prost::Message;

use super::fields;
use super::kv::Serving;
use outbox::Outbox;
use sorter::Sorter;

pub(crate) use sorter::patience;

/// Frames taken in before replies get their turn.
const FRAMES_PER_TURN: usize = 16;

/// Serves one pipe until either end closes it.
pub(crate) async fn run(serving: Arc<Serving>, link: Link) {
    let outbox = Arc::new(Outbox::new(serving.places(), serving.traffic.clone()));
    let Link { sender, receiver } = link;
    let mut pipe = Pipe {
        serving,
        outbox,
        receiver,
        reading: true,
    };
    if let Err(error) = pipe.turns(&sender).await {
        tracing::warn!(%error, "a pipe is closed");
        sender.fail(error.status());
    }
    pipe.outbox.close();
}

struct Pipe {
    serving: Arc<Serving>,
    outbox: Arc<Outbox>,
    receiver: LinkReceiver,
    /// False once the caller said that nothing more comes.
    reading: bool,
}

/// Why a pipe is closed from this side.
#[derive(Debug, thiserror::Error)]
enum PipeError {
    #[error("the stream broke: {0}")]
    Broken(#[from] std::io::Error),
    #[error("a frame cannot be decoded: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("a frame has more than {PIPE_OPS_MAX} operations")]
    TooMany,
    #[error("the operations of a frame have more than {REQUEST_FIELDS_MAX} keys and other fields together")]
    TooManyInside,
}

impl PipeError {
    /// What the caller hears.
    fn status(&self) -> Status {
        let code = match self {
            Self::Broken(_) => Code::Internal,
            Self::Malformed(_) => Code::InvalidArgument,
            Self::TooMany | Self::TooManyInside => Code::ResourceExhausted,
        };
        Status::new(code, self.to_string())
    }
}

impl Pipe {
    /// Takes frames in and sends replies out, until there is nobody to do it for.
    async fn turns(&mut self, sender: &LinkSender) -> Result<(), PipeError> {
        loop {
            tokio::select! {
                biased;
                // Whoever else is about to reply or send was woken by the same event: let them.
                () = self.outbox.wait() => tokio::task::yield_now().await,
                frame = self.receiver.recv(), if self.reading && self.outbox.has_room() => self.take(frame)?,
                () = sender.closed() => return Ok(()),
            }
            self.take_what_is_here()?;
            let read_by_somebody = send_what_is_there(&self.outbox, sender).await;
            if !read_by_somebody || (!self.reading && self.outbox.is_settled()) {
                return Ok(());
            }
        }
    }

    fn take_what_is_here(&mut self) -> Result<(), PipeError> {
        for _ in 0..FRAMES_PER_TURN {
            if !self.reading || !self.outbox.has_room() || self.outbox.has_full_frame() {
                return Ok(());
            }
            match self.receiver.try_recv() {
                // Also at the end of the stream: the next recv() will tell.
                None => return Ok(()),
                frame => self.take(frame)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: Option<std::io::Result<Bytes>>) -> Result<(), PipeError> {
        let Some(frame) = frame else {
            self.reading = false;
            return Ok(());
        };
        let request = decode(frame?)?;
        let mut sorter = Sorter::new(&self.serving, &self.outbox);
        for item in request.items {
            sorter.take(item);
        }
        sorter.hand_over();
        Ok(())
    }
}

/// False if the other end is gone.
async fn send_what_is_there(outbox: &Outbox, sender: &LinkSender) -> bool {
    while let Some(frame) = outbox.next_frame() {
        if !sender.send(frame).await {
            return false;
        }
    }
    true
}

/// Decodes a frame whose number of operations, and of keys in them, is within bounds. They are counted
/// first, because an operation of two bytes becomes a hundred in memory.
fn decode(frame: Bytes) -> Result<v1::PipeRequest, PipeError> {
    if fields::count(&frame)? > PIPE_OPS_MAX {
        return Err(PipeError::TooMany);
    }
    if fields::are_too_many_in_operations(&frame)? {
        return Err(PipeError::TooManyInside);
    }
    Ok(v1::PipeRequest::decode(frame)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_bounded_by_operations() {
        let items = |count| v1::PipeRequest {
            items: vec![v1::PipeRequestItem::default(); count],
        };
        let encode = |count| Bytes::from(items(count).encode_to_vec());
        assert_eq!(decode(encode(PIPE_OPS_MAX)).unwrap().items.len(), PIPE_OPS_MAX);
        assert!(matches!(
            decode(encode(PIPE_OPS_MAX + 1)),
            Err(PipeError::TooMany)
        ));
        assert!(decode(Bytes::new()).unwrap().items.is_empty());
    }

    #[test]
    fn a_frame_of_one_operation_with_millions_of_keys_is_not_decoded() {
        let write = v1::WriteRequest {
            ops: vec![v1::WriteOp::default(); 1_000_000],
            ..v1::WriteRequest::default()
        };
        let item = v1::PipeRequestItem {
            operation: Some(v1::pipe_request_item::Operation::Write(write)),
            ..v1::PipeRequestItem::default()
        };
        let frame = v1::PipeRequest { items: vec![item] }.encode_to_vec();
        assert!(matches!(decode(frame.into()), Err(PipeError::TooManyInside)));
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        let good = v1::PipeRequest {
            items: vec![v1::PipeRequestItem {
                id: 300,
                deadline_ms: 5,
                group: 1,
                operation: Some(v1::pipe_request_item::Operation::Get(v1::GetRequest {
                    key: Bytes::from_static(b"key"),
                    options: None,
                })),
            }],
        };
        let bytes = good.encode_to_vec();
        assert_eq!(decode(bytes.clone().into()).unwrap(), good);
        for cut in 1..bytes.len() {
            assert!(
                matches!(
                    decode(Bytes::copy_from_slice(&bytes[..cut])),
                    Err(PipeError::Malformed(_))
                ),
                "{cut}"
            );
        }
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut wrong = bytes.clone();
                wrong[position] ^= 1 << bit;
                // Either it is refused or it is some other request; it must not panic.
                let _ = decode(wrong.into());
            }
        }
    }
}
