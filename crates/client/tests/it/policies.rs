//! Which replica reads go to, and which they avoid.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use atoll_client::{Client, Options, Routing, ScanOptions};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;

use crate::support::{Action, World, client, client_with, count_reads, env, error, keys_of, timed};

async fn read(client: &Client, times: usize) {
    for _ in 0..times {
        client.get("k").await.unwrap();
    }
}

fn options(zone: &str, routing: Routing) -> Options {
    Options {
        zone: zone.to_owned(),
        routing,
        ..Options::default()
    }
}

fn world() -> Arc<World> {
    let world = World::new(3, 1);
    world.serve_reads_everywhere();
    world
}

/// Reads by node: n1, n2, n3.
fn by_node(reads: &BTreeMap<String, u64>) -> [u64; 3] {
    ["n1", "n2", "n3"].map(|node| reads.get(node).copied().unwrap_or(0))
}

#[tokio::test(start_paused = true)]
async fn round_robin_spreads_reads_evenly() {
    let world = world();
    let client = client_with(&world, options("", Routing::RoundRobin)).await;
    let reads = count_reads(&world);
    read(&client, 300).await;
    assert_eq!(by_node(&reads.lock()), [100; 3]);
}

#[tokio::test(start_paused = true)]
async fn writes_and_reads_by_default_go_to_the_leader() {
    let world = world();
    let client = client_with(&world, options("", Routing::RoundRobin)).await;
    client.put("k", "v").await.unwrap();
    let redirects = client.stats().redirects;
    for _ in 0..50 {
        client.put("k", "v").await.unwrap();
    }
    assert_eq!(
        client.stats().redirects,
        redirects,
        "reads elsewhere do not confuse writes"
    );
    let reads = count_reads(&world);
    read(&client.with_routing(Routing::Leader), 50).await;
    assert_eq!(by_node(&reads.lock()), [0, 50, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_nearest_replica_is_one_of_the_own_zone() {
    let world = world();
    for (node, zone) in [("n1", "a"), ("n2", "b"), ("n3", "b")] {
        world.set_zone(node, zone);
        world.set_delay(node, Duration::from_millis(1));
    }
    // The leader and the quickest is elsewhere.
    world.set_delay("n2", Duration::from_micros(500));
    let client = client_with(&world, options("a", Routing::Nearest)).await;
    let reads = count_reads(&world);
    read(&client, 200).await;
    assert_eq!(by_node(&reads.lock()), [200, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn among_those_of_the_zone_the_quickest_is_nearest() {
    let world = world();
    for (node, ms) in [("n1", 1), ("n2", 5), ("n3", 3)] {
        world.set_zone(node, if node == "n1" { "a" } else { "b" });
        world.set_delay(node, Duration::from_millis(ms));
    }
    let client = client_with(&world, options("b", Routing::Nearest)).await;
    let reads = count_reads(&world);
    read(&client, 500).await;
    let [a, slow, quick] = by_node(&reads.lock());
    assert_eq!(a, 0);
    assert!(slow < 5 && quick > 490, "{slow} {quick}");
}

#[tokio::test(start_paused = true)]
async fn a_stuck_zone_is_left() {
    let world = world();
    for (node, zone) in [("n1", "a"), ("n2", "b"), ("n3", "b")] {
        world.set_zone(node, zone);
        world.set_delay(node, Duration::from_millis(2));
    }
    world.set_delay("n1", Duration::from_millis(800));
    let client = client_with(&world, options("a", Routing::Nearest)).await;
    let reads = count_reads(&world);
    read(&client, 200).await;
    assert!(by_node(&reads.lock())[0] < 5, "{reads:?}");
    // Well again, it is found again.
    world.set_delay("n1", Duration::from_millis(2));
    env(&world).clock.sleep(Duration::from_secs(60)).await;
    reads.lock().clear();
    read(&client, 200).await;
    assert!(by_node(&reads.lock())[0] > 190, "{reads:?}");
}

#[tokio::test(start_paused = true)]
async fn the_fastest_policy_avoids_a_slow_node_and_uses_all_others() {
    let world = world();
    for (node, ms) in [("n1", 1), ("n2", 100), ("n3", 1)] {
        world.set_delay(node, Duration::from_millis(ms));
    }
    let client = client_with(&world, options("", Routing::Fastest)).await;
    read(&client, 10).await;
    let reads = count_reads(&world);
    let env = env(&world);
    let rounds = async {
        for _ in 0..50 {
            let round = (0..20).map(|_| client.get("k"));
            let results = futures_util::future::join_all(round).await;
            assert!(results.iter().all(Result::is_ok));
        }
    };
    let ((), took) = timed(&env, rounds).await;
    let [one, slow, three] = by_node(&reads.lock());
    assert_eq!(one + slow + three, 1_000);
    assert!(slow < 20, "{reads:?}");
    assert!(one > 300 && three > 300, "both good ones are used: {reads:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_is_ejected_probed_now_and_then_and_taken_back() {
    let world = world();
    let client = client_with(&world, options("", Routing::RoundRobin)).await;
    let env = env(&world);
    read(&client, 3).await;
    // It takes requests and answers none: the worst way to fail.
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    world.script(move |node, _| match node {
        "n3" => {
            counted.fetch_add(1, Relaxed);
            Action::Ignore
        }
        _ => Action::Serve,
    });
    let begin = env.clock.now();
    for _ in 0..600 {
        client.get("k").await.unwrap();
        env.clock.sleep(Duration::from_millis(100)).await;
    }
    let asked = asked.load(Relaxed);
    assert_eq!(client.stats().ejections, 1);
    // Three to eject it, then pauses of up to 0.5, 1, 2, 4, ... s.
    assert!((5..=12).contains(&asked), "{asked} requests to a dead node");
    let took = env.clock.now().since(begin);
    assert!(
        took < Duration::from_secs(100),
        "few calls had to wait for it: {took:?}"
    );
    let reads = count_reads(&world);
    // The longest pause is 30 s; then it is healthy at once.
    for _ in 0..310 {
        client.get("k").await.unwrap();
        env.clock.sleep(Duration::from_millis(100)).await;
    }
    reads.lock().clear();
    read(&client, 30).await;
    assert_eq!(by_node(&reads.lock()), [10; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_costs_a_read_no_pause() {
    let world = world();
    for routing in [Routing::RoundRobin, Routing::Nearest, Routing::Fastest] {
        world.set_up("n1", true);
        let client = client_with(&world, options("", routing)).await;
        read(&client, 6).await;
        world.set_up("n1", false);
        let ((), took) = timed(&env(&world), read(&client, 50)).await;
        assert!(took < Duration::from_millis(50), "{routing:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_has_not_heard_of_a_move_costs_one_redirect_to_the_leader() {
    let world = world();
    world.set_zone("n1", "a");
    let client = client_with(&world, options("a", Routing::Nearest)).await;
    client.put("k", "v").await.unwrap();
    read(&client, 3).await;
    world.script(|node, item| match &item.operation {
        Some(Operation::Write(_)) => Action::Serve,
        _ if node == "n1" => Action::Refuse(error(Kind::NotOwner)),
        _ => Action::Serve,
    });
    let fetches = client.stats().map_fetches;
    let reads = async {
        read(&client, 20).await;
        client.multi_get(vec!["k".into()]).await.unwrap();
        client.count(ScanOptions::default()).await.unwrap();
        client.scan(ScanOptions::default()).collect().await.unwrap();
    };
    let ((), took) = timed(&env(&world), reads).await;
    assert!(took < Duration::from_millis(10), "{took:?}");
    assert_eq!(client.stats().map_fetches, fetches);
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_is_read_slowly_does_not_make_its_node_look_slow() {
    let world = world();
    for (node, zone) in [("n1", "a"), ("n2", "b"), ("n3", "b")] {
        world.set_zone(node, zone);
        world.set_delay(node, Duration::from_millis(1));
    }
    world.set_page_rows(2);
    let client = client_with(&world, options("a", Routing::Nearest)).await;
    for n in 0..20 {
        client.put(format!("k{n}"), "v").await.unwrap();
    }
    read(&client, 20).await;
    let mut scan = client.scan(ScanOptions {
        page_rows: 4,
        ..ScanOptions::default()
    });
    assert_eq!(scan.next_page().await.unwrap().unwrap().len(), 4);
    env(&world).clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(scan.next_page().await.unwrap().unwrap().len(), 4);
    let reads = count_reads(&world);
    read(&client, 20).await;
    assert_eq!(by_node(&reads.lock()), [20, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn with_every_node_ejected_reads_go_on_trying() {
    let world = world();
    let client = client_with(&world, options("", Routing::RoundRobin)).await;
    read(&client, 3).await;
    for node in ["n1", "n2", "n3"] {
        world.set_up(node, false);
    }
    let short = client.with_deadline(Duration::from_secs(5));
    assert!(short.get("k").await.is_err());
    assert_eq!(client.stats().ejections, 3);
    world.set_up("n2", true);
    let (result, took) = timed(&env(&world), client.get("k")).await;
    result.unwrap();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn every_group_has_its_own_turn_and_a_map_change_does_not_start_it_over() {
    let world = World::new(3, 4);
    world.serve_reads_everywhere();
    let client = client_with(&world, options("", Routing::RoundRobin)).await;
    let keys: Vec<String> = (1..=4).flat_map(|group| keys_of(&world, group, 1)).collect();
    let reads = count_reads(&world);
    for round in 0..30 {
        for key in &keys {
            client.get(key.clone()).await.unwrap();
        }
        if round == 10 {
            world.move_run(0, 10, 4);
        }
    }
    let by_node = by_node(&reads.lock());
    assert!(
        by_node.iter().all(|reads| (39..=42).contains(reads)),
        "{by_node:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_passes_a_read_on_costs_one_redirect() {
    let world = World::new(3, 1);
    let client = client(&world).await.with_routing(Routing::RoundRobin);
    let (result, took) = timed(&env(&world), read(&client, 30)).await;
    assert_eq!(
        (result, took),
        ((), Duration::ZERO),
        "nobody but the leader serves; no pause"
    );
    assert_eq!(client.stats().redirects, 20);
}
