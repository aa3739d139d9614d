//! Links between network namespaces, with packet filters. Needs root, `ip` and `iptables`.
//!
//! Each node has a namespace of its own; clients stay in that of this process. All are joined by a bridge, which lives in
//! a namespace too, so that no rule of the machine's own filter meets these packets and none is added to it. A
//! direction is cut where its packets arrive, and on the way to clients where they leave. Then acknowledgements are lost with
//! it, so TCP soon stops in the other direction too: that is how one-way loss looks in real networks. Connections may
//! outlive a cut; what TCP sends again then arrives late.
//!
//! Names carry the id of this process. They are taken away when the links are dropped; what a run left that
//! was killed is taken away by the next.

mod command;
mod rules;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use self::command::{ip, run};
use super::overlays::{self, Overlays};
use super::{Cut, LinkFault, Net, Overlay, Party};

/// The port of a node in its first life.
const PORT: u16 = 7401;
/// So many ports each node can have one after the other; then its first comes again.
const LIVES: u32 = 16;
/// The last part of clients' address; nodes have their number there.
const CLIENTS: u16 = 254;
/// What all names begin with.
const PREFIX: &str = "atoll";

/// Links of this process so far: it may have several at a time.
static LINKS: AtomicU32 = AtomicU32::new(0);

/// Links between namespaces. They end when this is dropped; what still runs in them has none then.
pub(crate) struct NetnsNet {
    nodes: u16,
    /// What its names have in common.
    name: String,
    /// This process's end of its link to the bridge.
    interface: String,
    /// The first three numbers of all addresses.
    subnet: String,
    overlays: Mutex<Overlays>,
}

impl NetnsNet {
    /// Namespaces for so many nodes, joined.
    ///
    /// # Errors
    /// If this user is not root, a program is missing, or the system refuses; the text says what to do.
    pub(crate) fn new(nodes: u16) -> io::Result<Self> {
        command::available()?;
        remove_leftovers()?;
        remove_on_abort();
        let (process, number) = (std::process::id(), LINKS.fetch_add(1, Ordering::Relaxed));
        let net = Self {
            nodes,
            name: format!("{PREFIX}-{process}-{number}"),
            // At most 15 characters.
            interface: format!("at{process}.{}", number % 1000),
            subnet: free_subnet(process.wrapping_add(number))?,
            overlays: Mutex::default(),
        };
        // From here on dropping it takes away what there is of it.
        net.build()?;
        Ok(net)
    }

    fn build(&self) -> io::Result<()> {
        let hub = self.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "bridge", "up"])?;
        let peer = ["type", "veth", "peer", "name", "clients", "netns", &hub];
        ip(&[&["link", "add", &self.interface], &peer[..]].concat())?;
        ip(&["-n", &hub, "link", "set", "clients", "master", "bridge", "up"])?;
        let address = format!("{}/24", self.address(CLIENTS));
        ip(&["addr", "add", &address, "dev", &self.interface])?;
        ip(&["link", "set", &self.interface, "up"])?;
        (1..=self.nodes).try_for_each(|node| self.build_node(node))
    }

    fn build_node(&self, node: u16) -> io::Result<()> {
        let (own, hub, port) = (self.namespace(node), self.hub(), format!("node{node}"));
        ip(&["netns", "add", &own])?;
        let peer = ["type", "veth", "peer", "name", &port, "netns", &hub];
        ip(&[&["-n", &own, "link", "add", "eth0"], &peer[..]].concat())?;
        ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"])?;
        let address = format!("{}/24", self.address(node));
        ip(&["-n", &own, "addr", "add", &address, "dev", "eth0"])?;
        ip(&["-n", &own, "link", "set", "lo", "up"])?;
        ip(&["-n", &own, "link", "set", "eth0", "up"])?;
        self.filter(node, &rules::first())
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    fn namespace(&self, node: u16) -> String {
        format!("{}-{node}", self.name)
    }

    fn address(&self, host: u16) -> String {
        format!("{}.{host}", self.subnet)
    }

    fn address_of(&self, party: Party) -> String {
        match party {
            Party::Node(node) => self.address(node),
            Party::Clients => self.address(CLIENTS),
        }
    }

    fn filter(&self, node: u16, rules: &str) -> io::Result<()> {
        let namespace = self.namespace(node);
        let line = ["netns", "exec", &namespace, "iptables-restore", "-w", "--noflush"];
        run("ip", &line, Some(rules)).map(drop)
    }

    /// Makes the filters of all nodes that these cuts are about as the overlays say.
    fn apply(&self, overlays: &Overlays, cuts: &[Cut]) -> io::Result<()> {
        (1..=self.nodes)
            .filter(|node| cuts.iter().any(|cut| rules::is_kept_by(*node, cut.from, cut.to)))
            .try_for_each(|node| {
                let rules = rules::of(overlays, node, self.nodes, |party| self.address_of(party));
                self.filter(node, &rules)
            })
    }
}

