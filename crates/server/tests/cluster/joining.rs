//! A node added to a cluster that exists: it hosts nothing, and serves as a way in.

use std::time::Duration;

use atoll_env::net::{CallError, Code};
use atoll_proto::{method, v1};

use crate::world::{LIMIT, Process, World, address, serving};

async fn with_router(world: &mut World) -> (Vec<Process>, Process) {
    let old = world.start_all(3).await;
    world.init(1, 3).await;
    world.clock.timeout(LIMIT, serving(&old)).await.unwrap();
    let router = world.try_start(4, &[address(2)]).await.unwrap();
    world
        .clock
        .timeout(LIMIT, router.node.wait_serving())
        .await
        .unwrap();
    (old, router)
}

#[tokio::test(start_paused = true)]
async fn an_added_node_passes_calls_on_and_hosts_nothing() {
    let mut world = World::new(41);
    let (old, router) = with_router(&mut world).await;
    assert_eq!(router.node.id().map(|node| node.0), Some(4));
    let before = old[0].node.inspect();
    for n in 0..20 {
        world
            .put_until_done(4, &format!("key {n}"), &format!("value {n}"))
            .await;
        assert_eq!(
            world.get(4, &format!("key {n}")).await,
            Some(format!("value {n}"))
        );
        assert_eq!(
            world.get(1, &format!("key {n}")).await,
            Some(format!("value {n}"))
        );
    }
    let status = world.status(4).await;
    assert_eq!((status.state.as_str(), status.node), ("serving", 4));
    assert!(status.groups.iter().all(|group| !group.hosted));
    assert_eq!(status.groups.len(), 7);
    assert!(router.node.inspect().replicas.is_empty());
    let map: v1::GetMapReply = world
        .call(4, method::GET_MAP, v1::GetMapRequest::default())
        .await
        .unwrap();
    let map = map.map.unwrap();
    assert!(
        map.groups
            .iter()
            .flat_map(|group| &group.replicas)
            .all(|replica| replica.node != 4)
    );
    // The others know it.
    let seen = world.status(1).await.nodes;
    assert!(
        seen.iter().any(|node| node.info.as_ref().unwrap().node == 4),
        "{seen:?}"
    );
    // No group's membership changed.
    for (was, is) in before.replicas.iter().zip(old[0].node.inspect().replicas) {
        assert_eq!(was.status.voters, is.status.voters);
    }
}

#[tokio::test(start_paused = true)]
async fn an_added_node_comes_back_after_a_power_cut_under_its_id() {
    let mut world = World::new(42);
    let (_old, router) = with_router(&mut world).await;
    world.crash(&router);
    let again = world.try_start(4, &[]).await.unwrap();
    world
        .clock
        .timeout(LIMIT, again.node.wait_serving())
        .await
        .unwrap();
    assert_eq!(again.node.id().map(|node| node.0), Some(4));
    world.put_until_done(4, "k", "v").await;
    // One more gets the next id; asked through the added node, which passes it on.
    let next = world.try_start(5, &[address(4)]).await.unwrap();
    world
        .clock
        .timeout(LIMIT, next.node.wait_serving())
        .await
        .unwrap();
    assert_eq!(next.node.id().map(|node| node.0), Some(5));
}

#[tokio::test(start_paused = true)]
async fn every_node_gives_one_uuid_one_id_and_says_what_it_refuses() {
    let mut world = World::new(43);
    let _old = with_router(&mut world).await;
    let request = |uuid: &str, zone: &str| v1::JoinRequest {
        uuid: uuid.to_owned(),
        address: "elsewhere:1".to_owned(),
        zone: zone.to_owned(),
        forwarded: false,
    };
    let uuid = "00000000000000000000000000abcdef";
    let mut ids = Vec::new();
    for node in [1, 2, 3, 4, 1] {
        let reply: v1::JoinReply = world.call(node, method::JOIN, request(uuid, "z")).await.unwrap();
        ids.push(reply.node);
        let entry = reply
            .map
            .unwrap()
            .nodes
            .into_iter()
            .find(|entry| entry.node == reply.node);
        assert_eq!(
            entry.map(|entry| (entry.uuid, entry.zone)),
            Some((uuid.to_owned(), "z".to_owned()))
        );
    }
    assert_eq!(ids, [5; 5]);

    let initial = world.status(1).await.nodes.remove(0).info.unwrap().uuid;
    let code =
        async |request: v1::JoinRequest| match world.call::<v1::JoinReply>(4, method::JOIN, request).await {
            Err(CallError::Status(status)) => status.code,
            other => panic!("{other:?}"),
        };
    // A directory that has voted does not come back empty.
    assert_eq!(code(request(&initial, "")).await, Code::FailedPrecondition);
    assert_eq!(code(request("no uuid", "")).await, Code::InvalidArgument);
    assert_eq!(code(request(uuid, "not/a/zone")).await, Code::InvalidArgument);
    let nowhere = v1::JoinRequest {
        address: String::new(),
        ..request(uuid, "")
    };
    assert_eq!(code(nowhere).await, Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn zones_are_told_and_a_restart_elsewhere_changes_the_map() {
    let mut world = World::new(44);
    let mut old = Vec::new();
    for name in 1..=3 {
        old.push(world.start_in_zone(name, &format!("zone-{name}")).await);
    }
    world.init(1, 3).await;
    world.clock.timeout(LIMIT, serving(&old)).await.unwrap();
    let zones = async |world: &World, of: u64| {
        let map: v1::GetMapReply = world
            .call(of, method::GET_MAP, v1::GetMapRequest::default())
            .await
            .unwrap();
        let mut nodes = map.map.unwrap().nodes;
        nodes.sort_by(|a, b| a.address.cmp(&b.address));
        nodes.into_iter().map(|node| node.zone).collect::<Vec<_>>()
    };
    assert_eq!(zones(&world, 2).await, ["zone-1", "zone-2", "zone-3"]);
    world.crash(&old[2]);
    let moved = world.start_in_zone(3, "attic").await;
    world
        .clock
        .timeout(LIMIT, moved.node.wait_serving())
        .await
        .unwrap();
    for _ in 0..300 {
        if zones(&world, 1).await == ["zone-1", "zone-2", "attic"] {
            return;
        }
        world.clock.sleep(Duration::from_millis(100)).await;
    }
    panic!("the map keeps {:?}", zones(&world, 1).await);
}
