//! Clusters made, raced for, and cut off at every step; without Raft: a node here is only its
//! membership, and shows a map once it is admitted.

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

#[tokio::test(start_paused = true)]
async fn init_makes_a_cluster_and_repeating_it_finds_that() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let made = nodes[1].init(&ALL).await.unwrap();
    assert!(!made.already);
    assert!(made.members.is_sorted_by_key(|member| member.uuid));
    assert_eq!(one_cluster(&nodes).await, made.cluster);
    let again = nodes[2].init(&ALL).await.unwrap();
    assert_eq!(
        again,
        Made {
            already: true,
            ..made
        }
    );
}

#[tokio::test(start_paused = true)]
async fn concurrent_inits_of_one_set_make_one_cluster() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let made = join_all(nodes.iter().map(|node| node.init(&ALL))).await;
    let cluster = one_cluster(&nodes).await;
    assert!(
        made.iter().all(|made| made.as_ref().unwrap().cluster == cluster),
        "{made:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_overlapping_sets_one_becomes_a_cluster_and_the_other_is_told() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 4).await;
    let (first, second) = (["n1:1", "n2:1", "n3:1"], ["n2:1", "n3:1", "n4:1"]);
    let (one, two) = tokio::join!(nodes[0].init(&first), nodes[3].init(&second));
    let (made, refused) = match (one, two) {
        (Ok(made), Err(refused)) | (Err(refused), Ok(made)) => (made, refused),
        both => panic!("exactly one succeeds: {both:?}"),
    };
    assert_eq!(refused.code, Code::FailedPrecondition);
    let holder = made
        .members
        .iter()
        .map(|member| member.address.as_str())
        .collect::<Vec<_>>()
        .join(",");
    assert!(
        refused.message.contains(&holder),
        "{} does not name {holder}",
        refused.message
    );
    let clusters: BTreeSet<_> = nodes
        .iter()
        .filter_map(Node::ident)
        .map(|(cluster, _)| cluster)
        .collect();
    assert_eq!(clusters, BTreeSet::from([made.cluster]));
}

#[tokio::test(start_paused = true)]
async fn a_set_that_waits_for_another_names_the_command_that_finishes_it() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    wire.lose(Some((method::CLAIM, 1)));
    assert!(nodes[0].init(&ALL).await.is_err());
    wire.lose(None);
    let claimed = nodes
        .iter()
        .find(|node| node.membership.standing() != Standing::Fresh)
        .unwrap();
    let refused = claimed.init(&[&claimed.address]).await.unwrap_err();
    assert!(
        refused.message.contains("atoll init --nodes"),
        "{}",
        refused.message
    );
    assert_eq!(claimed.ident(), None);
}

#[tokio::test(start_paused = true)]
async fn an_init_that_dies_between_claims_is_finished_by_repeating_it() {
    for claims in 0..3 {
        let wire = Wire::default();
        let nodes = nodes(&wire, 3).await;
        wire.lose(Some((method::CLAIM, claims)));
        let first = nodes[0].init(&ALL).await;
        wire.lose(None);
        let nodes = restart(&wire, nodes, Crash::LoseAll).await;
        let made = nodes[2].init(&ALL).await.unwrap();
        assert_eq!(one_cluster(&nodes).await, made.cluster);
        if let Ok(first) = first {
            assert_eq!(first.cluster, made.cluster);
        }
    }
}

