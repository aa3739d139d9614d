//! The stream that calls share.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use atoll_client::{Client, ErrorKind};

use crate::support::{Action, World, client, env};

async fn put_and_get(client: Client, caller: usize, rounds: usize) {
    for round in 0..rounds {
        let (key, value) = (format!("k{caller}"), format!("{round}"));
        client.put(key.clone(), value.clone()).await.unwrap();
        assert_eq!(client.get(key).await.unwrap().unwrap().bytes, value);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_made_together_travel_together() {
    let world = World::new(1, 1);
    let client = client(&world).await;
    client.put("warm", "up").await.unwrap();
    let before = world.frames().len();
    let env = env(&world);
    let callers = (0..256).map(|caller| env.spawn.spawn(put_and_get(client.clone(), caller, 20)));
    futures_util::future::join_all(callers.collect::<Vec<_>>()).await;
    let frames = world.frames().split_off(before);
    let operations: usize = frames.iter().map(|(_, operations)| operations).sum();
    assert_eq!(operations, 256 * 40);
    assert!(
        frames.len() <= 60,
        "{} frames for {operations} operations",
        frames.len()
    );
}

#[tokio::test(start_paused = true)]
async fn large_values_and_scans_take_the_other_lane() {
    let world = World::new(1, 1);
    let client = client(&world).await;
    client.put("small", "v").await.unwrap();
    client.get("small").await.unwrap();
    assert!(world.frames().iter().all(|(lane, _)| *lane == 0));
    let before = world.frames().len();
    client.put("large", vec![7; 100_000]).await.unwrap();
    client.multi_get(vec!["small".into()]).await.unwrap();
    client
        .scan(atoll_client::ScanOptions::default())
        .next_page()
        .await
        .unwrap();
    assert!(
        world
            .frames()
            .split_off(before)
            .iter()
            .all(|(lane, _)| *lane == 1)
    );
}

/// Polls a call once, so that its request is queued, and drops it.
async fn begin_and_drop<F: Future>(call: F) {
    let mut call = pin!(call);
    poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_that_was_not_written_never_is() {
    let world = World::new(1, 1);
    let client = client(&world).await;
    client.put("k", "1").await.unwrap();
    let before = world.frames().len();
    begin_and_drop(client.put("k", "dropped")).await;
    client.put("k", "2").await.unwrap();
    assert_eq!(world.frames().split_off(before), [(0, 1)]);
    assert_eq!(world.applied(), 2);
    assert_eq!(
        world.stamps().last().map(|stamp| (stamp.seq, stamp.ack)),
        Some((3, 3))
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_to_a_dropped_call_reaches_nobody_else() {
    let world = World::new(1, 1);
    let client = client(&world).await;
    client.put("a", "A").await.unwrap();
    client.put("b", "B").await.unwrap();
    for _ in 0..50 {
        let sent = client.stats().operations_sent;
        // Dropped between its writing and its reply.
        let mut dropped = Box::pin(client.get("a"));
        let pending = poll_fn(|context| Poll::Ready(dropped.as_mut().poll(context).is_pending())).await;
        assert!(pending);
        while client.stats().operations_sent == sent {
            tokio::task::yield_now().await;
        }
        drop(dropped);
        assert_eq!(client.get("b").await.unwrap().unwrap().bytes, "B");
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_from_a_server_breaks_the_link_and_nothing_else() {
    let world = World::new(1, 1);
    let client = client(&world).await;
    client.put("k", "v").await.unwrap();
    let mut frames = [
        Action::Raw(b"\xff\xff\xff\xff"),
        // A reply without a result to a call that does not exist.
        Action::Raw(b"\x0a\x02\x08\x07"),
    ]
    .into_iter();
    world.script(move |_, _| frames.next().unwrap_or(Action::Serve));
    assert_eq!(client.get("k").await.unwrap().unwrap().bytes, "v");
    let short = client.with_deadline(Duration::from_millis(200));
    let result = short.get("k").await;
    assert!(result.is_ok() || result.unwrap_err().kind() == ErrorKind::Deadline);
    assert_eq!(client.get("k").await.unwrap().unwrap().bytes, "v");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_ends_all_links() {
    let world = World::new(3, 3);
    let client = client(&world).await;
    let clone = client.clone();
    for number in 0..20 {
        clone.put(format!("k{number}"), "v").await.unwrap();
    }
    drop(client);
    clone.get("k1").await.unwrap();
    drop(clone);
    // Links hold the world; they are gone when the last task that served one has ended.
    let mut turns = 0;
    while Arc::strong_count(&world) > 1 {
        turns += 1;
        assert!(turns < 1_000, "links are left");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_may_share_a_client() {
    let world = World::new(3, 4);
    let env = atoll_env::Env {
        clock: atoll_env::Clock::boot(),
        ..env(&world)
    };
    let client = Client::connect(&env, &["n2".to_owned()], atoll_client::Options::default())
        .await
        .unwrap();
    let callers: Vec<_> = (0..64)
        .map(|caller| env.spawn.spawn(put_and_get(client.clone(), caller, 100)))
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(world.applied(), 6_400);
}
