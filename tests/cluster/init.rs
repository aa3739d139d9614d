//! A cluster is made exactly once.

use std::time::Duration;

use crate::support::{BINARY, Cluster, PATIENCE, atoll, text};

fn init(endpoint: &str, nodes: &[String]) -> std::process::Output {
    atoll(&[
        "init",
        "--output",
        "json",
        "--endpoints",
        endpoint,
        "--nodes",
        &nodes.join(","),
    ])
}

fn cluster_id(output: &std::process::Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    let reply: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    reply["cluster_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_inits_at_once_make_one_cluster() {
    let cluster = Cluster::fresh(3);
    cluster.wait_answering().await;
    let calls: Vec<_> = (0..2)
        .map(|node| {
            let (endpoint, nodes) = (cluster.addresses[node].clone(), cluster.addresses.clone());
            std::thread::spawn(move || init(&endpoint, &nodes))
        })
        .collect();
    let ids: Vec<String> = calls
        .into_iter()
        .map(|call| cluster_id(&call.join().unwrap()))
        .collect();
    assert_eq!(ids[0], ids[1]);
    // Again, later, from the third: the same cluster.
    assert_eq!(
        cluster_id(&init(&cluster.addresses[2], &cluster.addresses)),
        ids[0]
    );
    cluster.wait_serving().await;
}

#[tokio::test]
async fn an_overlapping_set_is_refused_and_names_the_way_out() {
    let cluster = Cluster::fresh(3);
    cluster.wait_answering().await;
    cluster_id(&init(&cluster.addresses[0], &cluster.addresses[..2]));
    let refused = init(&cluster.addresses[2], &cluster.addresses[1..]);
    assert!(!refused.status.success());
    let message = text(&refused.stderr);
    assert!(
        message.contains("atoll init"),
        "the error names no command: {message}"
    );
}

#[tokio::test]
async fn a_cluster_comes_to_life_without_its_first_node() {
    let mut cluster = Cluster::fresh(3);
    cluster.wait_answering().await;
    let nodes = cluster.addresses.join(",");
    let arguments = ["init", "--endpoints", &cluster.addresses[0], "--nodes", &nodes];
    let mut asking = std::process::Command::new(BINARY)
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Node 1, which would write the first entry of group 0 and of a third of the data groups, dies as
    // soon as all know that they are a cluster, and does not come back.
    let first = all_admitted(&cluster).await;
    cluster.kill(first);
    asking.wait().unwrap();
    cluster.wait_serving().await;
    let client = cluster.client(Duration::from_secs(30)).await;
    for number in 0..32 {
        client.put(format!("key {number}"), "value").await.unwrap();
    }
}

/// The position of the process that is node 1, once all have their number.
async fn all_admitted(cluster: &Cluster) -> usize {
    let started = std::time::Instant::now();
    loop {
        let mut numbers = Vec::new();
        for node in 0..cluster.nodes.len() {
            numbers.push(cluster.status(node).await.map_or(0, |status| status.node));
        }
        if !numbers.contains(&0) {
            return numbers.iter().position(|number| *number == 1).unwrap();
        }
        assert!(started.elapsed() < PATIENCE, "{numbers:?}");
    }
}
