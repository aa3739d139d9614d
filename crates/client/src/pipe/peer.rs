//! A node as the client knows it: an address and up to two connections.

use std::sync::Arc;

use atoll_env::Instant;
use parking_lot::Mutex;

use super::{Connection, Failure, Health, LANE_SMALL, Latency, Wires};
use crate::retry::Backoff;

/// A node's address and its connections, which are made when first used and again when broken.
pub(crate) struct Peer {
    address: Arc<str>,
    pub(crate) health: Health,
    pub(crate) latency: Latency,
    small: Mutex<Lane>,
    large: Mutex<Lane>,
}

#[derive(Default)]
struct Lane {
    connection: Option<Arc<Connection>>,
    /// Grows with every failure to connect, so that a dead node is not dialled by every call.
    backoff: Backoff,
    not_before: Instant,
}

impl Peer {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            health: Health::default(),
            latency: Latency::default(),
            small: Mutex::default(),
            large: Mutex::default(),
        }
    }

    /// Where the node listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn lane(&self, lane: u8) -> &Mutex<Lane> {
        if lane == LANE_SMALL {
            &self.small
        } else {
            &self.large
        }
    }

    /// The lane's connection, dialled if need be. Fails if the last attempt to dial failed a moment ago.
    pub(crate) fn connection(&self, lane: u8, wires: &Wires) -> Result<Arc<Connection>, Failure> {
        let mut state = self.lane(lane).lock();
        state.settle(wires);
        if let Some(connection) = &state.connection {
            return Ok(Arc::clone(connection));
        }
        if wires.is_closed() {
            return Err(Failure::NotSent("the client is closed".into()));
        }
        if wires.env.clock.now() < state.not_before {
            return Err(Failure::NotSent(
                format!("{} could not be reached", self.address).into(),
            ));
        }
        let connection = Connection::dial(wires, &self.address, lane);
        state.connection = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// False for a moment after a failure to connect: then a call would fail without being sent.
    pub(crate) fn looks_alive(&self, wires: &Wires) -> bool {
        let mut lane = self.small.lock();
        lane.settle(wires);
        lane.connection.is_some() || wires.env.clock.now() >= lane.not_before
    }

    /// The connections there are.
    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        [&self.small, &self.large]
            .into_iter()
            .filter_map(|lane| lane.lock().connection.clone())
            .collect()
    }
}

impl Lane {
    /// Lets go of a connection that has ended. One that could not be made is not made again at once.
    fn settle(&mut self, wires: &Wires) {
        let Some(ended) = self.connection.take_if(|connection| connection.is_closed()) else {
            return;
        };
        if ended.was_open() {
            self.backoff = Backoff::default();
        } else {
            self.not_before = wires.env.clock.now() + self.backoff.next(&wires.env.rng);
        }
    }
}
