//! Clusters of three and five processes with few and many groups: every node is an entry to all of it, one
//! node less changes nothing, and old maps are only a detour.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_client::{Client, Options, Row, ScanOptions, admin};
use atoll_types::{GroupId, NodeId};

use crate::support::{Cluster, atoll, eventually, text};

const KEYS: usize = 128;

fn key(number: usize) -> String {
    format!("key {number:04}")
}

/// A client that knows one node only.
async fn at(cluster: &Cluster, node: usize) -> Client {
    let seeds = [cluster.addresses[node].clone()];
    let options = Options {
        deadline: Duration::from_secs(60),
        ..Options::default()
    };
    Client::connect(&cluster.env, &seeds, options).await.unwrap()
}

async fn write_round(client: &Client, round: usize) {
    let rows = (0..KEYS).map(|number| (key(number).into(), format!("{round} of {number}").into()));
    for written in client.multi_put(rows.collect()).await {
        written.unwrap();
    }
}

/// Everything is there: by key, at once and in both orders.
async fn check_round(client: &Client, round: usize) {
    let value = |number: usize| format!("{round} of {number}");
    let one = client.get(key(round)).await.unwrap().expect("it was written");
    assert_eq!(one.bytes, value(round));
    let keys = (0..KEYS).map(|number| key(number).into()).collect();
    let many = client.multi_get(keys).await.unwrap();
    for (number, found) in many.into_iter().enumerate() {
        assert_eq!(found.expect("it was written").bytes, value(number));
    }
    let as_pairs = |rows: Vec<Row>| -> Vec<_> { rows.into_iter().map(|row| (row.key, row.value)).collect() };
    let mut expected: Vec<_> = (0..KEYS)
        .map(|number| (key(number).into(), value(number).into()))
        .collect();
    let scan = |reverse| {
        client.scan(ScanOptions {
            reverse,
            page_rows: 7,
            ..ScanOptions::prefix("key ")
        })
    };
    assert_eq!(as_pairs(scan(false).collect().await.unwrap()), expected);
    expected.reverse();
    assert_eq!(as_pairs(scan(true).collect().await.unwrap()), expected);
}

async fn groups_of_keys(client: &Client) -> BTreeSet<u64> {
    let mut groups = BTreeSet::new();
    for number in 0..KEYS {
        groups.insert(client.read(key(number)).await.unwrap().proof.group);
    }
    groups
}

async fn lives_through_a_killed_node(nodes: usize, groups: usize) {
    let mut cluster = Cluster::with_groups(nodes, groups).await;
    for node in 0..nodes {
        let client = at(&cluster, node).await;
        write_round(&client, node).await;
        check_round(&client, node).await;
        client.close().await;
    }
    let reader = at(&cluster, 0).await;
    let used = groups_of_keys(&reader).await;
    assert!(
        used.len() == groups || used.len() > 20,
        "{KEYS} keys are in {} of {groups} groups",
        used.len()
    );
    reader.close().await;

    let victim = cluster.busiest().await;
    cluster.kill(victim);
    let client = at(&cluster, (victim + 1) % nodes).await;
    write_round(&client, nodes).await;
    check_round(&client, nodes).await;
    cluster.start(victim);
    cluster.wait_serving().await;
    // The node that was away is an entry again, and knows what it missed.
    let returned = at(&cluster, victim).await;
    check_round(&returned, nodes).await;
    write_round(&returned, nodes + 1).await;
    check_round(&client, nodes + 1).await;
}

#[tokio::test]
async fn three_nodes_one_group() {
    lives_through_a_killed_node(3, 1).await;
}

#[tokio::test]
async fn three_nodes_eight_groups() {
    lives_through_a_killed_node(3, 8).await;
}

#[tokio::test]
async fn three_nodes_thirty_two_groups() {
    lives_through_a_killed_node(3, 32).await;
}

#[tokio::test]
async fn five_nodes_one_group() {
    lives_through_a_killed_node(5, 1).await;
}

#[tokio::test]
async fn five_nodes_eight_groups() {
    lives_through_a_killed_node(5, 8).await;
}

#[tokio::test]
async fn five_nodes_thirty_two_groups() {
    lives_through_a_killed_node(5, 32).await;
}

#[tokio::test]
async fn a_client_with_an_old_map_finds_leaders_that_moved() {
    let cluster = Cluster::with_groups(3, 8).await;
    let client = at(&cluster, 0).await;
    write_round(&client, 0).await;
    check_round(&client, 0).await;
    // Behind the client's back every leadership goes to another node.
    let leaders = async || -> Vec<(u64, u64)> {
        let status = cluster.status(0).await.unwrap();
        let data = status.groups.iter().filter(|group| group.group != 0);
        data.map(|group| (group.group, group.leader_node)).collect()
    };
    for (group, leader) in leaders().await {
        let to = 1 + leader % 3;
        let output = atoll(&[
            "transfer-leader",
            "--endpoints",
            &cluster.addresses.join(","),
            "--group",
            &group.to_string(),
            "--to",
            &to.to_string(),
        ]);
        // Balancing may have moved it meanwhile; what counts is that the client's belief is old.
        assert!(
            output.status.success() || text(&output.stderr).contains("lead"),
            "{}",
            text(&output.stderr)
        );
        write_round(&client, group as usize).await;
        check_round(&client, group as usize).await;
    }
    assert!(
        client.stats().redirects > 0,
        "nothing of the client's map was old: {:?}",
        client.stats()
    );
    let nobody = admin::transfer_leader(&cluster.env, &cluster.addresses[0], GroupId(99), NodeId(1)).await;
    assert!(nobody.is_err());
}

#[tokio::test]
async fn a_cluster_whose_addresses_all_changed_serves_clients_with_the_old_ones() {
    let mut cluster = Cluster::with_groups(3, 8).await;
    let client = at(&cluster, 0).await;
    write_round(&client, 0).await;
    // One node keeps its address: it is all that the client will find of the old ones.
    for node in 0..3 {
        cluster.kill(node);
    }
    cluster.readdress(1);
    cluster.readdress(2);
    for node in 0..3 {
        cluster.start(node);
    }
    cluster.wait_serving().await;
    check_round(&client, 0).await;
    write_round(&client, 1).await;
    check_round(&client, 1).await;

    // Now the last one moves too, while the client looks on.
    cluster.kill(0);
    cluster.readdress(0);
    cluster.start(0);
    cluster.wait_serving().await;
    write_round(&client, 2).await;
    check_round(&client, 2).await;
    let status = async || cluster.status(1).await.unwrap().nodes;
    eventually("every node is reached at its new address", async || {
        status().await.iter().all(|node| {
            let known = &node.info.as_ref().unwrap().address;
            node.reachable && cluster.addresses.contains(known)
        })
    })
    .await;
}
