//! The client's example programs do what they say, against a cluster of real processes.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_client::{Client, Consistency, ErrorKind, Routing, ScanOptions};

use crate::support::Cluster;

#[path = "../../crates/client/examples/bulk_loader.rs"]
#[expect(dead_code, reason = "its main function is for people")]
mod bulk_loader;
#[path = "../../crates/client/examples/counter.rs"]
#[expect(dead_code, reason = "its main function is for people")]
mod counter;
#[path = "../../crates/client/examples/leader_board.rs"]
#[expect(dead_code, reason = "its main function is for people")]
mod leader_board;
#[path = "../../crates/client/examples/session_store.rs"]
#[expect(dead_code, reason = "its main function is for people")]
mod session_store;

#[tokio::test]
async fn every_example_runs_and_says_what_it_should() {
    let cluster = Cluster::serving(3).await;
    let seeds = cluster.addresses.join(",");
    assert_eq!(
        counter::run(&seeds).await.unwrap(),
        "added 200, swapped 200, of 200"
    );
    let cart = session_store::run(&seeds).await.unwrap();
    assert_eq!(cart, "cart: apple pear plum fig quince");
    let board = leader_board::run(&seeds).await.unwrap();
    let lines: Vec<&str> = board.lines().collect();
    // The best of (round * 7919) mod 1000 over 200 rounds, round mod 10 being the player.
    let mut best: Vec<(i64, i64)> = (0..10)
        .map(|player| {
            (
                (player..200)
                    .step_by(10)
                    .map(|round| (round * 7_919) % 1_000)
                    .max()
                    .unwrap(),
                player,
            )
        })
        .collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    for (line, (score, player)) in lines.iter().zip(&best).take(3) {
        assert_eq!(*line, format!("{score} board:{{chess}}:player-{player}"));
    }
    assert_eq!(lines.last(), Some(&"10 scores removed"));
    assert_eq!(
        bulk_loader::run(&seeds, 12_345).await.unwrap(),
        "12345 rows there, 0 loaded twice"
    );
}

#[tokio::test]
async fn a_client_reads_at_every_level_from_every_replica_and_counts_and_streams() {
    let cluster = Cluster::serving(3).await;
    let client = cluster.client(Duration::from_secs(30)).await;
    let rows = (0..3_000).map(|n| (format!("k{n:05}").into(), format!("{n}").into()));
    assert!(client.multi_put(rows.collect()).await.iter().all(Result::is_ok));
    let levels = [
        Consistency::Linearizable,
        Consistency::Session(client.session_token()),
        Consistency::Bounded(Duration::from_secs(60)),
        Consistency::Eventual,
    ];
    let routings = [
        Routing::Leader,
        Routing::Nearest,
        Routing::RoundRobin,
        Routing::Fastest,
    ];
    for (level, routing) in levels
        .iter()
        .flat_map(|level| routings.map(|routing| (level, routing)))
    {
        let replicas =
            replicas_that_answer(&client.with_consistency(level.clone()).with_routing(routing)).await;
        let expected = if routing == Routing::RoundRobin { 3 } else { 1 };
        assert!(replicas.len() >= expected, "{level:?} {routing:?}: {replicas:?}");
    }
    let session = client
        .with_routing(Routing::RoundRobin)
        .with_consistency(Consistency::Session(client.session_token()));
    for reader in [&client, &session] {
        assert_eq!(reader.count(ScanOptions::prefix("k")).await.unwrap(), 3_000);
        let all = reader.scan(ScanOptions::prefix("k")).collect().await.unwrap();
        assert!(all.len() == 3_000 && all.is_sorted_by(|a, b| a.key < b.key));
    }
    let number = client.increment("k00007", 3).await.unwrap();
    assert_eq!(number, 10);
    client.put("word", "seven").await.unwrap();
    let misfit = client.increment("word", 1).await.unwrap_err();
    assert_eq!(misfit.kind(), ErrorKind::Invalid);
    assert!(misfit.message().contains("\"word\""), "{misfit}");
    client.close().await;
}

/// The replicas that served six reads of a key that holds 7.
async fn replicas_that_answer(reader: &Client) -> BTreeSet<u64> {
    let mut replicas = BTreeSet::new();
    for _ in 0..6 {
        let read = reader.read("k00007").await.unwrap();
        // An eventual read may be of a follower that has not applied it yet.
        assert!(read.value.is_none_or(|value| value.bytes == "7"));
        replicas.insert(read.proof.replica);
    }
    replicas
}
