//! A node as the client knows it: an address and up to two connections.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Instant;
use parking_lot::Mutex;

use super::{Connection, Failure, LANE_SMALL, Wires};
use crate::retry::Backoff;

/// A node's address and its connections, which are made when first used and again when broken.
pub(crate) struct Peer {
    address: Arc<str>,
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
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.into(), small: Mutex::default(), large: Mutex::default() }
    }

    /// Where the node listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn lane(&self, lane: u8) -> &Mutex<Lane> {
        if lane == LANE_SMALL { &self.small } else { &self.large }
    }

    /// The lane's connection, dialled if need be. Fails if the last attempt to dial failed a moment ago.
    pub(crate) fn connection(&self, lane: u8, wires: &Wires) -> Result<Arc<Connection>, Failure> {
        let mut lane_state = self.lane(lane).lock();
        if let Some(connection) = lane_state.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        let now = wires.env.clock.now();
        if let Some(ended) = lane_state.connection.take() {
            let pause = lane_state.after(&ended, wires);
            lane_state.not_before = now + pause;
        }
        if wires.is_closed() {
            return Err(Failure::NotSent("the client is closed".into()));
        }
        if now < lane_state.not_before {
            return Err(Failure::NotSent(format!("{} could not be reached", self.address).into()));
        }
        let connection = Connection::dial(wires, &self.address, lane);
        lane_state.connection = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// True if a connection is open or being opened, or none was tried yet.
    pub(crate) fn looks_alive(&self) -> bool {
        let lane = self.small.lock();
        lane.connection.as_ref().is_none_or(|connection| !connection.is_closed()) && !lane.backoff.has_begun()
    }

    /// The connections there are.
    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        [&self.small, &self.large].into_iter().filter_map(|lane| lane.lock().connection.clone()).collect()
    }
}

impl Lane {
    fn after(&mut self, ended: &Connection, wires: &Wires) -> Duration {
        if ended.was_open() {
            self.backoff = Backoff::default();
            return Duration::ZERO;
        }
        self.backoff.next(&wires.env.rng)
    }
}
