//! Reads of every level at every node, and what the nodes count about them.

use std::time::Duration;

use atoll_env::net::{CallError, Code};
use atoll_proto::{method, v1};
use bytes::Bytes;
use prost::Message;

use crate::world::{Process, World, serving};

fn options(consistency: v1::Consistency) -> v1::ReadOptions {
    v1::ReadOptions {
        consistency: consistency.into(),
        ..v1::ReadOptions::default()
    }
}

fn eventual() -> v1::ReadOptions {
    options(v1::Consistency::Eventual)
}

fn bounded(max_age_ms: u64) -> v1::ReadOptions {
    v1::ReadOptions {
        max_age_ms,
        ..options(v1::Consistency::Bounded)
    }
}

fn session(proof: &v1::Proof) -> v1::ReadOptions {
    let mark = v1::GroupMark {
        group: proof.group,
        generation: proof.generation,
        applied_index: proof.applied_index,
    };
    let token = v1::SessionToken {
        map_epoch: 0,
        marks: vec![mark],
    };
    v1::ReadOptions {
        token: token.encode_to_vec().into(),
        slot_epoch: proof.slot_epoch,
        ..options(v1::Consistency::Session)
    }
}

async fn get(
    world: &World,
    node: u64,
    key: &str,
    options: v1::ReadOptions,
) -> Result<v1::GetReply, CallError> {
    let key = Bytes::from(key.to_owned());
    let request = v1::GetRequest {
        key,
        options: Some(options),
    };
    world.call(node, method::GET, request).await
}

/// Three nodes with three groups, all serving.
async fn cluster(seed: u64) -> (World, Vec<Process>) {
    let mut world = World::new(seed);
    let processes = world.start_all(3).await;
    world.init(1, 3).await;
    serving(&processes).await;
    world.leads(&[1, 2, 3]).await;
    (world, processes)
}

/// The node that leads the group of `proof`, and the others.
async fn leader_of(world: &World, proof: &v1::Proof) -> (u64, Vec<u64>) {
    let status = world.status(1).await;
    let group = status.groups.iter().find(|group| group.group == proof.group);
    // Nodes of these tests are named by their numbers only by luck of their uuids.
    let leader = group.unwrap().leader_node;
    let mut names = (0, Vec::new());
    for name in 1..=3 {
        if world.status(name).await.node == leader {
            names.0 = name;
        } else {
            names.1.push(name);
        }
    }
    names
}

async fn age_of(world: &World, node: u64, group: u64) -> Option<u64> {
    let status = world.status(node).await;
    let group = status.groups.into_iter().find(|row| row.group == group);
    group.unwrap().age_ms
}

