//! Finding the node that can answer.

use std::time::Duration;

use atoll_client::{ErrorKind, Routing};
use atoll_proto::v1::ErrorDetail;
use atoll_proto::v1::error_detail::Kind;

use crate::support::{Action, World, client, env, error, keys_of, timed};

#[tokio::test(start_paused = true)]
async fn a_redirect_is_followed_at_once_and_remembered() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    let (result, took) = timed(&env(&world), client.put("k", "v")).await;
    result.unwrap();
    let before = client.stats().redirects;
    world.elect(1, 1, true);
    let (result, again) = timed(&env(&world), client.put("k", "v")).await;
    result.unwrap();
    assert_eq!(client.stats().redirects, before + 1);
    client.put("k", "v").await.unwrap();
    assert_eq!(client.stats().redirects, before + 1);
    assert_eq!(took + again, Duration::ZERO, "no pause");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_may_name_an_address_that_the_map_does_not_know() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    world.elect(1, 3, true);
    world.script(|node, _| {
        if node == "n3" {
            return Action::Serve;
        }
        Action::Refuse(ErrorDetail {
            leader_address: "n3".to_owned(),
            ..error(Kind::NotLeader)
        })
    });
    client.put("k", "v").await.unwrap();
}

/// Where the client's seed and its map point to, nobody listens any more: not because it was told so,
/// but one node after the other, while a redirect showed it where one of them went.
#[tokio::test(start_paused = true)]
async fn a_map_of_dead_addresses_is_replaced_by_way_of_a_node_known_from_a_redirect() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "1").await.unwrap();
    world.change_address("n3", "m3");
    world.elect(1, 3, true);
    // As those that have heard of the new address do.
    world.script(|node, _| match node {
        "n1" | "n2" => Action::Refuse(ErrorDetail {
            leader_address: "m3".to_owned(),
            ..error(Kind::NotLeader)
        }),
        _ => Action::Serve,
    });
    client.put("k", "2").await.unwrap();
    let fetched = client.stats().map_fetches;
    assert_eq!(fetched, 1, "a redirect is no reason to doubt the map");

    world.script(|_, _| Action::Serve);
    world.change_address("n1", "m1");
    world.change_address("n2", "m2");
    // Node 3 now names a leader that the map has at an address where nobody is.
    world.elect(1, 1, true);
    let (result, took) = timed(&env(&world), client.put("k", "3")).await;
    result.unwrap();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(world.value("k").unwrap(), "3");
    // One round over the old addresses, and the live link.
    assert!(client.stats().map_fetches <= fetched + 4, "{:?}", client.stats());
    let fetched = client.stats().map_fetches;
    client.get("k").await.unwrap();
    assert_eq!(client.stats().map_fetches, fetched, "the newer map holds");
}

