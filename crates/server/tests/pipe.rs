//! Pipes of a real node over a network and a disk in memory, in paused time.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{Link, MemNet, MemNetOptions, Net};
use atoll_env::vfs::{MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_reply_item::Result as Reply;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::{method, v1};
use atoll_server::{Node, NodeConfig};
use bytes::Bytes;
use prost::Message;

const ADDRESS: &str = "n1:7000";
const LIMIT: Duration = Duration::from_secs(30);

/// A cluster of one node with two groups, and somebody who calls it.
struct World {
    caller: Arc<dyn Net>,
    clock: Clock,
    _node: Node,
}

impl World {
    async fn start() -> Self {
        let net = MemNet::new(MemNetOptions {
            seed: 1,
            ..MemNetOptions::default()
        });
        let caller: Arc<dyn Net> = Arc::new(net.node("caller", Spawn::tokio()));
        let clock = Clock::simulated(1.0, 1_700_000_000_000);
        let rng = Rng::seeded(1);
        let spawn = Spawn::simulated(Scope::new(rng.clone()));
        let env = Env {
            clock: clock.clone(),
            rng,
            spawn: spawn.clone(),
            vfs: Arc::new(MemVfs::new(MemVfsOptions::default())),
            net: Arc::new(net.node("n1", spawn.clone())),
            halt: Halt::simulated(|reason| panic!("the node halts: {reason}")),
        };
        let mut config = NodeConfig::new("/data", ADDRESS.to_owned());
        config.insecure = true;
        config.segment_bytes = 8 * 1024 * 1024;
        config.preallocate = false;
        let node = spawn
            .spawn(Node::start(env, config))
            .await
            .expect("nobody stops it")
            .unwrap();
        let world = Self {
            caller,
            clock,
            _node: node,
        };
        world.init().await;
        world
    }

    async fn init(&self) {
        let init = v1::InitRequest {
            addresses: vec![ADDRESS.to_owned()],
            groups: 2,
        };
        let init = self
            .caller
            .call(ADDRESS, method::INIT, init.encode_to_vec().into(), LIMIT);
        init.await.unwrap();
        // Unary calls wait for a leader; the pipe answers at once.
        let mut served = 0;
        while served < 20 {
            let put = v1::PutRequest {
                key: key(served),
                ..v1::PutRequest::default()
            };
            let put = self
                .caller
                .call(ADDRESS, method::PUT, put.encode_to_vec().into(), LIMIT);
            match put.await {
                Ok(_) => served += 1,
                Err(_) => self.clock.sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn pipe(&self) -> Link {
        self.caller.open(ADDRESS, method::PIPE, 0, LIMIT).await.unwrap()
    }
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key{number}"))
}

fn put(id: u64, value: Vec<u8>) -> v1::PipeRequestItem {
    let op = v1::WriteOp {
        kind: 0,
        key: key(id),
        value: value.into(),
        ..v1::WriteOp::default()
    };
    item(
        id,
        Operation::Write(v1::WriteRequest {
            ops: vec![op],
            ..v1::WriteRequest::default()
        }),
    )
}

fn get(id: u64, key: Bytes) -> v1::PipeRequestItem {
    item(id, Operation::Get(v1::GetRequest { key, options: None }))
}

fn item(id: u64, operation: Operation) -> v1::PipeRequestItem {
    v1::PipeRequestItem {
        id,
        operation: Some(operation),
        ..v1::PipeRequestItem::default()
    }
}

async fn send(link: &Link, items: Vec<v1::PipeRequestItem>) {
    assert!(
        link.sender
            .send(v1::PipeRequest { items }.encode_to_vec().into())
            .await
    );
}

/// Exactly one reply for each of `count` operations.
async fn replies(link: &mut Link, count: usize) -> BTreeMap<u64, Reply> {
    let mut replies = BTreeMap::new();
    while replies.len() < count {
        let frame = link.receiver.recv().await.expect("the pipe is open").unwrap();
        for item in v1::PipeReply::decode(frame).unwrap().items {
            let twice = replies.insert(item.id, item.result.unwrap());
            assert!(twice.is_none(), "operation {} was answered twice", item.id);
        }
    }
    replies
}

fn kind(reply: &Reply) -> Kind {
    match reply {
        Reply::Error(detail) => detail.kind(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn many_operations_of_many_groups_share_a_frame() {
    let world = World::start().await;
    let mut link = world.pipe().await;
    let value = |id: u64| vec![id as u8; (id % 300) as usize];
    send(&link, (0..1000).map(|id| put(id, value(id))).collect()).await;
    for (id, reply) in replies(&mut link, 1000).await {
        assert!(
            matches!(&reply, Reply::Write(write) if write.applied && write.version > 0),
            "{id}: {reply:?}"
        );
    }
    send(&link, (0..1000).map(|id| get(id, key(id))).collect()).await;
    let mut groups = BTreeMap::new();
    for (id, reply) in replies(&mut link, 1000).await {
        let Reply::Get(reply) = reply else {
            panic!("{reply:?}")
        };
        assert!(reply.found && reply.value == value(id), "{id}");
        let proof = reply.proof.unwrap();
        assert!(proof.applied_index > 0 && proof.slot_epoch > 0 && proof.age_ms == 0);
        *groups.entry(proof.group).or_insert(0) += 1;
    }
    assert_eq!(groups.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_operation_is_told_beside_the_others() {
    let world = World::start().await;
    let mut link = world.pipe().await;
    let unknown_level = v1::ReadOptions {
        consistency: 9,
        ..v1::ReadOptions::default()
    };
    let items = vec![
        v1::PipeRequestItem {
            id: 1,
            ..v1::PipeRequestItem::default()
        },
        get(2, Bytes::new()),
        v1::PipeRequestItem {
            group: 99,
            ..get(3, key(3))
        },
        item(
            4,
            Operation::Get(v1::GetRequest {
                key: key(4),
                options: Some(unknown_level),
            }),
        ),
        put(5, vec![5]),
        item(
            6,
            Operation::MultiGet(v1::MultiGetRequest {
                keys: (0..20).map(key).collect(),
                options: None,
            }),
        ),
        item(7, Operation::Scan(Box::default())),
        get(8, key(0)),
    ];
    send(&link, items).await;
    let replies = replies(&mut link, 8).await;
    let expected = [
        (1, Kind::Invalid),
        (2, Kind::Invalid),
        (3, Kind::NotOwner),
        (4, Kind::Invalid),
        (6, Kind::Invalid),
        (7, Kind::Invalid),
    ];
    for (id, expected) in expected {
        assert_eq!(kind(&replies[&id]), expected, "operation {id}");
    }
    assert!(matches!(&replies[&5], Reply::Write(write) if write.applied));
    assert!(matches!(&replies[&8], Reply::Get(get) if get.found));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_group_is_refused_per_slot() {
    let world = World::start().await;
    let mut link = world.pipe().await;
    for group in 1..=2 {
        let asked = (0..20)
            .map(|id| v1::PipeRequestItem {
                group,
                ..get(id, key(id))
            })
            .collect();
        send(&link, asked).await;
        let replies = replies(&mut link, 20).await;
        let served = replies
            .values()
            .filter(|reply| matches!(reply, Reply::Get(_)))
            .count();
        assert!((1..20).contains(&served), "{served}");
        for reply in replies.values().filter(|reply| !matches!(reply, Reply::Get(_))) {
            assert_eq!(kind(reply), Kind::NotOwner);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn operations_beyond_the_bound_wait_and_are_all_answered() {
    let world = World::start().await;
    let mut link = world.pipe().await;
    // Three times what may be pending, all sent before the first reply is read.
    for frame in 0..12 {
        send(
            &link,
            (frame * 1000..(frame + 1) * 1000)
                .map(|id| get(id, key(id % 20)))
                .collect(),
        )
        .await;
    }
    let replies = replies(&mut link, 12_000).await;
    assert!(
        replies
            .values()
            .all(|reply| matches!(reply, Reply::Get(get) if get.found))
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_sends_no_more_still_gets_its_replies() {
    let world = World::start().await;
    let Link { sender, mut receiver } = world.pipe().await;
    let request = v1::PipeRequest {
        items: (0..50).map(|id| put(id, vec![1; 100])).collect(),
    };
    assert!(sender.send(request.encode_to_vec().into()).await);
    drop(sender);
    let mut answered = 0;
    while let Some(frame) = receiver.recv().await {
        answered += v1::PipeReply::decode(frame.unwrap()).unwrap().items.len();
    }
    assert_eq!(answered, 50);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_frame_closes_the_pipe_and_nothing_else() {
    let world = World::start().await;
    let mut link = world.pipe().await;
    assert!(link.sender.send(Bytes::from_static(&[0x0a, 0xff, 0xff])).await);
    assert!(!matches!(link.receiver.recv().await, Some(Ok(_))));
    let mut other = world.pipe().await;
    send(&other, vec![get(1, key(1))]).await;
    assert!(matches!(replies(&mut other, 1).await[&1], Reply::Get(_)));
}
