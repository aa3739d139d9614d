//! A cluster is made exactly once.

use crate::support::{Cluster, atoll, text};

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
