//! Every call ends in time, and what its end means depends on whether it was sent.

use std::time::Duration;

use atoll_client::{Client, ErrorKind, Options};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;

use crate::support::{Action, World, client, client_with, env, error, timed};

#[tokio::test(start_paused = true)]
async fn a_read_without_reply_ends_with_deadline() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    world.script(|_, _| Action::Ignore);
    let (result, took) = timed(&env(&world), client.get("k")).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Deadline);
    assert!(
        took >= Duration::from_secs(15) && took < Duration::from_millis(15_100),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_sent_ends_with_unknown() {
    for exactly_once in [true, false] {
        let world = World::new(3, 1);
        let client = client_with(
            &world,
            Options {
                exactly_once,
                ..Options::default()
            },
        )
        .await;
        world.script(|_, item| match item.operation {
            Some(Operation::Write(_)) => Action::ServeSilently,
            _ => Action::Serve,
        });
        let (result, took) = timed(&env(&world), client.put("k", "v")).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unknown);
        assert!(
            took >= Duration::from_secs(15) && took < Duration::from_millis(15_100),
            "{took:?}"
        );
        assert_eq!(world.applied(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_number_of_a_write_given_up_is_finished() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "v").await.unwrap();
    world.writes_meet((0..10).map(|_| Action::Ignore));
    client
        .with_deadline(Duration::from_secs(2))
        .put("k", "w")
        .await
        .unwrap_err();
    world.script(|_, _| Action::Serve);
    client.put("k", "x").await.unwrap();
    assert_eq!(
        world.stamps().last().map(|stamp| (stamp.seq, stamp.ack)),
        Some((3, 3))
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_nobody_took_ends_with_deadline() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "v").await.unwrap();
    world.elect(1, 0, true);
    assert_eq!(
        client.put("k", "w").await.unwrap_err().kind(),
        ErrorKind::Deadline
    );
    for node in ["n1", "n2", "n3"] {
        world.set_up(node, false);
    }
    // Until the client has noticed the broken links, a write may still be sent into one.
    env(&world).clock.sleep(Duration::from_millis(1)).await;
    let (result, took) = timed(&env(&world), client.put("k", "w")).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Deadline);
    assert!(took < Duration::from_millis(15_100), "{took:?}");
    assert_eq!(world.applied(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_cluster_gets_a_bounded_number_of_repeats() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.get("k").await.unwrap();
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&seen);
    world.script(move |_, _| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut detail = error(Kind::Overloaded);
        detail.retry_after_ms = 5;
        Action::Refuse(detail)
    });
    let gets = (0..50).map(|_| client.get("k"));
    for result in futures_util::future::join_all(gets).await {
        assert!(matches!(
            result.unwrap_err().kind(),
            ErrorKind::Overloaded | ErrorKind::Deadline
        ));
    }
    let seen = seen.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(seen, 50 + 100, "50 first sendings, 100 tokens");
    assert_eq!(client.stats().overloaded, seen);
    world.script(|_, _| Action::Serve);
    client.get("k").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_left_for_another_before_the_deadline() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "v").await.unwrap();
    world.script(|node, _| {
        if node == "n2" {
            Action::Ignore
        } else {
            Action::Serve
        }
    });
    world.elect(1, 3, true);
    let (result, took) = timed(&env(&world), client.put("k", "w")).await;
    result.unwrap();
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(client.stats().links_lost, 1, "the silent link was given up");
    assert_eq!(world.applied(), 2);
}

#[tokio::test(start_paused = true)]
async fn connecting_to_nobody_fails_in_time() {
    let world = World::new(3, 1);
    for node in ["n1", "n2", "n3"] {
        world.set_up(node, false);
    }
    let env = env(&world);
    let (result, took) = timed(
        &env,
        Client::connect(&env, &["n1".to_owned()], Options::default()),
    )
    .await;
    assert_eq!(result.err().unwrap().kind(), ErrorKind::Unavailable);
    assert!(took <= Duration::from_secs(15), "{took:?}");
    assert_eq!(
        Client::connect(&env, &[], Options::default())
            .await
            .err()
            .unwrap()
            .kind(),
        ErrorKind::Invalid
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_takes_no_calls() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "v").await.unwrap();
    let (read, ()) = tokio::join!(client.get("k"), client.close());
    assert!(read.unwrap().is_some(), "what had begun ended well");
    assert_eq!(client.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.put("k", "v").await.unwrap_err().kind(), ErrorKind::Closed);
}
