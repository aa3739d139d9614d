//! Who is there, who is cut from whom, and what was delivered.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use super::conn::{Conn, Process, Side};
use super::faults::{Delays, MemNetFaults};
use crate::net::Handler;
use crate::{Instant, Spawn, watch};

/// Where the ports that the system chooses begin.
const FIRST_PORT: u16 = 20_000;

/// Somebody who serves at an address.
pub(super) struct Listener {
    pub(super) id: u64,
    pub(super) process: Process,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) spawn: Spawn,
    /// Unary calls in progress.
    pub(super) calls: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    /// The living process of each node, and how many it had.
    nodes: BTreeMap<String, (u64, bool)>,
    listeners: BTreeMap<String, Arc<Listener>>,
    /// Where an address is, or was last.
    homes: BTreeMap<String, String>,
    /// Directed, and since when.
    cuts: BTreeMap<(String, String), Instant>,
    isolated: BTreeMap<String, Instant>,
    pub(super) delays: Delays,
    pub(super) faults: MemNetFaults,
    /// Nothing is lost, late or copied any more.
    pub(super) calm: bool,
    conns: BTreeMap<u64, Weak<Conn>>,
    /// The connection for unary calls of a process to an address.
    calls: BTreeMap<(Process, String), Arc<Conn>>,
    made: u64,
    trace: u64,
    deliveries: u64,
}

impl State {
    // Processes.

    pub(super) fn start(&mut self, name: &str) -> u64 {
        let (incarnation, alive) = self.nodes.entry(name.to_owned()).or_default();
        *incarnation += 1;
        *alive = true;
        *incarnation
    }

    /// Ends a node's process; returns its connections.
    pub(super) fn stop(&mut self, name: &str) -> Vec<(Arc<Conn>, Side)> {
        let Some((incarnation, alive)) = self.nodes.get_mut(name) else {
            return Vec::new();
        };
        *alive = false;
        let process = Process {
            node: name.to_owned(),
            incarnation: *incarnation,
        };
        self.listeners.retain(|_, listener| listener.process != process);
        self.calls.retain(|(caller, _), _| *caller != process);
        self.conns()
            .into_iter()
            .filter_map(|conn| conn.side_of(&process).map(|side| (conn, side)))
            .collect()
    }

    pub(super) fn is_alive(&self, process: &Process) -> bool {
        self.nodes.get(&process.node) == Some(&(process.incarnation, true))
    }

    // Listeners.

