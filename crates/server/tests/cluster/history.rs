//! Reads at a version at every node, over groups, and over a restart.

use std::time::Duration;

use atoll_env::net::CallError;
use atoll_proto::{method, v1};
use atoll_server::HistoryLimits;
use bytes::Bytes;

use crate::world::{World, serving};

const HOUR: HistoryLimits = HistoryLimits {
    window_ms: 3_600_000,
    bytes: 1 << 30,
};

async fn get_at(world: &World, node: u64, key: &str, version: u64) -> Result<v1::GetReply, CallError> {
    let options = v1::ReadOptions {
        at_version: version,
        ..v1::ReadOptions::default()
    };
    let request = v1::GetRequest {
        key: Bytes::from(key.to_owned()),
        options: Some(options),
    };
    world.call(node, method::GET, request).await
}

/// Every group keeps history once its leader has said so.
async fn until_kept(world: &World, key: &str) {
    for _ in 0..100 {
        let before = world.put(1, key, "before").await.unwrap().version;
        world.put(1, key, "after").await.unwrap();
        if get_at(world, 1, key, before).await.is_ok() {
            return;
        }
        world.clock.sleep(Duration::from_millis(500)).await;
    }
    panic!("no history of {key} is kept");
}

#[tokio::test(start_paused = true)]
async fn one_version_is_the_same_at_every_node_and_cuts_all_groups() {
    let mut world = World::new(41);
    world.history = Some(HOUR);
    let processes = world.start_all(3).await;
    world.init(1, 3).await;
    serving(&processes).await;
    world.leads(&[1, 2, 3]).await;
    let keys: Vec<String> = (0..12).map(|number| format!("key {number}")).collect();
    for key in &keys {
        world.put_until_done(1, key, "zero").await;
        until_kept(&world, key).await;
    }
    let mut one = 0;
    for key in &keys {
        one = one.max(world.put(2, key, "one").await.unwrap().version);
    }
    // Before anything else is written: some groups are behind that version, and their leaders make them skip to it.
    for key in &keys {
        let mut values = Vec::new();
        for node in 1..=3 {
            let reply = get_at(&world, node, key, one).await;
            values.extend(reply.ok().map(|reply| reply.value));
        }
        let right = values.iter().all(|value| value == "one");
        assert!(right && !values.is_empty(), "{key}: {values:?}");
    }
    for key in &keys {
        world.put(3, key, "two").await.unwrap();
    }
    for node in 1..=3 {
        for key in &keys {
            let reply = get_at(&world, node, key, one).await.unwrap();
            assert_eq!(&reply.value[..], b"one", "{key} at node {node}");
            assert!(reply.version <= one);
        }
    }
    let refused = get_at(&world, 1, &keys[0], 1).await.unwrap_err();
    let CallError::Status(status) = &refused else {
        panic!("{refused:?}")
    };
    assert!(
        status.message.contains("the oldest that can be read is"),
        "{status:?}"
    );
}
