//! Raft traffic between nodes.
//!
//! One stream per ordered pair of nodes: the node that dialed sends calls of all its groups on it and
//! gets the answers back on it. Whatever is waiting when the stream can take more becomes one frame,
//! so messages and heartbeats of many groups share frames without being delayed for it. A call ends
//! with its answer, with its deadline, or when the stream breaks; none can wait for ever.
//!
//! Not here: retries (Raft's own), and meaning (a [`Inbound`] per group decides).

mod inbound;
mod peer;

pub(crate) use inbound::serve;
pub(crate) use peer::PeerLink;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_env::net::Link;
use atoll_env::{BoxFuture, Env};
use atoll_types::{GroupKey, NodeId, ReplicaId};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::wire::{Kind, Message};

/// Where replicas are and how to reach their nodes. Answers may be wrong for a while: the other end
/// checks who is meant.
pub trait Peers: Send + Sync + 'static {
    /// The node of a replica, if known.
    fn node_of(&self, group: GroupKey, replica: ReplicaId) -> Option<NodeId>;
    /// Opens the Raft stream to a node, having made sure that it is that node.
    fn dial(&self, node: NodeId) -> BoxFuture<'static, std::io::Result<Link>>;
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallFailure {
    #[error("unreachable: {0}")]
    Unreachable(String),
    #[error("timed out")]
    Timeout,
    #[error("refused: {0}")]
    Refused(String),
}

/// A group's answer to calls from other nodes.
pub(crate) trait Inbound: Send + Sync {
    fn replica(&self) -> ReplicaId;
    fn answer(&self, kind: Kind, body: Bytes) -> BoxFuture<'static, Result<Bytes, String>>;
}

/// Counts since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportStats {
    /// Frames sent.
    pub frames: u64,
    /// Messages in them.
    pub messages: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) frames: AtomicU64,
    pub(crate) messages: AtomicU64,
}

type UpHook = Box<dyn Fn(NodeId) + Send + Sync>;

/// All streams of a node.
pub(crate) struct Transport {
    env: Env,
    peers: Arc<dyn Peers>,
    links: Mutex<BTreeMap<NodeId, Arc<PeerLink>>>,
    groups: RwLock<FxHashMap<GroupKey, Arc<dyn Inbound>>>,
    counters: Arc<Counters>,
    on_up: UpHook,
}

impl Transport {
    /// `on_up` hears of every node that becomes reachable.
    pub(crate) fn new(env: Env, peers: Arc<dyn Peers>, on_up: UpHook) -> Arc<Self> {
        Arc::new(Self {
            env,
            peers,
            links: Mutex::default(),
            groups: RwLock::default(),
            counters: Arc::default(),
            on_up,
        })
    }

    pub(crate) fn register(&self, group: GroupKey, inbound: Arc<dyn Inbound>) {
        self.groups.write().insert(group, inbound);
    }

    pub(crate) fn unregister(&self, group: GroupKey) {
        self.groups.write().remove(&group);
    }

    /// The group's answerer, if the message means the replica that lives here.
    pub(crate) fn inbound(&self, message: &Message) -> Result<Arc<dyn Inbound>, String> {
        let groups = self.groups.read();
        let Some(inbound) = groups.get(&message.group) else {
            return Err(format!("group {} does not run here", message.group));
        };
        if inbound.replica() != message.to {
            let here = inbound.replica();
            return Err(format!(
                "replica {} was meant, replica {here} lives here",
                message.to
            ));
        }
        Ok(inbound.clone())
    }

    /// Calls a replica of a group.
    pub(crate) async fn call(
        self: &Arc<Self>,
        kind: Kind,
        group: GroupKey,
        (from, to): (ReplicaId, ReplicaId),
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, CallFailure> {
        let Some(node) = self.peers.node_of(group, to) else {
            return Err(CallFailure::Unreachable(format!(
                "no node is known for replica {to}"
            )));
        };
        let link = self.link(node);
        let answer = link.call(Message {
            kind,
            group,
            from,
            to,
            call: 0,
            body,
        })?;
        match self.env.clock.timeout(limit, answer).await {
            Ok(result) => result,
            Err(_) => Err(CallFailure::Timeout),
        }
    }

    fn link(self: &Arc<Self>, node: NodeId) -> Arc<PeerLink> {
        let mut links = self.links.lock();
        links
            .entry(node)
            .or_insert_with(|| {
                let link = Arc::new(PeerLink::new(node));
                self.env.spawn.spawn(peer::run(self.clone(), link.clone()));
                link
            })
            .clone()
    }

    pub(crate) fn stats(&self) -> TransportStats {
        TransportStats {
            frames: self.counters.frames.load(Ordering::Relaxed),
            messages: self.counters.messages.load(Ordering::Relaxed),
        }
    }

    /// Ends every stream this node dialed.
    pub(crate) fn close(&self) {
        for link in self.links.lock().values() {
            link.close();
        }
    }
}
