//! What the proxies between nodes cost: puts to a cluster without them and with them, in turn.
//!
//! `cargo run --release -p atoll-jepsen --example proxies -- target/release/atoll`. Takes a minute.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a program of its own, which reserves ports with sockets"
)]

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_jepsen::cluster::Cluster;
use atoll_jepsen::net::{self, Cut, LinkFault, Net, Overlay};
use atoll_jepsen::options::{NetKind, Options};

const NODES: u16 = 3;

/// No links but those of the machine.
struct Direct(Vec<String>);

impl Direct {
    fn new() -> io::Result<Self> {
        let held: io::Result<Vec<_>> = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
        let addresses = held?;
        let addresses = addresses.iter().map(|held| Ok(held.local_addr()?.to_string()));
        addresses.collect::<io::Result<_>>().map(Self)
    }
}

impl Net for Direct {
    fn advertised(&self, node: u16, _: u32) -> String {
        let position = usize::from(node).wrapping_sub(1);
        self.0.get(position).cloned().unwrap_or_default()
    }

    fn prefix(&self, _: u16) -> Vec<String> {
        Vec::new()
    }

    fn arguments(&self, node: u16, life: u32) -> Vec<String> {
        vec!["--listen".to_owned(), self.advertised(node, life)]
    }

    fn cannot(&self, _: LinkFault) -> Option<&'static str> {
        Some("there is nothing in between")
    }

    fn lay(&self, _: &[Cut]) -> io::Result<Overlay> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lift(&self, _: Overlay) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

async fn measure(env: &Env, binary: &PathBuf, name: &str, net: Arc<dyn Net>) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let options = Options {
        workloads: Vec::new(),
        nemeses: Vec::new(),
        time: Duration::ZERO,
        seed: 1,
        nodes: NODES,
        groups: 6,
        rate: 1,
        concurrency: 1,
        net: NetKind::Proxy,
        store: dir.path().to_owned(),
        binary: binary.clone(),
        mutant: None,
    };
    let groups = options.groups;
    let cluster = Cluster::prepare(env, net, Arc::new(options), dir.path(), env.clock.now())
        .map_err(|error| error.to_string())?;
    cluster.launch(groups).await?;
    let addresses: Vec<String> = cluster.numbers().map(|node| cluster.address(node)).collect();
    for in_flight in ["1", "64"] {
        let mut bench = Command::new(binary);
        bench.args(["bench", "put", "--endpoints", &addresses.join(",")]);
        bench.args(["--duration", "6s", "--in-flight", in_flight]);
        let output = env.spawn.blocking(move || bench.output()).await;
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        println!(
            "{name}, {in_flight} in flight:\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    cluster.stop_all().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let binary: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("say which program to measure: target/release/atoll")?
        .into();
    let env = Env::real();
    for round in ["direct", "proxies", "direct", "proxies"] {
        let net: io::Result<Arc<dyn Net>> = match round {
            "direct" => Direct::new().map(|net| Arc::new(net) as Arc<dyn Net>),
            _ => net::make(NetKind::Proxy, NODES, &env),
        };
        measure(&env, &binary, round, net.map_err(|error| error.to_string())?).await?;
    }
    Ok(())
}
