//! From nothing to a cluster, and through what happens to it.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{CallError, Code};
use atoll_env::{Clock, Env};
use atoll_proto::{method, v1};
use atoll_server::{Node, NodeConfig, StartError};
use atoll_types::Version;

use crate::world::{LIMIT, World, address, serving};

#[tokio::test(start_paused = true)]
async fn three_nodes_become_a_cluster_that_serves() {
    let mut world = World::new(1);
    let processes = world.start_all(3).await;
    assert_eq!(world.status(1).await.state, "waiting for init");
    let refused = world.put(1, "k", "v").await.unwrap_err();
    assert!(
        matches!(&refused, CallError::Status(s) if s.code == Code::Unavailable && s.message.contains("atoll init"))
    );

    let made = world.init(2, 3).await;
    assert!(!made.already);
    assert_eq!(
        made.nodes.iter().map(|node| node.node).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    world
        .clock
        .timeout(LIMIT, serving(&processes))
        .await
        .expect("all nodes serve soon");

    let ids: Vec<u64> = (1..=3).collect();
    assert_eq!(world.leads(&ids).await.values().sum::<u32>(), 6);
    for id in &ids {
        let status = world.status(*id).await;
        assert_eq!(
            (status.state.as_str(), &status.cluster_id),
            ("serving", &made.cluster_id)
        );
        assert_eq!(status.groups.len(), 7);
        assert_eq!(status.groups.iter().map(|group| group.slots).sum::<u32>(), 16_384);
        assert!(
            status.nodes.iter().all(|node| node.reachable),
            "{:?}",
            status.nodes
        );
        assert!(status.counters.unwrap().syncs > 0);
    }
    let again = world.init(3, 3).await;
    assert!(again.already);
    assert_eq!(again.cluster_id, made.cluster_id);

    for n in 0..30 {
        world
            .put_until_done(1 + n % 3, &format!("key {n}"), &format!("value {n}"))
            .await;
    }
    for n in 0..30 {
        assert_eq!(
            world.get(1 + (n + 1) % 3, &format!("key {n}")).await,
            Some(format!("value {n}"))
        );
    }
    assert_eq!(world.get(1, "no such key").await, None);
}

#[tokio::test(start_paused = true)]
async fn leaderships_are_spread_and_return_to_a_node_that_comes_back() {
    let mut world = World::new(2);
    let mut processes = world.start_all(3).await;
    world.init(1, 3).await;
    let even: Vec<(u64, u32)> = (1..=3).map(|node| (node, 2)).collect();
    world.until_leads(&[1, 2, 3], &even).await;

    let gone = processes.remove(0);
    let id = gone.node.id().unwrap().0;
    world.crash(&gone);
    let names: Vec<u64> = processes.iter().map(|process| process.name).collect();
    // For a while followers still name the leader they lost.
    let moved = async {
        while world.leads(&names).await.contains_key(&id) {
            world.clock.sleep(Duration::from_millis(100)).await;
        }
    };
    let limit = Duration::from_secs(5);
    world
        .clock
        .timeout(limit, moved)
        .await
        .expect("the others take over soon");
    let leads = world.leads(&names).await;
    assert_eq!(leads.values().sum::<u32>(), 6, "{leads:?}");

    processes.push(world.start(gone.name).await);
    world.until_leads(&[1, 2, 3], &even).await;
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_of_all_nodes_loses_nothing_acknowledged() {
    let mut world = World::new(3);
    let mut processes = world.start_all(3).await;
    let made = world.init(3, 3).await;
    for round in 0..3 {
        serving(&processes).await;
        for n in 0..10 {
            world
                .put_until_done(1 + n % 3, &format!("{round}/{n}"), &format!("{}", n * n))
                .await;
        }
        for process in &processes {
            world.crash(process);
        }
        processes = world.start_all(3).await;
        world
            .clock
            .timeout(LIMIT, serving(&processes))
            .await
            .expect("all nodes serve again");
        assert_eq!(world.status(1).await.cluster_id, made.cluster_id);
        for n in 0..10 {
            assert_eq!(
                world.get(1 + n % 3, &format!("{round}/{n}")).await,
                Some(format!("{}", n * n))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_leaderships_away_first() {
    let mut world = World::new(4);
    let mut processes = world.start_all(3).await;
    world.init(1, 3).await;
    serving(&processes).await;
    world.leads(&[1, 2, 3]).await;
    let leaving = processes.remove(1);
    let began = world.clock.now();
    leaving.node.shutdown().await;
    leaving.scope.end();
    assert!(world.clock.now().since(began) < Duration::from_secs(5));
    assert_eq!(world.leads(&[1, 3]).await.values().sum::<u32>(), 6);
    world.put_until_done(1, "after", "shutdown").await;
    // It took less than an election would have: nobody waited for a silent leader.
    assert!(world.clock.now().since(began) < Duration::from_secs(5));

    let back = world.start(leaving.name).await;
    back.node.wait_serving().await;
    assert_eq!(
        world.get(leaving.name, "after").await,
        Some("shutdown".to_owned())
    );
}

/// It does not know that it was deposed, nor that its successor's clock is ahead: it must not call
/// genuine versions impossible, for then clients would give up.
#[tokio::test(start_paused = true)]
async fn a_deposed_leader_takes_no_version_from_far_ahead_and_says_that_waiting_may_help() {
    let mut world = World::new(8);
    let mut processes = world.start_all(3).await;
    world.init(1, 3).await;
    serving(&processes).await;
    world.leads(&[1, 2, 3]).await;
    world.put_until_done(1, "k", "old").await;
    let leader = world.leader_of("k").await;
    world.isolate_from_nodes(leader);
    // The others come back with clocks that are ten minutes ahead, and go on without it.
    let others: Vec<u64> = (1..=3).filter(|name| *name != leader).collect();
    for name in &others {
        let now = world.clock.wall_ms();
        world
            .wrong_clocks
            .insert(*name, Clock::simulated(1.0, now + 600_000));
        let place = processes.iter().position(|process| process.name == *name);
        let gone = processes.remove(place.unwrap());
        world.crash(&gone);
    }
    for name in &others {
        processes.push(world.start(*name).await);
    }
    serving(&processes).await;
    world.put_until_done(others[0], "k", "new").await;
    let version = Version(world.read(others[0], "k").await.version);
    assert!(version.millis() > world.clock.wall_ms() + 500_000);

    let request = v1::PutRequest {
        key: "k".into(),
        value: "newer".into(),
        after: version.0,
        ..v1::PutRequest::default()
    };
    let refused = world
        .call::<v1::WriteReply>(leader, method::PUT, request.clone())
        .await;
    let Err(CallError::Status(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(status.code, Code::Unavailable, "{status:?}");
    let detail = atoll_proto::details::decode(&status.details).unwrap();
    assert_eq!(detail.kind(), v1::error_detail::Kind::Unavailable);
    assert!(
        status.message.contains("ahead of this node's clock"),
        "{status:?}"
    );

    // And so it is.
    world.heal();
    let mut tries = 0;
    let written: v1::WriteReply = loop {
        match world.call(leader, method::PUT, request.clone()).await {
            Ok(reply) => break reply,
            Err(CallError::Status(status)) if status.code == Code::Unavailable && tries < 300 => tries += 1,
            Err(error) => panic!("after {tries} tries: {error:?}"),
        }
        world.clock.sleep(Duration::from_millis(50)).await;
    };
    assert!(written.version > version.0);
}

#[tokio::test(start_paused = true)]
async fn a_directory_of_another_cluster_is_refused_at_start() {
    let mut world = World::new(5);
    let processes = world.start_all(2).await;
    let one: v1::InitReply = world
        .call(
            1,
            method::INIT,
            v1::InitRequest {
                addresses: vec![address(1)],
                groups: 1,
            },
        )
        .await
        .unwrap();
    let two: v1::InitReply = world
        .call(
            2,
            method::INIT,
            v1::InitRequest {
                addresses: vec![address(2)],
                groups: 1,
            },
        )
        .await
        .unwrap();
    serving(&processes).await;
    world.crash(&processes[1]);
    let refused = world.try_start(2, &[address(1)]).await.map(|_| ()).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, StartError::OtherCluster { .. }), "{text}");
    assert!(
        text.contains(&one.cluster_id) && text.contains(&two.cluster_id),
        "{text}"
    );
    // The refused start left nothing behind: without the wrong address it works.
    let back = world.start(2).await;
    back.node.wait_serving().await;
}

#[tokio::test(start_paused = true)]
async fn nodes_outside_group_0_follow_the_map() {
    let mut world = World::new(6);
    let processes = world.start_all(7).await;
    let addresses = (1..=7).map(address).collect();
    let request = v1::InitRequest { addresses, groups: 7 };
    let made: v1::InitReply = world.call(4, method::INIT, request).await.unwrap();
    assert_eq!(made.nodes.len(), 7);
    world
        .clock
        .timeout(LIMIT, serving(&processes))
        .await
        .expect("all nodes serve");
    let all: Vec<u64> = (1..=7).collect();
    world
        .until_leads(&all, &all.iter().map(|node| (*node, 1)).collect::<Vec<_>>())
        .await;
    for node in &all {
        let status = world.status(*node).await;
        assert_eq!(
            status
                .groups
                .iter()
                .filter(|group| group.hosted && group.group != 0)
                .count(),
            3
        );
        let control = status.groups.iter().find(|group| group.group == 0).unwrap();
        assert_eq!(control.replicas.len(), 5);
        assert_eq!(control.hosted, status.node <= 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_locked_directory_and_a_taken_address_are_refused() {
    let mut world = World::new(7);
    let first = world.start(1).await;
    let (env, _scope) = world.env(2);
    let elsewhere = Env {
        vfs: Arc::new(world.disks[&1].clone()),
        ..env.clone()
    };
    let mut config = NodeConfig::new("/data", address(2));
    config.insecure = true;
    assert!(matches!(
        Node::start(elsewhere, config.clone()).await.err(),
        Some(StartError::Locked(_))
    ));
    config.insecure = false;
    let refused = Node::start(env, config).await.err().unwrap();
    assert!(refused.to_string().contains("--insecure"), "{refused}");
    first.node.shutdown().await;
}
