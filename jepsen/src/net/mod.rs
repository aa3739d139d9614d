//! Links between nodes, and between clients and nodes, that can be broken.
//!
//! Every pair of parties has a link in each direction; a fault is a set of [`LinkFault`]s laid over them. Faults of
//! several nemeses overlap: each is an overlay of its own, what a link does is the worst of all overlays on it,
//! and lifting one leaves the others in place.

mod netns;
mod overlays;
mod proxy;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;

use crate::options::NetKind;

/// Someone who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A node: 1, 2, 3, ….
    Node(u16),
    /// All clients.
    Clients,
}

/// What is wrong with messages from one party to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// Nothing arrives and nobody is told. What becomes of bytes sent meanwhile depends on the links: proxies lose
    /// them, and end the connections they came by once it is lifted, or a later byte would take the place of a lost one; packet
    /// filters drop packets, so connections outlive it and TCP sends late what it had kept.
    Blackhole,
    /// Connections end at once, again and again.
    Reset,
    /// Messages take longer by `delay` and up to `jitter` more.
    Delay {
        /// Always.
        delay: Duration,
        /// At random, up to this.
        jitter: Duration,
    },
    /// So many bytes a second pass.
    Bandwidth(u64),
    /// A few bytes at a time pass, with pauses.
    Drip,
}

/// One direction of one link with what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Who sends.
    pub from: Party,
    /// Who does not receive as it should.
    pub to: Party,
    /// What is wrong.
    pub fault: LinkFault,
}

/// A set of faults that lie over links until lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Overlay(pub u64);

/// Links that can be broken.
pub trait Net: Send + Sync {
    /// `host:port` under which nodes and clients know a node; `life` counts how often its address was changed.
    fn advertised(&self, node: u16, life: u32) -> String;

    /// What has to stand before the command that starts this node: nothing, or how to enter its namespace.
    fn prefix(&self, node: u16) -> Vec<String>;

    /// Options of `atoll start` that put this node on these links: `--listen`, `--advertise` and more.
    fn arguments(&self, node: u16, life: u32) -> Vec<String>;

    /// Why this kind of link cannot have this fault; `None` if it can.
    fn cannot(&self, fault: LinkFault) -> Option<&'static str>;

    /// Lays faults over links. Each is in place when this returns.
    fn lay(&self, cuts: &[Cut]) -> io::Result<Overlay>;

    /// Takes an overlay away again.
    fn lift(&self, overlay: Overlay) -> io::Result<()>;
}

/// Makes links between so many nodes, and from clients to each. Needs a running tokio runtime.
///
/// # Errors
/// If this machine or this user cannot have links of that kind; the text says what is missing.
pub fn make(kind: NetKind, nodes: u16, env: &Env) -> io::Result<Arc<dyn Net>> {
    match kind {
        NetKind::Proxy => Ok(Arc::new(proxy::ProxyNet::new(nodes, env)?)),
        NetKind::Netns => Ok(Arc::new(netns::NetnsNet::new(nodes)?)),
    }
}
