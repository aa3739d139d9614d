//! How nodes reach each other.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{Handler, Link, Status};
use atoll_env::{BoxFuture, Net};
use atoll_raft::{Peers, RaftHost};
use atoll_types::{GroupKey, NodeId, ReplicaId};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::world::address;

pub const STREAM: &str = "/test/Raft";
const DIAL_LIMIT: Duration = Duration::from_millis(800);

/// Finds nodes by their numbers.
pub struct Numbered {
    pub net: Arc<dyn Net>,
    pub dialled: Arc<Mutex<BTreeMap<u64, u64>>>,
}

impl Peers for Numbered {
    fn node_of(&self, _group: GroupKey, replica: ReplicaId) -> Option<NodeId> {
        Some(NodeId(replica.0 % 100))
    }

    fn dial(&self, node: NodeId) -> BoxFuture<'static, io::Result<Link>> {
        *self.dialled.lock().entry(node.0).or_default() += 1;
        let open = self.net.open(&address(node.0), STREAM, 0, DIAL_LIMIT);
        Box::pin(async move { open.await.map_err(io::Error::other) })
    }
}

pub struct Streams(pub RaftHost);

impl Handler for Streams {
    fn is_stream(&self, method: &str) -> Option<bool> {
        (method == STREAM).then_some(true)
    }

    fn call(&self, _: &str, _: Bytes, _: Option<Duration>) -> BoxFuture<'static, Result<Bytes, Status>> {
        unreachable!("there are only streams")
    }

    fn open(&self, _method: &str, link: Link) {
        self.0.accept(link);
    }
}
