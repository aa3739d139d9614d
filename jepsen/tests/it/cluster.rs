//! Three nodes in memory.

use std::sync::Arc;
use std::time::Duration;

use atoll_client::admin::{self, InitOptions};
use atoll_env::net::{MemNet, MemNetOptions};
use atoll_env::vfs::{MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_history::History;
use atoll_jepsen::workload::{self, Driver, Notes, Plan, Recorder};
use atoll_server::{Node, NodeConfig};

const NODES: u64 = 3;

struct World {
    net: MemNet,
    clock: Clock,
    seed: u64,
}

impl World {
    fn env(&self, name: &str) -> Env {
        let rng = Rng::seeded(self.seed + name.len() as u64 + u64::from(name.as_bytes()[1]));
        let spawn = Spawn::simulated(Scope::new(rng.clone()));
        let seed = self.seed;
        Env {
            clock: self.clock.clone(),
            rng,
            spawn: spawn.clone(),
            vfs: Arc::new(MemVfs::new(MemVfsOptions {
                seed,
                ..MemVfsOptions::default()
            })),
            net: Arc::new(self.net.node(name, spawn)),
            halt: Halt::simulated(|reason| panic!("a node halts: {reason}")),
        }
    }

    async fn start(&self, node: u64) -> Node {
        let env = self.env(&format!("n{node}"));
        let mut config = NodeConfig::new("/data", address(node));
        config.insecure = true;
        config.segment_bytes = 8 * 1024 * 1024;
        config.preallocate = false;
        let started = env.clone().spawn.spawn(Node::start(env, config)).await;
        started.unwrap().unwrap()
    }
}

fn address(node: u64) -> String {
    format!("n{node}:7000")
}

/// Lets workloads run for some seconds, with one node cut off for a while, and reads everything at the end.
pub(crate) async fn run(names: &[&str], seconds: u64, seed: u64) -> (History, Notes) {
    let world = World {
        net: MemNet::new(MemNetOptions {
            seed,
            ..MemNetOptions::default()
        }),
        clock: Clock::simulated(1.0, 1_700_000_000_000),
        seed,
    };
    let mut nodes = Vec::new();
    for node in 1..=NODES {
        nodes.push(world.start(node).await);
    }
    let env = world.env("clients");
    let addresses: Vec<String> = (1..=NODES).map(address).collect();
    let options = InitOptions {
        addresses: addresses.clone(),
        ..InitOptions::default()
    };
    admin::init(&env, &addresses[0], options).await.unwrap();
    let recorder = Recorder::new(world.clock.clone(), world.clock.now());
    let plan = Plan {
        addresses: Arc::new(move || addresses.clone()),
        concurrency: 2 * names.len() as u32,
        rate: 40 * names.len() as u32,
        seed,
    };
    let driver = Arc::new(
        Driver::connect(env.clone(), plan, recorder.clone())
            .await
            .unwrap(),
    );
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let workloads = workload::workloads(&names).unwrap();
    let until = world.clock.now() + Duration::from_secs(seconds);
    let cut = async {
        world.clock.sleep(Duration::from_secs(seconds) / 3).await;
        world.net.cut("n1", "n2");
        world.net.cut("n1", "n3");
        world.clock.sleep(Duration::from_secs(seconds) / 3).await;
        world.net.heal_all();
    };
    futures_util::join!(workload::run(&driver, &workloads, until), cut);
    world.clock.sleep(Duration::from_secs(5)).await;
    workload::finish(&driver, &workloads).await;
    driver.close().await;
    (recorder.history(), recorder.notes())
}
