//! Replicas whose stored bytes fail their checksum.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Bytes, Client, ErrorKind, Routing, ScanOptions};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;
use parking_lot::Mutex;

use crate::support::{Action, World, client, env, error, timed};

const ROUTINGS: [Routing; 4] = [
    Routing::Leader,
    Routing::Nearest,
    Routing::RoundRobin,
    Routing::Fastest,
];

/// Reads received, by node.
type Asked = Arc<Mutex<BTreeMap<String, u64>>>;

/// Every read of these nodes meets damaged bytes from here on.
fn damage(world: &World, nodes: &'static [&'static str]) -> Asked {
    let asked = Asked::default();
    let counted = Arc::clone(&asked);
    world.script(move |node, item| {
        let read = matches!(
            item.operation,
            Some(Operation::Get(_) | Operation::MultiGet(_) | Operation::Scan(_))
        );
        *counted.lock().entry(node.to_owned()).or_default() += u64::from(read);
        if read && nodes.contains(&node) {
            Action::Refuse(error(Kind::Corrupt))
        } else {
            Action::Serve
        }
    });
    asked
}

/// Twenty keys in each of these groups' slots, more or less.
async fn filled(groups: u64) -> (Arc<World>, Client, Vec<Bytes>) {
    let world = World::new(3, groups);
    world.serve_reads_everywhere();
    let client = client(&world).await;
    let keys: Vec<_> = (0..groups * 20)
        .map(|n| Bytes::from(format!("k{n:03}")))
        .collect();
    for key in &keys {
        client.put(key.clone(), key.clone()).await.unwrap();
    }
    world.set_page_rows(7);
    (world, client, keys)
}

async fn everything_is_read(client: &Client, keys: &[Bytes]) {
    for key in keys.iter().step_by(7) {
        assert_eq!(client.get(key.clone()).await.unwrap().unwrap().bytes, key);
    }
    for (value, key) in client.multi_get(keys.to_vec()).await.unwrap().iter().zip(keys) {
        assert_eq!(value.as_ref().unwrap().bytes, key);
    }
    let options = ScanOptions {
        page_rows: 12,
        ..ScanOptions::default()
    };
    let rows = client.scan(options.clone()).collect().await.unwrap();
    assert!(rows.iter().map(|row| &row.key).eq(keys));
    assert_eq!(client.count(options).await.unwrap(), keys.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_meets_damage_goes_on_at_another_replica_without_a_pause() {
    for damaged in [
        &["n1"][..],
        &["n2"],
        &["n3"],
        &["n1", "n2"],
        &["n2", "n3"],
        &["n1", "n3"],
    ] {
        let (world, client, keys) = filled(3).await;
        damage(&world, damaged);
        for routing in ROUTINGS {
            let client = client.with_routing(routing);
            let ((), took) = timed(&env(&world), everything_is_read(&client, &keys)).await;
            assert_eq!(took, Duration::ZERO, "{routing:?}, damaged: {damaged:?}");
        }
        let stats = client.stats();
        assert!(stats.corrupt > 0 && stats.retries == 0, "{stats:?}");
        assert_eq!(stats.ejections, 0, "damage to one key says little about a node");
    }
}

#[tokio::test(start_paused = true)]
async fn only_if_every_replica_is_damaged_the_read_fails_and_each_was_asked_once() {
    let (world, client, keys) = filled(1).await;
    for routing in ROUTINGS {
        let client = client.with_routing(routing);
        let before = client.stats().corrupt;
        let asked = damage(&world, &["n1", "n2", "n3"]);
        let (result, took) = timed(&env(&world), client.get("k001")).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), took),
            (ErrorKind::Corrupt, Duration::ZERO),
            "{error}"
        );
        assert!(error.message().contains("all 3 replicas"), "{error}");
        assert!(asked.lock().values().eq(&[1; 3]), "{asked:?}");
        assert_eq!(client.stats().corrupt, before + 3);
        let kinds = [
            client.multi_get(keys.clone()).await.map(drop),
            client.scan(ScanOptions::default()).collect().await.map(drop),
            client.count(ScanOptions::default()).await.map(drop),
        ]
        .map(|result| result.unwrap_err().kind());
        assert_eq!(kinds, [ErrorKind::Corrupt; 3]);
        assert!(asked.lock().values().eq(&[4; 3]), "{asked:?}");
        // The next read asks anew.
        world.script(|_, _| Action::Serve);
        everything_is_read(&client, &keys).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_answer_may_have_sound_bytes_and_is_waited_for() {
    let (world, client, keys) = filled(1).await;
    for routing in ROUTINGS {
        let client = client.with_routing(routing);
        for node in ["n1", "n3"] {
            world.set_up(node, false);
        }
        let asked = damage(&world, &["n2"]);
        let (result, took) = timed(&env(&world), client.get("k001")).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
        assert!(error.message().contains("n2"), "it says what is known: {error}");
        assert!(took >= Duration::from_secs(15), "{took:?}");
        assert_eq!(asked.lock()["n2"], 1, "{asked:?}");
        let back = async {
            env(&world).clock.sleep(Duration::from_secs(3)).await;
            world.set_up("n3", true);
        };
        let (result, ()) = tokio::join!(client.get("k001"), back);
        assert_eq!(result.unwrap().unwrap().bytes, keys[1]);
        world.set_up("n1", true);
        // Calls between whose links broke: health and dialling pauses are another matter.
        env(&world).clock.sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn damage_in_one_group_does_not_keep_a_read_from_the_slots_next_group() {
    let world = World::new(3, 2);
    world.serve_reads_everywhere();
    let client = client(&world).await;
    let key = crate::support::keys_of(&world, 1, 1).remove(0);
    client.put(key.clone(), "v").await.unwrap();
    // In group 1 two replicas are damaged and the third has heard of the move first.
    world.script(|node, item| match (item.group, node) {
        (1, "n1" | "n2") => Action::Refuse(error(Kind::Corrupt)),
        (1, _) => Action::Refuse(error(Kind::NotOwner)),
        _ => Action::Serve,
    });
    world.move_slots(1, 2);
    assert_eq!(client.get(key).await.unwrap().unwrap().bytes, "v");
}
