//! All nodes this client talks to, by address.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_env::Env;
use parking_lot::Mutex;

use super::{Connection, Peer};
use crate::stats::Counters;

/// More addresses than any cluster has; beyond it a broken server is making them up.
const PEERS_MAX: usize = 10_000;

/// What a connection needs from outside.
#[derive(Clone)]
pub(crate) struct Wires {
    pub(crate) env: Env,
    pub(crate) connect_timeout: Duration,
    pub(crate) counters: Arc<Counters>,
    closed: Arc<AtomicBool>,
}

impl Wires {
    pub(crate) fn new(env: Env, connect_timeout: Duration, counters: Arc<Counters>) -> Self {
        Self {
            env,
            connect_timeout,
            counters,
            closed: Arc::default(),
        }
    }

    /// True once the client is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// No new connections and no new calls from here on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// The nodes by address. A node keeps its [`Peer`], and so its connections, across map changes.
#[derive(Default)]
pub(crate) struct Pool(Mutex<BTreeMap<String, Arc<Peer>>>);

impl Pool {
    /// The node at an address.
    pub(crate) fn peer(&self, address: &str) -> Arc<Peer> {
        let mut peers = self.0.lock();
        if let Some(peer) = peers.get(address) {
            return Arc::clone(peer);
        }
        if peers.len() >= PEERS_MAX {
            peers.clear();
        }
        let peer = Arc::new(Peer::new(address));
        peers.insert(address.to_owned(), Arc::clone(&peer));
        peer
    }

    /// Addresses of the nodes there is a connection to.
    pub(crate) fn connected(&self) -> Vec<String> {
        let peers = self.0.lock();
        let open = peers.iter().filter(|(_, peer)| {
            let connections = peer.connections();
            connections.iter().any(|connection| !connection.is_closed())
        });
        open.map(|(address, _)| address.clone()).collect()
    }

    /// The connections there are.
    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.0
            .lock()
            .values()
            .flat_map(|peer| peer.connections())
            .collect()
    }
}
