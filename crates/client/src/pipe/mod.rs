//! Many calls over one stream per node.
//!
//! A call writes its request into the connection's outbox, under one short lock, and leaves a waker in
//! a table of pending calls. One task takes whatever the outbox holds as one frame and sends it; one
//! task reads reply frames and completes all calls of a frame under one lock. So calls that are made
//! at about the same time share frames in both directions, with no timer that waits for company: the
//! writer only lets tasks that are ready to run go first. There is no channel, task or timer per call;
//! one sleeping task per connection watches the nearest deadline.
//!
//! A node that does not answer uses up nothing that others need: calls pending (65,535) and bytes queued
//! (32 MiB) are bounded for each connection by itself, what exceeds them is refused as `Full`, and no
//! task serves two connections. [`Health`] and [`Latency`] keep what calls felt of a node, for whoever
//! chooses among replicas.
//!
//! What is promised to the layers above: a [`Failure`] says whether the request may have left this
//! process. `NotSent` means that it never will: the request has been cut out of the outbox.

mod call;
mod connection;
mod health;
mod latency;
mod outbox;
mod peer;
mod pool;
mod table;

pub(crate) use connection::Connection;
pub(crate) use health::Health;
pub(crate) use latency::Latency;
pub(crate) use peer::Peer;
pub(crate) use pool::{Pool, Wires};

use std::sync::Arc;

use atoll_proto::v1::pipe_reply_item;

/// What a server answered.
pub(crate) type Reply = pipe_reply_item::Result;

/// Operations that are small on the wire.
pub(crate) const LANE_SMALL: u8 = 0;
/// Scan pages, multi-gets and large values, so that they do not hold up small operations.
pub(crate) const LANE_LARGE: u8 = 1;
/// A write with more bytes than this goes over [`LANE_LARGE`].
pub(crate) const LARGE_BYTES: usize = 64 * 1024;

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request did not and will not leave this process.
    NotSent(Arc<str>),
    /// Too much is waiting for this connection already; not sent.
    Full,
    /// The request was sent, then the link broke.
    Lost(Arc<str>),
    /// No reply in time.
    TimedOut {
        /// The request may have left this process.
        sent: bool,
    },
}
