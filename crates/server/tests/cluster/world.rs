//! The world that nodes live in, and somebody who looks at them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{CallError, Code, MemNet, MemNetOptions, Net};
use atoll_env::vfs::{Crash, MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_proto::{method, v1};
use atoll_server::{HistoryLimits, Node, NodeConfig, StartError};
use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What wall clocks show at first, if they are right.
pub(crate) const WALL_MS: u64 = 1_700_000_000_000;

pub(crate) fn address(node: u64) -> String {
    format!("n{node}:7000")
}

/// A network, the disks on it, and somebody who calls nodes.
pub(crate) struct World {
    net: MemNet,
    pub(crate) clock: Clock,
    /// Nodes whose clocks show another wall time.
    pub(crate) wrong_clocks: BTreeMap<u64, Clock>,
    pub(crate) disks: BTreeMap<u64, MemVfs>,
    /// What nodes started from now on are told to keep.
    pub(crate) history: Option<HistoryLimits>,
    caller: Arc<dyn Net>,
}

/// One process.
pub(crate) struct Process {
    pub(crate) name: u64,
    pub(crate) node: Node,
    pub(crate) scope: Scope,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let net = MemNet::new(MemNetOptions {
            seed,
            ..MemNetOptions::default()
        });
        let caller = Arc::new(net.node("caller", Spawn::tokio()));
        Self {
            net,
            clock: Clock::simulated(1.0, WALL_MS),
            wrong_clocks: BTreeMap::new(),
            disks: BTreeMap::new(),
            history: None,
            caller,
        }
    }

    pub(crate) fn env(&mut self, name: u64) -> (Env, Scope) {
        let disk = self.disks.entry(name).or_insert_with(|| {
            MemVfs::new(MemVfsOptions {
                seed: name,
                ..MemVfsOptions::default()
            })
        });
        let rng = Rng::seeded(name * 1000 + self.clock.now().as_nanos());
        let scope = Scope::new(rng.clone());
        let spawn = Spawn::simulated(scope.clone());
        let env = Env {
            clock: self.wrong_clocks.get(&name).unwrap_or(&self.clock).clone(),
            rng,
            spawn: spawn.clone(),
            vfs: Arc::new(disk.clone()),
            net: Arc::new(self.net.node(&format!("n{name}"), spawn)),
            halt: Halt::simulated(move |reason| panic!("node {name} halts: {reason}")),
        };
        (env, scope)
    }

    pub(crate) async fn try_start(&mut self, name: u64, join: &[String]) -> Result<Process, StartError> {
        self.start_with(name, join, "").await
    }

    pub(crate) async fn start_in_zone(&mut self, name: u64, zone: &str) -> Process {
        self.start_with(name, &[], zone).await.unwrap()
    }

    async fn start_with(&mut self, name: u64, join: &[String], zone: &str) -> Result<Process, StartError> {
        let (env, scope) = self.env(name);
        let mut config = NodeConfig::new("/data", address(name));
        config.insecure = true;
        config.segment_bytes = 8 * 1024 * 1024;
        config.preallocate = false;
        config.history = self.history;
        config.join = join.to_vec();
        zone.clone_into(&mut config.zone);
        // In the node's own scope, like everything it spawns.
        let started = env.clone().spawn.spawn(Node::start(env, config)).await;
        Ok(Process {
            name,
            node: started.expect("nobody ends the scope")?,
            scope,
        })
    }

    pub(crate) async fn start(&mut self, name: u64) -> Process {
        self.try_start(name, &[]).await.unwrap()
    }

    pub(crate) async fn start_all(&mut self, count: u64) -> Vec<Process> {
        let mut started = Vec::new();
        for name in 1..=count {
            started.push(self.start(name).await);
        }
        started
    }

    /// Cuts a node off from the other nodes; whoever calls nodes still reaches it.
    pub(crate) fn isolate_from_nodes(&mut self, node: u64) {
        for other in self.disks.keys().filter(|other| **other != node) {
            self.net.cut(&format!("n{node}"), &format!("n{other}"));
        }
    }

    /// Everybody reaches everybody.
    pub(crate) fn heal(&self) {
        self.net.heal_all();
    }

    /// Pulls the plug.
    pub(crate) fn crash(&mut self, process: &Process) {
        process.scope.end();
        self.net.crash(&format!("n{}", process.name));
        let disk = self.disks.get_mut(&process.name).unwrap();
        *disk = disk.crash(Crash::LoseAll);
    }

    pub(crate) async fn call<R: Message + Default>(
        &self,
        node: u64,
        method: &'static str,
        request: impl Message,
    ) -> Result<R, CallError> {
        let reply = self
            .caller
            .call(&address(node), method, request.encode_to_vec().into(), LIMIT)
            .await?;
        Ok(R::decode(reply).unwrap())
    }

    pub(crate) async fn init(&self, on: u64, nodes: u64) -> v1::InitReply {
        let addresses = (1..=nodes).map(address).collect();
        self.call(on, method::INIT, v1::InitRequest { addresses, groups: 0 })
            .await
            .unwrap()
    }

    pub(crate) async fn status(&self, node: u64) -> v1::StatusReply {
        self.call(node, method::STATUS, v1::StatusRequest {})
            .await
            .unwrap()
    }

    pub(crate) async fn put(&self, node: u64, key: &str, value: &str) -> Result<v1::WriteReply, CallError> {
        let (key, value) = (Bytes::from(key.to_owned()), Bytes::from(value.to_owned()));
        self.call(
            node,
            method::PUT,
            v1::PutRequest {
                key,
                value,
                ..Default::default()
            },
        )
        .await
    }

    /// Retries while the group has no leader.
    pub(crate) async fn put_until_done(&self, node: u64, key: &str, value: &str) {
        for _ in 0..300 {
            match self.put(node, key, value).await {
                Ok(_) => return,
                Err(CallError::Status(status)) if status.code == Code::Unavailable => {}
                Err(error) => panic!("{key}: {error:?}"),
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!("{key} cannot be written");
    }

    pub(crate) async fn get(&self, node: u64, key: &str) -> Option<String> {
        let reply = self.read(node, key).await;
        reply
            .found
            .then(|| String::from_utf8(reply.value.to_vec()).unwrap())
    }

    /// The name of the node that leads the key's group.
    pub(crate) async fn leader_of(&self, key: &str) -> u64 {
        let names: Vec<u64> = self.disks.keys().copied().collect();
        self.leads(&names).await;
        let group = self.read(1, key).await.proof.unwrap().group;
        for name in names {
            let status = self.status(name).await;
            let group = status.groups.iter().find(|row| row.group == group);
            // Nodes of these tests are named by their numbers only by luck of their uuids.
            if group.unwrap().leader_node == status.node {
                return name;
            }
        }
        panic!("nobody leads");
    }

    /// Retries while the group has no leader.
    pub(crate) async fn read(&self, node: u64, key: &str) -> v1::GetReply {
        for _ in 0..300 {
            let request = v1::GetRequest {
                key: Bytes::from(key.to_owned()),
                ..Default::default()
            };
            match self.call::<v1::GetReply>(node, method::GET, request).await {
                Ok(reply) => return reply,
                Err(CallError::Status(status)) if status.code == Code::Unavailable => {}
                Err(error) => panic!("{key}: {error:?}"),
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!("{key} cannot be read");
    }

    /// How many data groups each node leads, once every group has a leader that all its replicas
    /// agree on.
    pub(crate) async fn leads(&self, nodes: &[u64]) -> BTreeMap<u64, u32> {
        for _ in 0..600 {
            let replies = join_all(nodes.iter().map(|node| self.status(*node))).await;
            if let Some(leads) = agreed(&replies) {
                return leads;
            }
            self.clock.sleep(Duration::from_millis(100)).await;
        }
        panic!("the groups get no leaders");
    }

    pub(crate) async fn until_leads(&self, nodes: &[u64], wanted: &[(u64, u32)]) {
        let wanted: BTreeMap<u64, u32> = wanted.iter().copied().collect();
        let mut seen = BTreeMap::new();
        for _ in 0..100 {
            seen = self.leads(nodes).await;
            if seen == wanted {
                return;
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
        panic!("leaders are spread as {seen:?}, not {wanted:?}");
    }
}

fn agreed(replies: &[v1::StatusReply]) -> Option<BTreeMap<u64, u32>> {
    let mut leaders: BTreeMap<u64, u64> = BTreeMap::new();
    for group in replies.iter().flat_map(|reply| &reply.groups) {
        if !group.hosted || group.group == 0 {
            continue;
        }
        let leader = *leaders.entry(group.group).or_insert(group.leader_node);
        if leader == 0 || leader != group.leader_node {
            return None;
        }
    }
    let mut leads = BTreeMap::new();
    for leader in leaders.into_values() {
        *leads.entry(leader).or_insert(0) += 1;
    }
    (!leads.is_empty()).then_some(leads)
}

pub(crate) async fn serving(processes: &[Process]) {
    join_all(processes.iter().map(|process| process.node.wait_serving())).await;
}
