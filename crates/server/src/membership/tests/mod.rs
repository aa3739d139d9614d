//! Clusters made, raced for, and cut off at every step; without Raft: a node here is only its
//! membership, and shows a map once it is admitted.

mod greeting;
mod init;
mod joining;
mod promises;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{CallError, Code, Handler, Link, Net, Serving, Status};
use atoll_env::vfs::{Crash, MemVfs, replace_file};
use atoll_env::{BoxFuture, Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_placement::{NodeEntry, ShardMap, SlotOwner, SlotRun, Slots};
use atoll_proto::{method, v1};
use atoll_types::limits::SLOTS;
use atoll_types::{ClusterId, Epoch, GroupId, NodeId, NodeUuid, SlotId};
use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use prost::Message;

use super::initiator::Made;
use super::{Greeter, Greeting, Initiator, Joiner, Membership, Standing};
use crate::identity::{Claim, DataDir, Ident, Member};
use crate::rpc::{PeerClient, testing};

/// Takes a while to carry a call to its handler. May be told to lose calls.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<WireState>>, Registry);

#[derive(Default)]
struct WireState {
    handlers: BTreeMap<String, Arc<dyn Handler>>,
    /// Calls of this method get lost once so many went through.
    lossy: Option<(&'static str, usize)>,
}

impl Wire {
    fn deliver(&self, to: &str, method: &'static str) -> Result<Arc<dyn Handler>, CallError> {
        let mut state = self.0.lock();
        if let Some((lost, left)) = &mut state.lossy
            && *lost == method
        {
            if *left == 0 {
                return Err(CallError::NotSent("cut".to_owned()));
            }
            *left -= 1;
        }
        state
            .handlers
            .get(to)
            .cloned()
            .ok_or_else(|| CallError::NotSent("nobody".to_owned()))
    }

    fn lose(&self, lossy: Option<(&'static str, usize)>) {
        self.0.lock().lossy = lossy;
    }
}

impl Net for Wire {
    fn call(
        &self,
        to: &str,
        method: &'static str,
        request: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let handler = self.deliver(to, method);
        Box::pin(async move {
            Clock::simulated(1.0, 0).sleep(Duration::from_millis(5)).await;
            Ok(handler?.call(method, request, None).await?)
        })
    }

    fn open(
        &self,
        _: &str,
        _: &'static str,
        _: u8,
        _: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>> {
        Box::pin(std::future::ready(Err(CallError::NotSent(
            "no streams here".to_owned(),
        ))))
    }

    fn serve(&self, _: &str, _: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
}

struct Answers(Arc<Membership>, Registry);

/// As if group 0 gave ids to uuids: an id once given stays.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<BTreeMap<(ClusterId, String), u64>>>);

impl Registry {
    fn admit(&self, membership: &Membership, request: Bytes) -> Result<Bytes, Status> {
        let ident = membership
            .ident()
            .ok_or_else(|| Status::new(Code::Unavailable, "no cluster"))?;
        let request = v1::JoinRequest::decode(request).unwrap();
        let mut given = self.0.lock();
        let next = 100 + given.len() as u64;
        let node = *given.entry((ident.cluster, request.uuid.clone())).or_insert(next);
        let entry = NodeEntry {
            uuid: NodeUuid::from_hex(&request.uuid).unwrap(),
            address: request.address,
            zone: request.zone,
        };
        let map = ShardMap {
            epoch: Epoch(node),
            cluster: ident.cluster,
            nodes: [(NodeId(node), entry)].into(),
            ..ShardMap::default()
        };
        Ok(v1::JoinReply {
            cluster_id: ident.cluster.to_string(),
            node,
            map: Some(testing::wire_map(&map)),
        }
        .encode_to_vec()
        .into())
    }
}

impl Handler for Answers {
    fn is_stream(&self, _: &str) -> Option<bool> {
        Some(false)
    }

    fn call(
        &self,
        method: &str,
        request: Bytes,
        _: Option<Duration>,
    ) -> BoxFuture<'static, Result<Bytes, Status>> {
        let (membership, registry, method) = (self.0.clone(), self.1.clone(), method.to_owned());
        Box::pin(async move {
            if method == method::GET_MAP {
                return fake_map(&membership);
            }
            if method == method::JOIN {
                return registry.admit(&membership, request);
            }
            testing::answer(&membership, &method, request).await
        })
    }

    fn open(&self, _: &str, _: Link) {}
}

/// As if group 0 had done its work by the time anybody is admitted.
fn fake_map(membership: &Membership) -> Result<Bytes, Status> {
    let Standing::Admitted(ident, Some(claim)) = membership.standing() else {
        return Err(Status::new(Code::Unavailable, "no map"));
    };
    let groups: BTreeSet<GroupId> = (1..=u64::from(claim.groups)).map(GroupId).collect();
    let all = SlotRun {
        first: SlotId(0),
        last: SlotId(SLOTS - 1),
        owner: SlotOwner {
            group: GroupId(1),
            epoch: Epoch(1),
        },
    };
    let map = ShardMap {
        epoch: Epoch(1),
        cluster: ident.cluster,
        groups: groups
            .iter()
            .map(|group| (*group, atoll_placement::GroupEntry::default()))
            .collect(),
        slots: Slots::from_runs([all]).unwrap(),
        ..ShardMap::default()
    };
    Ok(v1::GetMapReply {
        map: Some(testing::wire_map(&map)),
    }
    .encode_to_vec()
    .into())
}

/// One simulated process.
struct Node {
    env: Env,
    scope: Scope,
    vfs: MemVfs,
    wire: Wire,
    address: String,
    membership: Arc<Membership>,
}

impl Node {
    async fn start(wire: &Wire, name: u64, vfs: MemVfs, join: &[String]) -> Self {
        let address = format!("n{name}:1");
        let rng = Rng::seeded(name);
        let scope = Scope::new(rng.clone());
        let env = Env {
            clock: Clock::simulated(1.0, 0),
            rng,
            spawn: Spawn::simulated(scope.clone()),
            vfs: Arc::new(vfs.clone()),
            net: Arc::new(wire.clone()),
            halt: Halt::simulated({
                let scope = scope.clone();
                move |_| scope.end()
            }),
        };
        let dir = DataDir::open(&env, Path::new("/data")).await.unwrap();
        let membership = Membership::open(&env, dir).await.unwrap();
        membership.set_place(address.clone(), String::new());
        wire.0.lock().handlers.insert(
            address.clone(),
            Arc::new(Answers(membership.clone(), wire.1.clone())),
        );
        let node = Self {
            env,
            scope,
            vfs,
            wire: wire.clone(),
            address,
            membership,
        };
        node.env
            .spawn
            .spawn(admit_when_complete(node.membership.clone(), node.vfs.clone()));
        let peers = PeerClient::new(&node.env);
        node.env
            .spawn
            .spawn(Greeter::new(&node.env, node.membership.clone(), peers.clone(), join).run());
        node.env
            .spawn
            .spawn(Joiner::new(&node.env, node.membership.clone(), peers, join).run());
        node
    }

    /// `init` as if called on this node, until the process ends.
    async fn init(&self, addresses: &[&str]) -> Result<Made, Status> {
        let initiator = Initiator::new(
            &self.env,
            self.membership.clone(),
            PeerClient::new(&self.env),
            &[],
        );
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        let run = self
            .env
            .spawn
            .spawn(async move { initiator.run(addresses, 0, None).await });
        run.await
            .unwrap_or_else(|| Err(Status::new(Code::Cancelled, "the process ended")))
    }

    /// Ends the process and returns its disk.
    fn crash(self, how: Crash) -> MemVfs {
        self.scope.end();
        self.wire.0.lock().handlers.remove(&self.address);
        self.vfs.crash(how)
    }

    fn ident(&self) -> Option<(ClusterId, NodeId)> {
        self.membership.ident().map(|ident| (ident.cluster, ident.node))
    }

    /// Where another node is, once it was heard of.
    async fn found(&self, id: NodeId) -> Option<String> {
        let book = self.membership.book();
        let (clock, mut patience) = (&self.env.clock, 100);
        while !book.reachable(id, clock.now()) {
            clock.sleep(Duration::from_millis(100)).await;
            patience -= 1;
            assert!(patience > 0, "{} never hears of {id}", self.address);
        }
        book.address(id)
    }

    async fn admitted(&self) -> (ClusterId, NodeId) {
        for _ in 0..1000 {
            if let Some(ident) = self.ident() {
                return ident;
            }
            self.env.clock.sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "{} is never admitted; it is {:?}",
            self.address,
            self.membership.standing()
        );
    }
}

async fn admit_when_complete(membership: Arc<Membership>, vfs: MemVfs) {
    let ident = membership.completed().await;
    let dir = membership.dir();
    let made = dir.create_journal().is_ok()
        && replace_file(&vfs, &dir.journal().join("segment"), b"log")
            .await
            .is_ok();
    if made && membership.ident().is_none() {
        // A disk that fails is a process that ends; the test looks at what is left.
        let _ = membership.become_admitted(ident).await;
    }
}

async fn nodes(wire: &Wire, count: u64) -> Vec<Node> {
    let started = (1..=count).map(|name| Node::start(wire, name, MemVfs::default(), &[]));
    join_all(started).await
}

/// Ends all processes and starts them again on their disks.
async fn restart(wire: &Wire, nodes: Vec<Node>, how: Crash) -> Vec<Node> {
    let disks: Vec<MemVfs> = nodes.into_iter().map(|node| node.crash(how)).collect();
    join_all(
        disks
            .into_iter()
            .zip(1..)
            .map(|(disk, name)| Node::start(wire, name, disk, &[])),
    )
    .await
}

const ALL: [&str; 3] = ["n1:1", "n2:1", "n3:1"];

/// All are nodes of one cluster, each with an id of its own.
async fn one_cluster(nodes: &[Node]) -> ClusterId {
    let idents = join_all(nodes.iter().map(Node::admitted)).await;
    let clusters: BTreeSet<ClusterId> = idents.iter().map(|(cluster, _)| *cluster).collect();
    let ids: BTreeSet<NodeId> = idents.iter().map(|(_, node)| *node).collect();
    assert_eq!(clusters.len(), 1, "{idents:?}");
    assert_eq!(ids, (1..=nodes.len() as u64).map(NodeId).collect());
    *clusters.first().unwrap()
}