#[tokio::test(start_paused = true)]
async fn every_level_is_served_at_every_node_and_nothing_is_passed_on() {
    let (world, _processes) = cluster(21).await;
    let mut proofs = Vec::new();
    for n in 0..12 {
        let key = format!("key {n}");
        world.put_until_done(1 + n % 3, &key, "old").await;
        let written = world.put(1 + n % 3, &key, &format!("value {n}")).await.unwrap();
        proofs.push((key, format!("value {n}"), written.proof.unwrap()));
    }
    let mut before = Vec::new();
    for node in 1..=3 {
        before.push(world.status(node).await.counters.unwrap());
    }
    for node in 1..=3 {
        for (key, value, written) in &proofs {
            let linear = get(&world, node, key, v1::ReadOptions::default()).await.unwrap();
            assert_eq!(
                (linear.value.as_ref(), linear.proof.unwrap().age_ms),
                (value.as_bytes(), 0)
            );
            let seen = get(&world, node, key, session(written)).await.unwrap();
            assert_eq!(seen.value, value.as_bytes(), "a session reads its own writes");
            assert!(seen.proof.unwrap().applied_index >= written.applied_index);
            let young = get(&world, node, key, bounded(0)).await.unwrap();
            assert_eq!(
                (young.value.as_ref(), young.proof.unwrap().age_ms),
                (value.as_bytes(), 0)
            );
            let any = get(&world, node, key, eventual()).await.unwrap();
            let age = any.proof.unwrap().age_ms;
            assert!(
                age < 1000,
                "the linearizable reads just before have told the age: {age}"
            );
            let again = get(&world, node, key, bounded(1000)).await.unwrap();
            assert!(again.proof.unwrap().age_ms <= 1000);
        }
    }
    for (node, before) in (1..=3).zip(before) {
        let after = world.status(node).await.counters.unwrap();
        let followed = after.follower_reads - before.follower_reads;
        assert!(
            (1..60).contains(&followed),
            "n{node} leads some of the groups: {followed}"
        );
        assert_eq!(
            after.forwarded, before.forwarded,
            "n{node} has a replica of every group"
        );
        assert_eq!(
            (after.redirected, after.overloaded),
            (before.redirected, before.overloaded)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_grows_with_the_replicas_clock_and_is_kept_low_while_somebody_cares() {
    let (world, _processes) = cluster(22).await;
    world.put_until_done(1, "k", "v").await;
    let proof = get(&world, 1, "k", v1::ReadOptions::default())
        .await
        .unwrap()
        .proof
        .unwrap();
    let (_, followers) = leader_of(&world, &proof).await;
    let node = followers[0];
    get(&world, node, "k", v1::ReadOptions::default()).await.unwrap();
    world.clock.sleep(Duration::from_secs(20)).await;
    // Nobody cared: no rounds were made, and the age is the time since and a hundredth.
    let rounds = world.status(node).await.counters.unwrap().read_rounds;
    let age = age_of(&world, node, proof.group).await.unwrap();
    assert!((20_200..20_400).contains(&age), "{age}");
    let first = get(&world, node, "k", eventual()).await.unwrap().proof.unwrap();
    assert!((20_200..20_400).contains(&first.age_ms), "{first:?}");
    // Now somebody does, a little.
    for _ in 0..3 {
        world.clock.sleep(Duration::from_secs(2)).await;
        let proof = get(&world, node, "k", eventual()).await.unwrap().proof.unwrap();
        assert!(proof.age_ms < 1100, "{proof:?}");
    }
    let kept = world.status(node).await.counters.unwrap().read_rounds - rounds;
    assert!((5..=8).contains(&kept), "about one a second: {kept}");
    world.clock.sleep(Duration::from_secs(7)).await;
    let quiet = world.status(node).await.counters.unwrap().read_rounds;
    world.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(
        world.status(node).await.counters.unwrap().read_rounds,
        quiet,
        "idle costs nothing"
    );
    // A bounded read is worth a round.
    let young = get(&world, node, "k", bounded(50)).await.unwrap();
    assert_eq!(young.proof.unwrap().age_ms, 0);
}

/// Why a read that cannot keep its promise is not served.
async fn refusal(world: &World, node: u64, options: v1::ReadOptions) -> String {
    match get(world, node, "k", options).await {
        Err(CallError::Status(status)) => {
            assert!(
                matches!(status.code, Code::Unavailable | Code::DeadlineExceeded),
                "{status:?}"
            );
            status.message
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_ages_and_refuses_what_it_cannot_promise() {
    let (mut world, _processes) = cluster(23).await;
    world.put_until_done(1, "k", "old").await;
    let proof = get(&world, 1, "k", v1::ReadOptions::default())
        .await
        .unwrap()
        .proof
        .unwrap();
    let (leader, followers) = leader_of(&world, &proof).await;
    get(&world, leader, "k", v1::ReadOptions::default())
        .await
        .unwrap();
    world.isolate_from_nodes(leader);
    let cut = world.clock.now();
    for _ in 0..6 {
        world.clock.sleep(Duration::from_secs(1)).await;
        let since = world.clock.now().since(cut).as_millis() as u64;
        let reply = get(&world, leader, "k", eventual()).await.unwrap();
        let age = reply.proof.unwrap().age_ms;
        assert!(age >= since, "cut off for {since} ms, it claims {age}");
        assert_eq!(reply.value, "old");
    }
    world.put_until_done(followers[0], "k", "new").await;
    let new = get(&world, followers[0], "k", v1::ReadOptions::default())
        .await
        .unwrap();
    assert_eq!(new.value, "new");
    // What was seen elsewhere is waited for, and then refused, never left out.
    let seen = session(&new.proof.unwrap());
    let behind = refusal(&world, leader, seen).await;
    assert!(behind.contains("has applied"), "{behind}");
    refusal(&world, leader, bounded(3000)).await;
    refusal(&world, leader, v1::ReadOptions::default()).await;
    let lax = get(&world, leader, "k", bounded(3_600_000)).await.unwrap();
    assert_eq!(lax.value, "old");
    world.heal();
    let seen = get(&world, leader, "k", session(&new.proof.unwrap()))
        .await
        .unwrap();
    assert_eq!(seen.value, "new");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_must_wait_for_a_session_does_not_wait_for_the_next_heartbeat() {
    let (world, _processes) = cluster(24).await;
    world.put_until_done(1, "k", "v").await;
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let written = world.put(1, "k", &format!("{n}")).await.unwrap().proof.unwrap();
        let (_, followers) = leader_of(&world, &written).await;
        let began = world.clock.now();
        let seen = get(&world, followers[0], "k", session(&written)).await.unwrap();
        slowest = slowest.max(world.clock.now().since(began));
        assert_eq!(seen.value, n.to_string());
    }
    assert!(slowest < Duration::from_millis(50), "{slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_fit_is_refused_with_what_is_wrong() {
    let (world, _processes) = cluster(25).await;
    world.put_until_done(1, "k", "v").await;
    let proof = get(&world, 1, "k", v1::ReadOptions::default())
        .await
        .unwrap()
        .proof
        .unwrap();
    let of_generation = |generation| session(&v1::Proof { generation, ..proof });
    let refused = get(&world, 1, "k", of_generation(proof.generation + 1))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, CallError::Status(status) if status.code == Code::Unavailable && status.message.contains("incarnation")),
        "{refused:?}"
    );
    // Of a log that is gone nothing can be compared: the newest state there is will do.
    let older = session(&v1::Proof {
        generation: proof.generation - 1,
        applied_index: u64::MAX,
        ..proof
    });
    assert_eq!(get(&world, 1, "k", older).await.unwrap().value, "v");
    let garbage = v1::ReadOptions {
        token: Bytes::from_static(&[0xff; 9]),
        ..options(v1::Consistency::Session)
    };
    let refused = get(&world, 1, "k", garbage).await.unwrap_err();
    assert!(
        matches!(&refused, CallError::Status(status) if status.code == Code::InvalidArgument),
        "{refused:?}"
    );
}
