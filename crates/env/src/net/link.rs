//! The two ends of a stream of frames.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::Status;

/// A two-way stream of frames with whoever is at the other end.
#[derive(Debug)]
pub struct Link {
    /// Frames to the other end.
    pub sender: LinkSender,
    /// Frames from the other end.
    pub receiver: LinkReceiver,
}

/// Sends frames. Holds a few at most; a slow other end makes [`LinkSender::send`] wait.
#[derive(Clone, Debug)]
pub struct LinkSender {
    frames: mpsc::Sender<Bytes>,
    reason: Arc<OnceLock<Status>>,
}

impl LinkSender {
    /// For implementations.
    pub fn new(frames: mpsc::Sender<Bytes>) -> Self {
        Self::with_reason(frames, Arc::default())
    }

    /// For implementations that can tell the other end why a link ended, once `frames` has ended.
    pub fn with_reason(frames: mpsc::Sender<Bytes>, reason: Arc<OnceLock<Status>>) -> Self {
        Self { frames, reason }
    }

    /// Ends a server's stream with a failure instead of success, behind the frames sent before. The
    /// first reason stays. The other end reads it as an error; over links in memory, and on a client's
    /// side of a link, it is a plain end. The link closes when every clone of the sender is dropped.
    pub fn fail(self, reason: Status) {
        let _ = self.reason.set(reason);
    }

    /// Sends a frame, waiting for room. False if the link is closed; the frame may then be lost, and
    /// so may earlier ones.
    pub async fn send(&self, frame: Bytes) -> bool {
        self.frames.send(frame).await.is_ok()
    }

    /// Waits until the link is closed.
    pub async fn closed(&self) {
        self.frames.closed().await;
    }
}

/// Receives frames.
pub struct LinkReceiver(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>);

impl LinkReceiver {
    /// For implementations.
    pub fn new(frames: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Box::pin(frames))
    }

    /// The next frame; `None` when the other end closed; an error when the link broke.
    pub async fn recv(&mut self) -> Option<io::Result<Bytes>> {
        self.0.next().await
    }

    /// A frame that is already here, without waiting.
    pub fn try_recv(&mut self) -> Option<io::Result<Bytes>> {
        futures_util::FutureExt::now_or_never(self.0.next()).flatten()
    }
}

impl fmt::Debug for LinkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkReceiver")
    }
}
