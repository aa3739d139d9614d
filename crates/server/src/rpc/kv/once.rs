//! The reply of one unary call.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::shard::{Delivery, Replies, Reply};

/// Takes one reply and passes it to whoever waits.
pub(crate) struct Once(Mutex<Option<oneshot::Sender<Reply>>>);

impl Once {
    /// A place for a reply, and where it comes out.
    pub(crate) fn new() -> (Arc<Self>, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        (Arc::new(Self(Mutex::new(Some(sender)))), receiver)
    }
}

impl Replies for Once {
    fn deliver(&self, batch: &mut Vec<Delivery>) {
        for delivery in batch.drain(..) {
            if let Some(sender) = self.0.lock().take() {
                // The caller may have given up.
                let _ = sender.send(delivery.reply);
            }
        }
    }
}
