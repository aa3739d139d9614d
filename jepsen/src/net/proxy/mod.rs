//! Links through proxies in this process: one for each ordered pair of nodes, and one from all clients to each node.
//!
//! A node is known under the address of the proxy from clients to it. Whenever another node dials that address, it connects
//! to the proxy of the pair instead, as its `--dial-map` says; only proxies know where nodes really listen.
//!
//! A connection carries messages both ways: what node 1 sends to node 2 are the bytes from the opener on connections that
//! 1 opened, and the bytes to the opener on connections that 2 opened. Both are one [`Way`]. A way that is cut keeps its
//! connections open, takes what is sent, and lets nothing through, not even that the other end is gone; the other way
//! of the same connections goes on. Real networks lose acknowledgements with a direction, so that TCP soon stops the other one
//! too; here each of the two can be broken alone. Once a cut is healed, connections of which something was swallowed
//! are reset: no stream goes on with a hole in it.
//!
//! Everything that waits in a proxy is bounded; when a queue is full, its sender has to wait.

mod condition;
mod connection;
mod listener;
mod places;
mod pump;
#[cfg(test)]
mod tests;
mod way;

use std::collections::BTreeMap;
use std::io;

use atoll_env::Env;
use parking_lot::Mutex;

use self::condition::Condition;
use self::listener::{Listener, Route};
use self::places::Places;
use self::way::Way;
use super::overlays::{self, Direction, Overlays};
use super::{Cut, LinkFault, Net, Overlay, Party};

/// So many addresses each node can have one after the other; then its first comes again.
const LIVES: u32 = 3;

/// Who dials whom, in which life of the one who is dialed.
type Dialed = (Party, u16, u32);

/// Links through proxies. They end when this is dropped.
pub(crate) struct ProxyNet {
    nodes: u16,
    places: Places,
    /// Where the proxies listen.
    proxies: BTreeMap<Dialed, String>,
    ways: BTreeMap<Direction, Way>,
    overlays: Mutex<Overlays>,
}

impl ProxyNet {
    /// Links between so many nodes. Needs a running tokio runtime.
    ///
    /// # Errors
    /// If the system has no ports or no file descriptors left.
    pub(crate) fn new(nodes: u16, env: &Env) -> io::Result<Self> {
        places::raise_file_limit();
        let places = Places::choose(nodes, LIVES, env)?;
        let mut net = Self {
            nodes,
            places,
            proxies: BTreeMap::new(),
            ways: BTreeMap::new(),
            overlays: Mutex::default(),
        };
        for (from, to) in net.pairs() {
            for life in 0..LIVES {
                net.start_proxy(env, from, to, life)?;
            }
        }
        Ok(net)
    }

    fn pairs(&self) -> Vec<(Party, u16)> {
        let dialers = || std::iter::once(Party::Clients).chain((1..=self.nodes).map(Party::Node));
        let pairs = (1..=self.nodes).flat_map(|to| dialers().map(move |from| (from, to)));
        pairs.filter(|(from, to)| *from != Party::Node(*to)).collect()
    }

    fn start_proxy(&mut self, env: &Env, from: Party, to: u16, life: u32) -> io::Result<()> {
        let listener = Listener::bind()?;
        let address = listener.address().to_string();
        let mut course = |from, to| self.ways.entry((from, to)).or_insert_with(Way::new).course();
        let route = Route {
            target: self.places.of(to, life),
            forth: course(from, Party::Node(to)),
            back: course(Party::Node(to), from),
        };
        listener.start(env, route);
        self.proxies.insert((from, to, life), address);
        Ok(())
    }

    fn proxy(&self, from: Party, to: u16, life: u32) -> &str {
        self.proxies
            .get(&(from, to, life % LIVES))
            .map_or("", String::as_str)
    }

    /// For each address another node may have, the proxy that leads there from this one.
    fn dial_map(&self, node: u16, life: u32) -> String {
        let other = |to: u16, life: u32| {
            let known = self.proxy(Party::Clients, to, life);
            format!("{known}={}", self.proxy(Party::Node(node), to, life))
        };
        let others = (1..=self.nodes).filter(|to| *to != node);
        let mut pairs: Vec<_> = others
            .flat_map(|to| (0..LIVES).map(move |life| other(to, life)))
            .collect();
        // A node reaches itself whatever befalls its clients.
        pairs.push(format!(
            "{}={}",
            self.proxy(Party::Clients, node, life),
            self.places.of(node, life)
        ));
        pairs.join(",")
    }

    fn apply(&self, overlays: &Overlays, cuts: &[Cut]) {
        for direction in overlays::directions(cuts) {
            if let Some(way) = self.ways.get(&direction) {
                way.set(Condition::worst(overlays.faults(direction)));
            }
        }
    }
}

impl Net for ProxyNet {
    fn advertised(&self, node: u16, life: u32) -> String {
        self.proxy(Party::Clients, node, life).to_owned()
    }

    fn prefix(&self, _: u16) -> Vec<String> {
        Vec::new()
    }

    fn arguments(&self, node: u16, life: u32) -> Vec<String> {
        let listen = self.places.of(node, life).to_string();
        let (advertise, dial_map) = (self.advertised(node, life), self.dial_map(node, life));
        let pairs = [
            ("--listen", listen),
            ("--advertise", advertise),
            ("--dial-map", dial_map),
        ];
        pairs
            .into_iter()
            .flat_map(|(option, value)| [option.to_owned(), value])
            .collect()
    }

    fn cannot(&self, _: LinkFault) -> Option<&'static str> {
        None
    }

    fn lay(&self, cuts: &[Cut]) -> io::Result<Overlay> {
        overlays::check(cuts, self.nodes)?;
        let mut overlays = self.overlays.lock();
        let overlay = overlays.lay(cuts);
        self.apply(&overlays, cuts);
        Ok(overlay)
    }

    fn lift(&self, overlay: Overlay) -> io::Result<()> {
        let mut overlays = self.overlays.lock();
        let cuts = overlays.lift(overlay)?;
        self.apply(&overlays, &cuts);
        Ok(())
    }
}
