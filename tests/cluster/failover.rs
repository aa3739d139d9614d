//! Killed leaders, killed clusters: every acknowledged write is there afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use atoll_client::Client;

use crate::support::{Cluster, eventually};

fn key(writer: usize, number: usize) -> String {
    format!("key-{writer}-{number}")
}

fn value(writer: usize, number: usize) -> String {
    format!("value-{writer}-{number}-{}", "x".repeat(number % 300))
}

/// Writes until told to stop; every write must be acknowledged in the end. Returns how many were.
async fn write_until(client: Client, writer: usize, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> usize {
    let mut number = 0;
    while !stop.load(Ordering::Acquire) {
        client
            .put(key(writer, number), value(writer, number))
            .await
            .unwrap();
        number += 1;
        done.fetch_add(1, Ordering::AcqRel);
    }
    number
}

async fn check(client: &Client, counts: &[usize]) {
    for (writer, count) in counts.iter().enumerate() {
        for number in 0..*count {
            let found = client.get(key(writer, number)).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{} is lost", key(writer, number)));
            assert_eq!(found.bytes, value(writer, number).as_bytes());
        }
    }
}

#[tokio::test]
async fn writes_survive_a_killed_leader_and_then_a_killed_cluster() {
    let mut cluster = Cluster::serving(3).await;
    let client = cluster.client(Duration::from_secs(60)).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..16)
        .map(|writer| tokio::spawn(write_until(client.clone(), writer, stop.clone(), done.clone())))
        .collect();
    let reached = async |count: usize| {
        eventually("writes are acknowledged", async || {
            done.load(Ordering::Acquire) >= count
        })
        .await;
    };
    reached(500).await;
    let victim = cluster.busiest().await;
    cluster.kill(victim);
    // Writes go on although a leader died in the middle of them.
    reached(done.load(Ordering::Acquire) + 1000).await;
    stop.store(true, Ordering::Release);
    let mut counts = Vec::new();
    for writer in writers {
        counts.push(writer.await.unwrap());
    }
    check(&client, &counts).await;
    client.close().await;

    cluster.start(victim);
    for node in 0..3 {
        cluster.kill(node);
    }
    for node in 0..3 {
        cluster.start(node);
    }
    cluster.wait_serving().await;
    let client = cluster.client(Duration::from_secs(60)).await;
    check(&client, &counts).await;
}

#[tokio::test]
async fn a_single_node_cluster_keeps_its_data_through_a_kill() {
    let mut cluster = Cluster::serving(1).await;
    let client = cluster.client(Duration::from_secs(60)).await;
    for number in 0..100 {
        client.put(key(0, number), value(0, number)).await.unwrap();
    }
    client.delete(key(0, 7)).await.unwrap();
    client.close().await;
    cluster.kill(0);
    cluster.start(0);
    cluster.wait_serving().await;
    let client = cluster.client(Duration::from_secs(60)).await;
    assert!(client.get(key(0, 7)).await.unwrap().is_none());
    client.put(key(0, 7), value(0, 7)).await.unwrap();
    check(&client, &[100]).await;
}