    pub(super) fn listen(
        &mut self,
        listen: &str,
        process: &Process,
        handler: Arc<dyn Handler>,
        spawn: Spawn,
    ) -> io::Result<(String, Arc<Listener>)> {
        if !self.is_alive(process) {
            return Err(io::Error::other("this simulated process has ended"));
        }
        let (host, port) = listen.rsplit_once(':').ok_or(io::ErrorKind::InvalidInput)?;
        let host = if matches!(host, "" | "0.0.0.0" | "[::]") {
            process.node.as_str()
        } else {
            host
        };
        let address = match port.parse::<u16>().map_err(|_| io::ErrorKind::InvalidInput)? {
            0 => (FIRST_PORT..u16::MAX)
                .map(|port| format!("{host}:{port}"))
                .find(|address| !self.homes.contains_key(address))
                .ok_or(io::ErrorKind::AddrNotAvailable)?,
            port => format!("{host}:{port}"),
        };
        if self.listeners.contains_key(&address) {
            let message = format!("cannot listen on {address}: in use");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        self.made += 1;
        let calls = watch::Sender::new(0);
        let listener = Arc::new(Listener {
            id: self.made,
            process: process.clone(),
            handler,
            spawn,
            calls,
        });
        self.homes.insert(address.clone(), process.node.clone());
        self.listeners.insert(address.clone(), Arc::clone(&listener));
        Ok((address, listener))
    }

    pub(super) fn listener(&self, address: &str) -> Option<Arc<Listener>> {
        self.listeners.get(address).cloned()
    }

    pub(super) fn home(&self, address: &str) -> Option<String> {
        self.homes.get(address).cloned()
    }

    /// Takes no new connections; returns those there are.
    pub(super) fn unlisten(&mut self, id: u64) -> Vec<Arc<Conn>> {
        self.listeners.retain(|_, listener| listener.id != id);
        self.conns()
            .into_iter()
            .filter(|conn| conn.listener == id)
            .collect()
    }

    // Connections.

    pub(super) fn connect(&mut self, dialer: &Process, listener: &Listener, calls: bool) -> Arc<Conn> {
        if self.conns.len().is_power_of_two() {
            self.conns.retain(|_, conn| conn.strong_count() > 0);
        }
        self.made += 1;
        let conn = Arc::new(Conn::new(
            dialer.clone(),
            listener.process.clone(),
            listener.id,
            calls,
        ));
        self.conns.insert(self.made, Arc::downgrade(&conn));
        conn
    }

    pub(super) fn conns(&self) -> Vec<Arc<Conn>> {
        self.conns.values().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn calls(&self, caller: &Process, address: &str) -> Option<Arc<Conn>> {
        let conn = self.calls.get(&(caller.clone(), address.to_owned()))?;
        (!conn.is_broken(Side::Dialer)).then(|| Arc::clone(conn))
    }

    pub(super) fn keep_calls(&mut self, caller: &Process, address: &str, conn: &Arc<Conn>) {
        self.calls
            .insert((caller.clone(), address.to_owned()), Arc::clone(conn));
    }

    // Cuts.

    pub(super) fn cut(&mut self, from: &str, to: &str, now: Instant) {
        self.cuts.entry((from.to_owned(), to.to_owned())).or_insert(now);
    }

    pub(super) fn isolate(&mut self, name: &str, now: Instant) {
        self.isolated.entry(name.to_owned()).or_insert(now);
    }

    pub(super) fn partition(&mut self, group: &[&str], now: Instant) {
        let others: Vec<String> = self
            .nodes
            .keys()
            .filter(|name| !group.contains(&name.as_str()))
            .cloned()
            .collect();
        for (inside, outside) in group
            .iter()
            .flat_map(|inside| others.iter().map(move |name| (*inside, name)))
        {
            self.cut(inside, outside, now);
            self.cut(outside, inside, now);
        }
    }

    pub(super) fn heal(&mut self, a: &str, b: &str) {
        self.cuts.remove(&(a.to_owned(), b.to_owned()));
        self.cuts.remove(&(b.to_owned(), a.to_owned()));
        self.isolated.remove(a);
        self.isolated.remove(b);
    }

    pub(super) fn heal_all(&mut self) {
        self.cuts.clear();
        self.isolated.clear();
    }

    pub(super) fn is_cut(&self, from: &str, to: &str) -> bool {
        self.cut_start(from, to).is_some()
    }

    fn cut_start(&self, from: &str, to: &str) -> Option<Instant> {
        if from == to || (self.cuts.is_empty() && self.isolated.is_empty()) {
            return None;
        }
        let pair = self.cuts.get(&(from.to_owned(), to.to_owned()));
        [pair, self.isolated.get(from), self.isolated.get(to)]
            .into_iter()
            .flatten()
            .min()
            .copied()
    }

    /// Connections cut in either direction since `since` or before.
    pub(super) fn cut_since(&self, since: Instant) -> Vec<Arc<Conn>> {
        let mut conns = self.conns();
        conns.retain(|conn| {
            let (dialer, server) = (conn.node(Side::Dialer), conn.node(Side::Server));
            let starts = [self.cut_start(dialer, server), self.cut_start(server, dialer)];
            starts.into_iter().flatten().any(|start| start <= since)
        });
        conns
    }

    // The trace.

    pub(super) fn delivered(&mut self, now: Instant, from: &str, to: &str, bytes: usize) {
        self.deliveries += 1;
        let mut mix = |value: u64| self.trace = (self.trace ^ value).wrapping_mul(0x0000_0100_0000_01b3);
        mix(now.as_nanos());
        mix(bytes as u64);
        from.bytes()
            .chain(to.bytes())
            .for_each(|byte| mix(u64::from(byte)));
    }

    pub(super) fn trace(&self) -> u64 {
        self.trace
    }

    pub(super) fn deliveries(&self) -> u64 {
        self.deliveries
    }
}