/// A node that answers, if only with refusals, is no reason to trust where the map has the others.
#[tokio::test(start_paused = true)]
async fn a_map_with_dead_addresses_is_replaced_although_one_node_still_answers() {
    let world = World::new(3, 1);
    world.serve_reads_everywhere();
    let client = client(&world).await.with_routing(Routing::RoundRobin);
    for _ in 0..3 {
        client.get("k").await.unwrap();
    }
    world.change_address("n1", "m1");
    world.change_address("n2", "m2");
    world.elect(1, 1, true);
    // A link to the third is there; it answers no read any more, but still hands out the map.
    world.script(|node, _| match node {
        "n3" => Action::Refuse(error(Kind::Unavailable)),
        _ => Action::Serve,
    });
    let (result, took) = timed(&env(&world), client.get("k")).await;
    result.unwrap();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn failover_is_noticed_soon_after_the_election() {
    let world = World::new(3, 2);
    let client = client(&world).await;
    let keys = keys_of(&world, 1, 300);
    for key in &keys {
        client.put(key.clone(), "1").await.unwrap();
    }
    // Group 1 is led by node 2.
    world.set_up("n2", false);
    let env = env(&world);
    let begin = env.clock.now();
    let election = async {
        env.clock.sleep(Duration::from_millis(2_200)).await;
        world.elect(1, 3, true);
    };
    let puts = futures_util::future::join_all(keys.iter().map(|key| client.put(key.clone(), "2")));
    let (puts, ()) = tokio::join!(puts, election);
    for put in puts {
        put.unwrap();
    }
    let took = env.clock.now().since(begin);
    assert!(took < Duration::from_millis(2_400), "{took:?}");
    assert_eq!(world.applied(), 600);
    let stats = client.stats();
    let attempts = stats.retries + stats.redirects;
    assert!(
        attempts < 300 * 40,
        "waiting for a leader must not become a storm: {attempts} attempts"
    );
}

#[tokio::test(start_paused = true)]
async fn a_single_caller_finds_the_next_leader_within_the_longest_pause() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "1").await.unwrap();
    world.set_up("n2", false);
    let env = env(&world);
    let election = async {
        env.clock.sleep(Duration::from_millis(2_200)).await;
        world.elect(1, 3, true);
    };
    let ((result, took), ()) = tokio::join!(timed(&env, client.put("k", "2")), election);
    result.unwrap();
    assert!(took < Duration::from_millis(3_300), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_comes_back_is_found_again() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "1").await.unwrap();
    world.set_up("n2", false);
    let env = env(&world);
    let restart = async {
        env.clock.sleep(Duration::from_secs(5)).await;
        world.set_up("n2", true);
    };
    // The others go on naming node 2 all the time.
    let ((result, took), ()) = tokio::join!(timed(&env, client.put("k", "2")), restart);
    result.unwrap();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_moved_slot_is_followed_through_a_new_map() {
    let world = World::new(3, 2);
    let client = client(&world).await;
    let keys = keys_of(&world, 1, 100);
    for key in &keys {
        client.put(key.clone(), "1").await.unwrap();
    }
    let fetched = client.stats().map_fetches;
    world.move_slots(1, 2);
    let gets = keys.iter().map(|key| client.get(key.clone()));
    for value in futures_util::future::join_all(gets).await {
        assert_eq!(&value.unwrap().unwrap().bytes[..], b"1");
    }
    assert_eq!(
        client.stats().map_fetches,
        fetched + 1,
        "one fetch for all callers"
    );
    for key in &keys {
        client.put(key.clone(), "2").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_refuses_for_long_does_not_cause_a_storm_of_map_fetches() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    world.script(|_, _| Action::Refuse(error(Kind::NotOwner)));
    let gets = (0..100).map(|_| client.get("k"));
    for result in futures_util::future::join_all(gets).await {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Deadline);
    }
    let fetched = client.stats().map_fetches;
    assert!(fetched < 100, "{fetched} fetches in 15 s");
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_refused_without_being_sent() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    let kind = |result: Result<_, atoll_client::Error>| result.map(drop).unwrap_err().kind();
    assert_eq!(kind(client.put("", "v").await.map(drop)), ErrorKind::Invalid);
    assert_eq!(
        kind(client.put(vec![0; 4_097], "v").await.map(drop)),
        ErrorKind::Invalid
    );
    assert_eq!(
        kind(client.put("k", vec![0; 1024 * 1024 + 1]).await.map(drop)),
        ErrorKind::Invalid
    );
    assert_eq!(kind(client.get("").await.map(drop)), ErrorKind::Invalid);
    assert_eq!(kind(client.batch().commit().await.map(drop)), ErrorKind::Invalid);
    let apart = client
        .batch()
        .put("a", "1")
        .put("b", "2")
        .commit()
        .await
        .unwrap_err();
    assert_eq!(apart.kind(), ErrorKind::Invalid);
    assert!(apart.message().contains("{tag}"), "{apart}");
    assert!(world.frames().is_empty());
}
