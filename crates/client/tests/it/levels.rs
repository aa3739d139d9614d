//! Consistency levels, proofs and session tokens.

use std::time::Duration;

use atoll_client::{Consistency, Options, Routing, ScanOptions, SessionToken};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{Consistency as WireLevel, ReadOptions};

use crate::support::{Action, World, client, client_with, env, error, keys_of, timed};

/// What each read says about its level.
fn levels(world: &World) -> std::sync::Arc<parking_lot::Mutex<Vec<Option<ReadOptions>>>> {
    let seen: std::sync::Arc<parking_lot::Mutex<Vec<_>>> = std::sync::Arc::default();
    let noted = std::sync::Arc::clone(&seen);
    world.script(move |_, item| {
        match &item.operation {
            Some(Operation::Get(get)) => noted.lock().push(get.options.clone()),
            Some(Operation::MultiGet(get)) => noted.lock().push(get.options.clone()),
            _ => {}
        }
        Action::Serve
    });
    seen
}

#[tokio::test(start_paused = true)]
async fn a_read_tells_where_it_comes_from() {
    let world = World::new(3, 2);
    world.serve_reads_everywhere();
    let client = client(&world).await;
    let version = client.put("k", "v").await.unwrap();
    let read = client.read("k").await.unwrap();
    let value = read.value.unwrap();
    assert_eq!((&value.bytes[..], value.version), (&b"v"[..], version));
    let group = world.group_of(b"k");
    assert_eq!((read.proof.group, read.proof.generation), (group, 1));
    assert_eq!(read.proof.replica, group * 100 + 1 + group % 3, "the leader's");
    assert_eq!(read.proof.age, Some(Duration::ZERO));
    assert!(read.proof.version >= version && read.proof.applied_index > 1);
    assert!(client.read("absent").await.unwrap().value.is_none());
}

