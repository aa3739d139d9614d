//! One pending call, as a future.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Connection, Failure, Reply};

/// Waits for the reply. Dropping it gives up the call's place; a request not yet written is withdrawn.
pub(crate) struct Call {
    connection: Arc<Connection>,
    /// `None` once the reply has been handed out.
    id: Option<u64>,
}

impl Call {
    pub(super) fn new(connection: Arc<Connection>, id: u64) -> Self {
        Self {
            connection,
            id: Some(id),
        }
    }
}

impl Future for Call {
    type Output = Result<Reply, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id.expect("a finished future is not polled again");
        let polled = self.connection.poll_reply(id, context.waker());
        if polled.is_ready() {
            self.id = None;
        }
        polled
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.connection.forget(id);
        }
    }
}
