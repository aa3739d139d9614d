//! Where nodes really listen.
#![expect(
    clippy::disallowed_types,
    reason = "ports are reserved with sockets, which the seam for messages hides"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use atoll_env::{Env, Rng};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The addresses of nodes, in each of their lives.
///
/// Each node has an address of its own among those of this machine (127.0.0.0/8), drawn at random: while a node is
/// down its port is free, and on 127.0.0.1 the system might give it to any connection meanwhile.
pub(super) struct Places {
    places: BTreeMap<(u16, u32), SocketAddr>,
    lives: u32,
}

impl Places {
    /// Ports that nobody has now.
    pub(super) fn choose(nodes: u16, lives: u32, env: &Env) -> io::Result<Self> {
        let mut held = Vec::new();
        for node in 1..=nodes {
            let host = host(&env.rng);
            for life in 0..lives {
                held.push(((node, life), reserve(host)?));
            }
        }
        // All were held at once, so that no two are the same.
        let places = held
            .iter()
            .map(|(key, listener)| Ok((*key, listener.local_addr()?)));
        Ok(Self {
            places: places.collect::<io::Result<_>>()?,
            lives,
        })
    }

    /// Where a node listens in a life of its.
    pub(super) fn of(&self, node: u16, life: u32) -> SocketAddr {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.places
            .get(&(node, life % self.lives))
            .copied()
            .unwrap_or(nowhere)
    }
}

fn host(rng: &Rng) -> Ipv4Addr {
    let octet = |least: u64, count: u64| (least + rng.below(count)) as u8;
    Ipv4Addr::new(127, octet(1, 254), octet(0, 256), octet(1, 254))
}

/// Where only 127.0.0.1 is this machine, that must do.
fn reserve(host: Ipv4Addr) -> io::Result<TcpListener> {
    TcpListener::bind((host, 0)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

/// Proxies take two file descriptors per connection, and the usual limit is 1024. As high as one may without
/// asking anyone; if even that fails, the first connection that finds none left says so.
pub(super) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
