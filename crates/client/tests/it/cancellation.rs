//! Futures dropped at every point where they wait: nothing stays behind that others would need.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atoll_client::{Bytes, Client, Consistency, Routing, ScanOptions, SessionToken};

use crate::support::{World, client, env, timed};

/// One call of every kind.
type Act = fn(Client) -> futures_util::future::BoxFuture<'static, ()>;

fn acts() -> Vec<(&'static str, Act)> {
    vec![
        ("put", |client| {
            Box::pin(async move { drop(client.put("k", "v").await) })
        }),
        ("delete", |client| {
            Box::pin(async move { drop(client.delete("k").await) })
        }),
        ("cas", |client| {
            Box::pin(async move { drop(client.compare_and_set("k", None, "v").await) })
        }),
        ("increment", |client| {
            Box::pin(async move { drop(client.increment("n", 1).await) })
        }),
        ("append", |client| {
            Box::pin(async move { drop(client.append("a", "1").await) })
        }),
        ("batch", |client| {
            Box::pin(async move { drop(client.batch().put("{b}1", "v").put("{b}2", "v").commit().await) })
        }),
        ("delete_range", |client| {
            Box::pin(async move { drop(client.delete_range("{b}", "{b}~").await) })
        }),
        ("multi_put", |client| {
            Box::pin(async move {
                let rows = (0..20).map(|n| (Bytes::from(format!("m{n}")), Bytes::from("v")));
                drop(client.multi_put(rows.collect()).await);
            })
        }),
        ("get", |client| {
            Box::pin(async move { drop(client.get("k").await) })
        }),
        ("read", |client| {
            let client = client
                .with_routing(Routing::Fastest)
                .with_consistency(Consistency::Session(SessionToken::default()));
            Box::pin(async move { drop(client.read("k").await) })
        }),
        ("multi_get", |client| {
            Box::pin(async move { drop(client.multi_get(vec!["k".into(), "n".into(), "m1".into()]).await) })
        }),
        ("scan", |client| {
            Box::pin(async move { drop(client.scan(ScanOptions::default()).collect().await) })
        }),
        ("count", |client| {
            Box::pin(async move { drop(client.count(ScanOptions::default()).await) })
        }),
    ]
}

/// Polls a future `polls` times, letting everything else go on in between, then drops it. True if it
/// has ended by then.
async fn poll_then_drop(future: futures_util::future::BoxFuture<'static, ()>, polls: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return true;
        }
        // A round of everybody else: reader, writer and server tasks.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn any_call_may_be_dropped_wherever_it_waits() {
    for (name, act) in acts() {
        let mut polls = 0;
        while polls < 200 && !drop_after(name, act, polls).await {
            polls += 1;
        }
        assert!((2..200).contains(&polls), "{name} was dropped at {polls} points");
    }
}

/// Drops a call after so many polls and sees that the client is as good as before; true if the call had
/// ended by then.
async fn drop_after(name: &str, act: Act, polls: usize) -> bool {
    // A fresh client each time, so that sessions and links are in the making as well.
    let world = World::new(3, 2);
    world.serve_reads_everywhere();
    let client = client(&world).await;
    let ended = poll_then_drop(act(client.clone()), polls).await;
    let ((), took) = timed(&env(&world), act(client.clone())).await;
    assert!(
        took < Duration::from_millis(50),
        "{name} after {polls} polls: {took:?}"
    );
    let ((), took) = timed(&env(&world), client.close()).await;
    assert!(
        took < Duration::from_millis(50),
        "{name} after {polls} polls: {took:?} to close"
    );
    ended
}

#[tokio::test(start_paused = true)]
async fn dropped_writes_leave_no_hole_in_the_window() {
    let world = World::new(3, 2);
    let client = client(&world).await;
    client.put("k0", "v").await.unwrap();
    // More than the windows have room for.
    for number in 0..10_000_usize {
        let client = client.clone();
        let put = Box::pin(async move { drop(client.put(format!("k{number}"), "v").await) });
        poll_then_drop(put, number % 5).await;
    }
    let (result, took) = timed(&env(&world), client.put("k", "v")).await;
    result.unwrap();
    assert!(took < Duration::from_millis(50), "{took:?}");
    for key in ["k1", "k2", "k3", "k4"] {
        client.put(key, "w").await.unwrap();
    }
    let stamps = world.stamps();
    let last = stamps.last().unwrap();
    assert!(stamps.iter().all(|stamp| stamp.ack <= stamp.seq));
    assert_eq!(last.ack, last.seq, "nothing older is unfinished");
}

#[tokio::test(start_paused = true)]
async fn connecting_and_closing_may_be_dropped() {
    let world = World::new(3, 1);
    for polls in 0..6 {
        let env = env(&world);
        let connect = Box::pin(async move {
            drop(Client::builder().seeds(["n1"]).build_in(&env).await);
        });
        poll_then_drop(connect, polls).await;
    }
    let client = client(&world).await;
    client.put("k", "v").await.unwrap();
    let closing = client.clone();
    poll_then_drop(Box::pin(async move { closing.close().await }), 1).await;
    assert_eq!(
        client.put("k", "v").await.unwrap_err().kind(),
        atoll_client::ErrorKind::Closed
    );
    client.close().await;
}
