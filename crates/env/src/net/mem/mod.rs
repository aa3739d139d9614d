//! A network in memory, for the simulator.
//!
//! It promises what TCP promises and no more. Frames of one link arrive in order, each after a
//! delay; a frame that is lost, or meets a cut, stalls; after a while without healing the connection
//! breaks and both ends learn of it. A process that ends resets its links, which the other ends
//! learn when that news arrives. Unary calls fail as on the real network: `NotSent` only if the
//! request certainly did not arrive, `Lost` and `Deadline` when it may have been done.
//!
//! - Everything random comes from the seed, everything is kept in order of names and numbers, and
//!   all waiting is tokio's (paused) time: same seed and same calls, same [`MemNet::trace`].
//! - One stream's frames keep their order; different connections do not wait for each other. A copy
//!   of a request, or of a frame, arrives on another connection, as if a proxy had sent it again.
//! - A handler runs in its node's [`Spawn`] and dies with it; what is on the way belongs to nobody and arrives, or not.
//! - A node's address is whatever it serves at; a host of `0.0.0.0` stands for the node's name.

mod conn;
mod dial;
mod faults;
mod node;
mod options;
mod pump;
mod state;
#[cfg(test)]
mod tests;

pub use faults::MemNetFaults;
pub use node::MemNode;
pub use options::MemNetOptions;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Clock, Rng, Spawn, watch};
use conn::{Conn, Side};
use state::State;

/// The network between simulated nodes. Cheap to clone.
#[derive(Clone)]
pub struct MemNet(Arc<Shared>);

struct Shared {
    clock: Clock,
    /// For what is on the way: outlives the nodes.
    spawn: Spawn,
    rng: Rng,
    options: MemNetOptions,
    state: Mutex<State>,
    /// Counts changes of cuts.
    changed: watch::Sender<u64>,
}

impl MemNet {
    /// A network without nodes. Must be called within the runtime whose time it follows.
    pub fn new(options: MemNetOptions) -> Self {
        Self(Arc::new(Shared {
            clock: Clock::simulated(1.0, 0),
            spawn: Spawn::tokio(),
            rng: Rng::seeded(options.seed),
            options,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        }))
    }

    /// A new process of the node `name`; an earlier one ends. `spawn` runs its handlers.
    pub fn node(&self, name: &str, spawn: Spawn) -> MemNode {
        self.crash(name);
        let incarnation = self.0.state.lock().start(name);
        MemNode::new(self.clone(), name.to_owned(), incarnation, spawn)
    }

    /// Ends the node's process: its links are reset, its addresses refuse. End its tasks as well.
    pub fn crash(&self, name: &str) {
        let conns = self.0.state.lock().stop(name);
        for (conn, side) in conns {
            self.reset(conn, side);
        }
    }

    /// Cuts both directions between two nodes.
    pub fn cut(&self, a: &str, b: &str) {
        self.change_cuts(|state, now| {
            state.cut(a, b, now);
            state.cut(b, a, now);
        });
    }

    /// Cuts what `from` sends to `to`. The other direction still arrives, but as nothing is
    /// acknowledged the connections between the two break in the end.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        self.change_cuts(|state, now| state.cut(from, to, now));
    }

    /// Cuts a node off from all others, also from those that come later.
    pub fn isolate(&self, name: &str) {
        self.change_cuts(|state, now| state.isolate(name, now));
    }

    /// Cuts everything between `group` and the other known nodes.
    pub fn partition(&self, group: &[&str]) {
        self.change_cuts(|state, now| state.partition(group, now));
    }

    /// Undoes every cut between two nodes, and their isolation. Frames that stalled go on, if their connection lives.
    pub fn heal(&self, a: &str, b: &str) {
        self.change_cuts(|state, _| state.heal(a, b));
    }

    /// Undoes every cut.
    pub fn heal_all(&self) {
        self.change_cuts(|state, _| state.heal_all());
    }

    /// Breaks the connections between two nodes, now and at both ends.
    pub fn break_connections(&self, a: &str, b: &str) {
        let conns = self.0.state.lock().conns();
        for conn in conns.iter().filter(|conn| conn.is_between(a, b)) {
            conn.break_both();
        }
    }

    /// A number that stands for everything delivered so far: when, between whom, how much.
    pub fn trace(&self) -> u64 {
        self.0.state.lock().trace()
    }

    /// Frames, requests and answers delivered so far.
    pub fn deliveries(&self) -> u64 {
        self.0.state.lock().deliveries()
    }

    fn change_cuts(&self, change: impl FnOnce(&mut State, crate::Instant)) {
        let now = self.0.clock.now();
        change(&mut self.0.state.lock(), now);
        self.0.changed.send_modify(|changes| *changes += 1);
        // A connection that cannot be used for so long is given up, as by keep-alive pings.
        let net = self.clone();
        self.0.spawn.spawn(async move {
            net.0.clock.sleep(net.0.options.give_up).await;
            let given_up = net.0.state.lock().cut_since(now);
            for conn in given_up {
                conn.break_both();
            }
        });
    }

    /// One side of a connection is gone; the other learns it when the news arrives.
    fn reset(&self, conn: Arc<Conn>, side: Side) {
        conn.break_side(side);
        let net = self.clone();
        self.0.spawn.spawn(async move {
            let delay = net.delay(conn.node(side), conn.node(side.other()));
            net.0.clock.sleep(delay).await;
            net.path_open(conn.node(side), conn.node(side.other())).await;
            conn.break_side(side.other());
        });
    }

    /// Waits until nothing is cut from one node to another.
    async fn path_open(&self, from: &str, to: &str) {
        let mut changed = self.0.changed.subscribe();
        while self.0.state.lock().is_cut(from, to) {
            // The sender is ours.
            let _ = changed.changed().await;
        }
    }

    fn delivered(&self, from: &str, to: &str, bytes: usize) {
        let now = self.0.clock.now();
        self.0.state.lock().delivered(now, from, to, bytes);
    }
}

impl fmt::Debug for MemNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemNet({} delivered)", self.deliveries())
    }
}