impl Net for NetnsNet {
    fn advertised(&self, node: u16, life: u32) -> String {
        let port = u32::from(PORT) + life % LIVES;
        format!("{}:{port}", self.address(node))
    }

    fn prefix(&self, node: u16) -> Vec<String> {
        let words = ["ip", "netns", "exec", &self.namespace(node)];
        words.map(str::to_owned).into()
    }

    fn arguments(&self, node: u16, life: u32) -> Vec<String> {
        vec![
            "--listen".to_owned(),
            self.advertised(node, life),
            "--insecure".to_owned(),
        ]
    }

    fn cannot(&self, fault: LinkFault) -> Option<&'static str> {
        match fault {
            LinkFault::Blackhole | LinkFault::Reset => None,
            LinkFault::Delay { .. } | LinkFault::Bandwidth(_) | LinkFault::Drip => {
                Some("packet filters only drop and reset")
            }
        }
    }

    fn lay(&self, cuts: &[Cut]) -> io::Result<Overlay> {
        overlays::check(cuts, self.nodes)?;
        if let Some(why) = cuts.iter().find_map(|cut| self.cannot(cut.fault)) {
            let told = format!("{why}; proxies can (--net proxy)");
            return Err(io::Error::new(io::ErrorKind::Unsupported, told));
        }
        let mut overlays = self.overlays.lock();
        let overlay = overlays.lay(cuts);
        if let Err(error) = self.apply(&overlays, cuts) {
            // What lies by halves is taken away as far as that still works; the first error is the one that tells.
            let _ = overlays
                .lift(overlay)
                .and_then(|cuts| self.apply(&overlays, &cuts));
            return Err(error);
        }
        Ok(overlay)
    }

    fn lift(&self, overlay: Overlay) -> io::Result<()> {
        let mut overlays = self.overlays.lock();
        let cuts = overlays.lift(overlay)?;
        self.apply(&overlays, &cuts)
    }
}

impl Drop for NetnsNet {
    fn drop(&mut self) {
        // Each is tried; those that were not made yet cannot be taken away.
        let _ = ip(&["link", "del", &self.interface]);
        for node in 1..=self.nodes {
            let _ = ip(&["netns", "del", &self.namespace(node)]);
        }
        let _ = ip(&["netns", "del", &self.hub()]);
    }
}

/// Takes away the namespaces of processes that are no more, and with them their links.
fn remove_leftovers() -> io::Result<()> {
    let runs = |process: u32| Path::new("/proc").join(process.to_string()).exists();
    remove_where(|process| !runs(process))
}

/// Where a panic ends the process at once, nothing is dropped: what it made goes first.
fn remove_on_abort() {
    static HOOK: Once = Once::new();
    if cfg!(panic = "abort") {
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // There is nobody left to tell but the next run, which tries again.
                let _ = remove_where(|process| process == std::process::id());
                previous(panic);
            }));
        });
    }
}

fn remove_where(gone: impl Fn(u32) -> bool) -> io::Result<()> {
    for name in ip(&["netns", "list"])?.lines().filter_map(namespace_name) {
        if maker(name).is_some_and(&gone) {
            // Another run may take it away at the same moment.
            let _ = ip(&["netns", "del", name]);
        }
    }
    Ok(())
}

/// A line is a name, and sometimes an id behind it.
fn namespace_name(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}

/// The process that made a namespace of this name, if it is one of ours.
fn maker(name: &str) -> Option<u32> {
    let mut parts = name.split('-');
    if parts.next() != Some(PREFIX) {
        return None;
    }
    let process = parts.next()?.parse().ok()?;
    let _number: u32 = parts.next()?.parse().ok()?;
    let last = parts.next()?;
    let known = last == "hub" || last.parse::<u16>().is_ok();
    (known && parts.next().is_none()).then_some(process)
}

/// A range of addresses that no interface here has: of those set apart for tests of networks, 198.18.0.0/15.
fn free_subnet(seed: u32) -> io::Result<String> {
    let taken = ip(&["-4", "-o", "addr"])?;
    let candidate = |number: u32| {
        let number = seed.wrapping_add(number) % 512;
        format!("198.{}.{}", 18 + number / 256, number % 256)
    };
    let mut candidates = (0..512).map(candidate);
    let free = candidates.find(|subnet| !taken.contains(&format!(" {subnet}.")));
    free.ok_or_else(|| io::Error::other("all networks below 198.18.0.0/15 are in use on this machine"))
}