async fn all_claimed(nodes: &[Node]) {
    let fresh = |node: &Node| node.membership.standing() == Standing::Fresh;
    while nodes.iter().any(fresh) {
        nodes[0].env.clock.sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wholly_claimed_set_completes_without_the_caller() {
    for admitted in 0..3 {
        let wire = Wire::default();
        let nodes = nodes(&wire, 3).await;
        wire.lose(Some((method::ADMIT, admitted)));
        // The caller dies with its node as soon as all are claimed.
        tokio::select! {
            biased;
            () = all_claimed(&nodes) => {}
            made = nodes[0].init(&ALL) => panic!("nobody was seen claimed: {made:?}"),
        }
        let nodes = restart(&wire, nodes, Crash::LoseAll).await;
        one_cluster(&nodes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stops_at_any_step_of_an_init_delays_it_only() {
    for broken in 0..3 {
        let mut step = 1;
        while init_with_a_disk_that_stops(broken, step).await {
            step += 1;
        }
        assert!(step > 8, "the disk of an initial node is written to");
    }
}

/// False if the disk would have stopped only after the init.
async fn init_with_a_disk_that_stops(broken: usize, step: u64) -> bool {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let disk = nodes[broken].vfs.clone();
    disk.freeze_at(disk.operations() + step);
    let first = nodes[(broken + 1) % 3].init(&ALL).await.ok();
    let broke = disk.is_frozen();
    let nodes = restart(&wire, nodes, Crash::Random).await;
    let made = nodes[0].init(&ALL).await.unwrap();
    let cluster = one_cluster(&nodes).await;
    assert_eq!(made.cluster, cluster);
    assert!(
        first.is_none_or(|first| first.cluster == cluster),
        "step {step} of node {broken}"
    );
    broke
}

#[tokio::test(start_paused = true)]
async fn one_address_given_twice_is_an_error_and_so_is_silence() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 2).await;
    let handler = wire.0.lock().handlers["n2:1"].clone();
    wire.0.lock().handlers.insert("alias:1".to_owned(), handler);
    let refused = nodes[0].init(&["n1:1", "n2:1", "alias:1"]).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    let refused = nodes[0].init(&["n1:1", "nobody:1"]).await.unwrap_err();
    assert!(
        refused.code == Code::Unavailable && refused.message.contains("nobody:1"),
        "{refused:?}"
    );
    assert!(
        nodes
            .iter()
            .all(|node| node.membership.standing() == Standing::Fresh)
    );
}

#[tokio::test(start_paused = true)]
async fn greetings_of_another_cluster_are_refused_and_teach_nothing() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 2).await;
    nodes[0].init(&["n1:1"]).await.unwrap();
    nodes[1].init(&["n2:1"]).await.unwrap();
    let (one, two) = (nodes[0].admitted().await.0, nodes[1].admitted().await.0);
    let refused = nodes[0]
        .membership
        .answer_greeting(&nodes[1].membership.greeting())
        .unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert!(refused.message.contains(&one.to_string()) && refused.message.contains(&two.to_string()));
    assert_eq!(nodes[0].membership.book().all(), vec![]);
    let anonymous = Greeting::default();
    assert!(nodes[0].membership.answer_greeting(&anonymous).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_addresses_all_changed_finds_itself_by_join() {
    let wire = Wire::default();
    let first = nodes(&wire, 3).await;
    first[0].init(&ALL).await.unwrap();
    one_cluster(&first).await;
    let disks: Vec<MemVfs> = first.into_iter().map(|node| node.crash(Crash::LoseAll)).collect();
    // Everyone is somewhere else and knows only where the first one is.
    let join = ["n11:1".to_owned()];
    let moved = join_all(
        disks
            .into_iter()
            .zip(11..)
            .map(|(disk, name)| Node::start(&wire, name, disk, &join)),
    )
    .await;
    for node in &moved {
        for other in moved.iter().filter(|other| other.address != node.address) {
            let id = other.ident().unwrap().1;
            let address = node.found(id).await;
            assert_eq!(address.as_deref(), Some(other.address.as_str()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn greetings_beyond_the_bounds_are_refused() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 1).await;
    let hello = |address: usize, known: usize| v1::HelloRequest {
        uuid: "0".repeat(32),
        address: "a".repeat(address),
        known: vec![
            v1::NodeInfo {
                uuid: "1".repeat(32),
                ..Default::default()
            };
            known
        ],
        ..Default::default()
    };
    for (address, known, taken) in [
        (512, 1024, true),
        (513, 0, false),
        (70_000, 0, false),
        (9, 1025, false),
    ] {
        let request = hello(address, known).encode_to_vec().into();
        let answer = testing::answer(&nodes[0].membership, method::HELLO, request).await;
        assert_eq!(answer.is_ok(), taken, "{address} {known}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copied_directory_is_noticed() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 1).await;
    nodes[0].init(&["n1:1"]).await.unwrap();
    let mut copy = nodes[0].membership.greeting();
    copy.incarnation += 1;
    copy.address = "elsewhere:1".to_owned();
    let refused = nodes[0].membership.answer_greeting(&copy).unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_node_that_is_told_of_a_cluster_joins_it_and_later_starts_by_itself() {
    let wire = Wire::default();
    let old = nodes(&wire, 2).await;
    old[0].init(&["n1:1", "n2:1"]).await.unwrap();
    let cluster = one_cluster(&old).await;
    let join = ["n2:1".to_owned()];
    let new = Node::start(&wire, 3, MemVfs::default(), &join).await;
    assert_eq!(new.admitted().await, (cluster, NodeId(100)));
    assert_eq!(new.membership.initial_set(), None);
    // It is found by the others and finds them.
    assert_eq!(
        new.found(old[1].ident().unwrap().1).await.as_deref(),
        Some("n2:1")
    );
    assert_eq!(old[1].found(NodeId(100)).await.as_deref(), Some("n3:1"));
    // Nobody is there to be asked, and nobody needs to be.
    let disk = new.crash(Crash::LoseAll);
    wire.lose(Some((method::JOIN, 0)));
    let again = Node::start(&wire, 3, disk, &[]).await;
    assert_eq!(again.ident(), Some((cluster, NodeId(100))));
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_to_join_a_node_waits_for_init() {
    let wire = Wire::default();
    let names: Vec<String> = ALL.iter().map(|&name| name.to_owned()).collect();
    let fresh = join_all((1..=3).map(|name| Node::start(&wire, name, MemVfs::default(), &names))).await;
    fresh[0].env.clock.sleep(Duration::from_secs(20)).await;
    assert!(
        fresh
            .iter()
            .all(|node| node.membership.standing() == Standing::Fresh)
    );
    let made = fresh[1].init(&ALL).await.unwrap();
    assert_eq!(one_cluster(&fresh).await, made.cluster);
    assert!(
        wire.1.0.lock().is_empty(),
        "nobody of the initial set asked to join"
    );
}

#[tokio::test(start_paused = true)]
async fn of_an_init_and_a_joining_the_first_at_the_directory_wins() {
    let wire = Wire::default();
    let old = nodes(&wire, 1).await;
    old[0].init(&["n1:1"]).await.unwrap();
    let cluster = one_cluster(&old).await;
    let ident = |node| Ident {
        cluster,
        node: NodeId(node),
    };

    // Claimed while the answer was on its way: the answer comes too late.
    let claimed = Node::start(&wire, 2, MemVfs::default(), &[]).await;
    let other = Node::start(&wire, 3, MemVfs::default(), &[]).await;
    let made = claimed.init(&["n2:1", "n3:1"]).await.unwrap();
    let refused = claimed.membership.join(ident(7)).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert_eq!(claimed.admitted().await.0, made.cluster);
    assert_eq!(claimed.membership.dir().join().unwrap(), None);

    // Joined before the init came: the init is told, also after a restart.
    let joined = Node::start(&wire, 4, MemVfs::default(), &["n1:1".to_owned()]).await;
    assert_eq!(joined.admitted().await.0, cluster);
    let joined = restart(&wire, vec![other, joined], Crash::LoseAll)
        .await
        .remove(1);
    let fresh = Node::start(&wire, 5, MemVfs::default(), &[]).await;
    let named = [joined.address.as_str(), "n5:1"];
    let refused = fresh.init(&named).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert!(
        refused.message.contains("joined cluster") && refused.message.contains("atoll init"),
        "{refused:?}"
    );
    assert_eq!(joined.membership.dir().claim().unwrap(), None);
    // A second answer, of another id, changes nothing.
    assert!(joined.membership.join(ident(9)).await.is_err());
    assert!(joined.membership.join(ident(100)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_init_and_a_joining_at_once_end_in_one_cluster_each_time() {
    let mut outcomes = BTreeSet::new();
    for delay_ms in 0..40 {
        let wire = Wire::default();
        let old = nodes(&wire, 1).await;
        old[0].init(&["n1:1"]).await.unwrap();
        let first = one_cluster(&old).await;
        let new = Node::start(&wire, 2, MemVfs::default(), &["n1:1".to_owned()]).await;
        new.env.clock.sleep(Duration::from_millis(delay_ms)).await;
        let made = new.init(&["n2:1"]).await;
        let cluster = new.admitted().await.0;
        match &made {
            Ok(made) => assert_eq!(cluster, made.cluster),
            Err(refused) => {
                assert_eq!(refused.code, Code::FailedPrecondition);
                assert_eq!(cluster, first);
            }
        }
        let dir = new.membership.dir();
        assert_eq!(dir.claim().unwrap().is_some(), made.is_ok());
        assert_eq!(dir.join().unwrap().is_some(), made.is_err());
        outcomes.insert(made.is_ok());
    }
    assert_eq!(outcomes.len(), 2, "both orders happen: {outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stops_at_any_step_of_a_joining_delays_it_only() {
    let mut step = 1;
    while join_with_a_disk_that_stops(step).await {
        step += 1;
    }
    assert!(step > 8, "the disk of a joining node is written to: {step}");
}

/// False if the disk would have stopped only after the joining.
async fn join_with_a_disk_that_stops(step: u64) -> bool {
    let wire = Wire::default();
    let old = nodes(&wire, 1).await;
    old[0].init(&["n1:1"]).await.unwrap();
    let cluster = one_cluster(&old).await;
    let join = ["n1:1".to_owned()];
    let new = Node::start(&wire, 2, MemVfs::default(), &join).await;
    let disk = new.vfs.clone();
    disk.freeze_at(disk.operations() + step);
    for _ in 0..50 {
        new.env.clock.sleep(Duration::from_millis(100)).await;
    }
    let broke = disk.is_frozen();
    assert!(
        broke || new.ident() == Some((cluster, NodeId(100))),
        "step {step}"
    );
    let again = Node::start(&wire, 2, new.crash(Crash::Random), &join).await;
    assert_eq!(again.admitted().await, (cluster, NodeId(100)), "step {step}");
    assert_eq!(wire.1.0.lock().len(), 1, "one uuid, one id");
    broke
}

#[tokio::test(start_paused = true)]
async fn the_first_claim_decides_the_zones_of_all() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let members = |zone: &str| -> Vec<Member> {
        let member = |node: &Node| Member {
            node: NodeId(0),
            uuid: node.membership.dir().uuid(),
            address: node.address.clone(),
            zone: zone.to_owned(),
        };
        nodes.iter().map(member).collect()
    };
    // Somebody got as far as the first directory, and saw other zones than the next one does.
    let first = Claim::new(ClusterId(77), 6, members("then"));
    let lowest = nodes
        .iter()
        .find(|node| node.membership.dir().uuid() == first.members[0].uuid);
    lowest.unwrap().membership.claim(first.clone()).await.unwrap();
    let made = nodes[1].init(&ALL).await.unwrap();
    assert_eq!(made.cluster, ClusterId(77));
    for node in &nodes {
        assert_eq!(node.membership.dir().claim().unwrap().as_ref(), Some(&first));
    }
}

/// Nothing but the promises: whoever would go on to admission is not there.
async fn only_promises(wire: &Wire, vfs: &MemVfs) -> Arc<Membership> {
    let rng = Rng::seeded(9);
    let env = Env {
        clock: Clock::simulated(1.0, 0),
        rng: rng.clone(),
        spawn: Spawn::simulated(Scope::new(rng)),
        vfs: Arc::new(vfs.clone()),
        net: Arc::new(wire.clone()),
        halt: Halt::simulated(|reason| panic!("{reason}")),
    };
    let dir = DataDir::open(&env, Path::new("/data")).await.unwrap();
    Membership::open(&env, dir).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_promise_stands_before_anything_follows_from_it() {
    let wire = Wire::default();
    let ident = Ident {
        cluster: ClusterId(1),
        node: NodeId(9),
    };
    let claim = |membership: &Membership| {
        let member = Member {
            node: NodeId(0),
            uuid: membership.dir().uuid(),
            address: "a:1".to_owned(),
            zone: String::new(),
        };
        Claim::new(ClusterId(2), 1, vec![member])
    };
    let (joining, claimed) = (MemVfs::default(), MemVfs::default());
    let membership = only_promises(&wire, &joining).await;
    membership.join(ident).await.unwrap();
    let wanted = claim(&membership);
    assert!(membership.claim(wanted.clone()).await.is_err());
    assert!(membership.admit(ClusterId(1), &wanted.members).await.is_err());
    let again = only_promises(&wire, &joining.crash(Crash::LoseAll)).await;
    assert_eq!(again.standing(), Standing::Joining(ident));
    assert!(again.claim(wanted).await.is_err());
    assert_eq!(again.completed().await, ident);

    let membership = only_promises(&wire, &claimed).await;
    let held = membership.claim(claim(&membership)).await.unwrap();
    assert!(membership.join(ident).await.is_err());
    let again = only_promises(&wire, &claimed.crash(Crash::LoseAll)).await;
    assert_eq!(again.standing(), Standing::Claimed(held));
    assert!(again.join(ident).await.is_err());
}