#[tokio::test(start_paused = true)]
async fn every_level_says_on_the_wire_what_it_needs() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    let seen = levels(&world);
    client.get("k").await.unwrap();
    let bounded = Consistency::Bounded(Duration::from_micros(1_500_900));
    client.with_consistency(bounded).get("k").await.unwrap();
    let eventual = client.with_consistency(Consistency::Eventual);
    eventual.get("k").await.unwrap();
    eventual.multi_get(vec!["k".into()]).await.unwrap();
    let seen = seen.lock();
    assert_eq!(seen[0], None, "the default costs no bytes");
    let level = |place: usize| seen[place].as_ref().unwrap();
    assert_eq!(level(1).consistency(), WireLevel::Bounded);
    assert_eq!((level(1).max_age_ms, level(1).slot_epoch), (1_500, 1));
    assert_eq!(
        (level(2).consistency(), level(2).slot_epoch),
        (WireLevel::Eventual, 1)
    );
    assert_eq!(
        (level(3).consistency(), level(3).slot_epoch),
        (WireLevel::Eventual, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_reads_its_own_writes_although_a_replica_lags() {
    let world = World::new(3, 2);
    world.serve_reads_everywhere();
    let client = client(&world).await;
    client.put("k", "old").await.unwrap();
    let group = world.group_of(b"k");
    // Both followers stop here.
    (1..=3)
        .filter(|node| *node != 1 + group % 3)
        .for_each(|node| world.freeze(node, group));
    let before = client.session_token();
    let session = client
        .with_routing(Routing::RoundRobin)
        .with_consistency(Consistency::Session(SessionToken::default()));
    for _ in 0..6 {
        assert_eq!(session.read("k").await.unwrap().value.unwrap().bytes, "old");
    }
    assert_eq!(client.stats().redirects, 0, "they are far enough for that");
    client.put("k", "new").await.unwrap();
    for _ in 0..6 {
        assert_eq!(session.get("k").await.unwrap().unwrap().bytes, "new");
    }
    assert!(
        client.stats().redirects > 0,
        "stale replicas had to pass reads on"
    );
    // What the token of an earlier moment does not ask for may be missing: for somebody else.
    let other = crate::support::client(&world)
        .await
        .with_routing(Routing::RoundRobin);
    let old = other
        .with_consistency(Consistency::Session(before))
        .get("k")
        .await
        .unwrap();
    assert_eq!(old.unwrap().bytes, "old");
    let token = SessionToken::decode(&client.session_token().encode()).unwrap();
    let handed_on = other.with_consistency(Consistency::Session(token));
    for _ in 0..6 {
        assert_eq!(handed_on.get("k").await.unwrap().unwrap().bytes, "new");
    }
}

/// What a replica that is cut off does with a session's read: it waits for what never comes.
fn cut_off(world: &World, node: &'static str) -> std::sync::Arc<parking_lot::Mutex<Vec<u32>>> {
    let held: std::sync::Arc<parking_lot::Mutex<Vec<_>>> = std::sync::Arc::default();
    let noted = std::sync::Arc::clone(&held);
    world.script(move |at, item| {
        let session = match &item.operation {
            Some(Operation::Get(get)) => {
                let options = get.options.as_ref();
                options.is_some_and(|options| options.consistency() == WireLevel::Session)
            }
            _ => false,
        };
        if !session || at != node {
            return Action::Serve;
        }
        noted.lock().push(item.deadline_ms);
        Action::Hold(error(Kind::Unavailable))
    });
    held
}

#[tokio::test(start_paused = true)]
async fn a_session_waits_a_tenth_of_a_second_for_a_replica_that_is_cut_off_and_then_asks_another() {
    let world = World::new(3, 1);
    world.serve_reads_everywhere();
    for (node, zone) in [("n1", "a"), ("n2", "b"), ("n3", "b")] {
        world.set_zone(node, zone);
        world.set_delay(node, Duration::from_millis(1));
    }
    let options = Options {
        zone: "a".to_owned(),
        routing: Routing::Nearest,
        consistency: Consistency::Session(SessionToken::default()),
        ..Options::default()
    };
    let (client, env) = (client_with(&world, options).await, env(&world));
    client.put("k", "v").await.unwrap();
    for _ in 0..5 {
        client.get("k").await.unwrap();
    }
    let held = cut_off(&world, "n1");
    let (result, took) = timed(&env, client.get("k")).await;
    assert_eq!(result.unwrap().unwrap().bytes, "v");
    assert!((100..120).contains(&took.as_millis()), "{took:?}");
    // It is known to be slow now, and it is not taken for dead: reads that need not wait may go there.
    let ((), took) = timed(&env, async {
        for _ in 0..20 {
            client.get("k").await.unwrap();
        }
    })
    .await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!((held.lock().len(), client.stats().ejections), (1, 0));
    // With less time than that, the call has what it has.
    let hurried = client
        .with_deadline(Duration::from_millis(30))
        .with_routing(Routing::RoundRobin);
    for _ in 0..3 {
        let _ = hurried.get("k").await;
    }
    assert_eq!(*held.lock(), [100, 30]);
    // The leader is asked without a bound of that kind: there is nobody else.
    held.lock().clear();
    world.elect(1, 1, true);
    client.put("k", "w").await.unwrap();
    let short = client
        .with_deadline(Duration::from_secs(2))
        .with_routing(Routing::Leader);
    assert!(short.get("k").await.is_err());
    assert_eq!(*held.lock(), [2_000]);
}

#[tokio::test(start_paused = true)]
async fn while_every_replica_is_behind_a_session_gives_each_more_time() {
    let world = World::new(1, 1);
    let client = client(&world).await;
    client.put("k", "v").await.unwrap();
    let held = cut_off(&world, "n1");
    let session = client
        .with_consistency(Consistency::Session(SessionToken::default()))
        .with_routing(Routing::Nearest);
    let error = session.get("k").await.unwrap_err();
    assert_eq!(error.kind(), atoll_client::ErrorKind::Deadline);
    let held = held.lock();
    assert_eq!(held[..4], [100, 200, 400, 800]);
    assert!(held.len() < 12, "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_has_one_mark_for_each_group_used_and_keeps_what_was_seen_over_map_changes() {
    let world = World::new(3, 4);
    let client = client(&world).await;
    assert_eq!(client.session_token(), client.session_token());
    let empty = client.session_token().encode().len();
    for group in 1..=4 {
        let key = keys_of(&world, group, 1).remove(0);
        client.put(key, "v").await.unwrap();
    }
    let token = client.session_token();
    assert!(token.encode().len() > empty + 4 * 4);
    // A move makes a new map; the marks stay.
    world.move_run(0, 3, 4);
    let moved: Vec<String> = (0..100_000)
        .map(|n| format!("k{n}"))
        .filter(|key| atoll_placement::slot_of(key.as_bytes()).0 <= 3)
        .take(1)
        .collect();
    client.get(moved[0].clone()).await.unwrap();
    let mut later = client.session_token();
    assert_ne!(later, token);
    let merged = {
        later.merge(&token);
        later
    };
    assert_eq!(merged, client.session_token(), "nothing was forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_token_from_a_newer_map_makes_the_reader_get_that_map_first() {
    let world = World::new(3, 2);
    world.serve_reads_everywhere();
    let (writer, reader) = (client(&world).await, client(&world).await);
    let key = keys_of(&world, 1, 1).remove(0);
    writer.put(key.clone(), "1").await.unwrap();
    // Group 1's replicas stay where they are: they believe to own the slot for ever.
    (1..=3).for_each(|node| world.freeze(node, 1));
    world.move_slots(1, 2);
    writer.put(key.clone(), "2").await.unwrap();
    let fetched = reader.stats().map_fetches;
    let reader = reader.with_consistency(Consistency::Session(writer.session_token()));
    assert_eq!(reader.get(key.clone()).await.unwrap().unwrap().bytes, "2");
    assert_eq!(reader.stats().map_fetches, fetched + 1);
    // A map that nobody has ends at the deadline, without a storm.
    let mut bytes = SessionToken::default().encode();
    bytes.extend([8, 99]);
    let impossible = SessionToken::decode(&bytes).unwrap();
    let reader = reader.with_consistency(Consistency::Session(impossible));
    let (result, took) = timed(&env(&world), reader.get(key.clone())).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), atoll_client::ErrorKind::Deadline);
    assert!(error.message().contains("token"), "{error}");
    assert!(
        took >= Duration::from_secs(15) && reader.stats().map_fetches < 60,
        "{took:?}"
    );
    for result in [
        reader.multi_get(vec![key.into()]).await.map(drop),
        reader.scan(ScanOptions::default()).collect().await.map(drop),
        reader.count(ScanOptions::default()).await.map(drop),
    ] {
        assert_eq!(result.unwrap_err().kind(), atoll_client::ErrorKind::Deadline);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_of_different_slot_ages_are_read_with_the_epoch_of_each() {
    let world = World::new(3, 2);
    world.serve_reads_everywhere();
    // Group 2 has its own slots since epoch 1 and the first thousand since 2.
    world.move_run(0, 999, 2);
    let client = client(&world).await.with_consistency(Consistency::Eventual);
    let keys: Vec<_> = (0..200).map(|n| bytes::Bytes::from(format!("k{n}"))).collect();
    for key in &keys {
        client.put(key.clone(), key.clone()).await.unwrap();
    }
    let seen = levels(&world);
    let values = client.multi_get(keys.clone()).await.unwrap();
    assert!(
        values
            .iter()
            .zip(&keys)
            .all(|(value, key)| value.as_ref().unwrap().bytes == *key)
    );
    let mut epochs: Vec<u64> = seen
        .lock()
        .iter()
        .map(|options| options.as_ref().unwrap().slot_epoch)
        .collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 1, 2]);
    let rows = client.scan(ScanOptions::default()).collect().await.unwrap();
    assert_eq!(rows.len(), 200);
    assert_eq!(client.count(ScanOptions::default()).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn options_of_the_client_are_the_default_and_calls_may_differ() {
    let world = World::new(3, 1);
    world.serve_reads_everywhere();
    let options = Options {
        consistency: Consistency::Eventual,
        routing: Routing::RoundRobin,
        ..Options::default()
    };
    let client = client_with(&world, options).await;
    let seen = levels(&world);
    client.get("k").await.unwrap();
    client
        .with_consistency(Consistency::Linearizable)
        .get("k")
        .await
        .unwrap();
    let seen = seen.lock();
    assert!(seen[0].is_some() && seen[1].is_none());
}
