//! Where nodes are: addresses that all change, zones, and a node that is added later.

use std::process::{Command, Stdio};
use std::time::Duration;

use atoll_client::{Client, Options, admin};
use atoll_env::Env;

use crate::support::{BINARY, Cluster, Process, atoll, eventually, free_addresses, text};

const KEYS: usize = 40;

async fn fill(cluster: &Cluster) {
    let client = cluster.client(Duration::from_secs(30)).await;
    for number in 0..KEYS {
        client
            .put(format!("key {number}"), format!("value {number}"))
            .await
            .unwrap();
    }
}

/// Reads everything through one seed.
async fn read_through(cluster: &Cluster, seed: &str) {
    let options = Options {
        deadline: Duration::from_secs(30),
        ..Options::default()
    };
    let client = Client::connect(&cluster.env, &[seed.to_owned()], options)
        .await
        .unwrap();
    for number in 0..KEYS {
        let value = client.get(format!("key {number}")).await.unwrap().unwrap();
        assert_eq!(value.bytes, format!("value {number}"));
    }
    client.put("written", "since").await.unwrap();
}

async fn mapped(cluster: &Cluster, node: usize) -> Vec<String> {
    let map = admin::map(&cluster.env, &cluster.addresses[node])
        .await
        .ok()
        .flatten();
    let mut addresses: Vec<String> = map
        .into_iter()
        .flat_map(|map| map.nodes)
        .map(|node| node.address)
        .collect();
    addresses.sort();
    addresses
}

#[tokio::test]
async fn a_cluster_whose_addresses_all_changed_comes_up_and_clients_follow() {
    let mut cluster = Cluster::serving(3).await;
    fill(&cluster).await;
    for way in ["all name all", "all name one", "each names the next"] {
        (0..3).for_each(|node| cluster.kill(node));
        cluster.addresses = free_addresses(3);
        for node in 0..3 {
            let join = match way {
                "all name all" => cluster.addresses.clone(),
                "all name one" => vec![cluster.addresses[0].clone()],
                _ => vec![cluster.addresses[(node + 1) % 3].clone()],
            };
            let process = Process::start(&cluster.data_dir(node), &cluster.addresses[node], &join);
            cluster.nodes[node] = Some(process);
        }
        cluster.wait_serving().await;
        for seed in cluster.addresses.clone() {
            read_through(&cluster, &seed).await;
        }
        let mut wanted = cluster.addresses.clone();
        wanted.sort();
        for node in 0..3 {
            eventually(way, async || mapped(&cluster, node).await == wanted).await;
        }
    }
}

/// It hosts no group, so it does not know who leads; it knows the map.
async fn serves_as_four(cluster: &Cluster) -> bool {
    let status = cluster.status(3).await;
    status.is_some_and(|status| status.state == "serving" && status.node == 4)
}

#[tokio::test]
async fn a_node_added_to_a_cluster_is_a_way_in() {
    let mut cluster = Cluster::serving(3).await;
    fill(&cluster).await;
    let address = free_addresses(1).remove(0);
    cluster.addresses.push(address.clone());
    cluster.nodes.push(None);
    let join = [cluster.addresses[1].clone()];
    let dir = cluster.data_dir(3);
    cluster.nodes[3] = Some(Process::start(&dir, &address, &join));
    eventually("it serves", async || serves_as_four(&cluster).await).await;
    read_through(&cluster, &address).await;
    // Plain calls are passed on.
    let got = atoll(&["get", "--endpoints", &address, "--output", "raw", "key 7"]);
    assert_eq!(text(&got.stdout), "value 7");
    let status = cluster.status(3).await.unwrap();
    assert_eq!((status.node, status.nodes.len()), (4, 4));
    assert!(status.groups.iter().all(|group| !group.hosted));
    // An init that names it is refused and says why.
    let refused = atoll(&["init", "--endpoints", &address, "--nodes", &address]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert!(
        text(&refused.stderr).contains("joined cluster"),
        "{}",
        text(&refused.stderr)
    );
    // Killed and started without a hint, it is the same node.
    cluster.kill(3);
    impostor(&cluster, &dir).await;
    cluster.nodes[3] = Some(Process::start(&dir, &address, std::slice::from_ref(&address)));
    eventually("it serves again", async || serves_as_four(&cluster).await).await;
    read_through(&cluster, &address).await;
    let shown = atoll(&["status", "--endpoints", &cluster.addresses[0]]);
    assert!(text(&shown.stdout).contains(&address), "{}", text(&shown.stdout));
}

/// A directory that was never admitted, with the identity and the log of one that was.
async fn impostor(cluster: &Cluster, admitted: &std::path::Path) {
    let (dir, address) = (cluster.data_dir(4), free_addresses(1).remove(0));
    let fresh = Process::start(&dir, &address, &[]);
    eventually("it has a uuid", async || {
        admin::status(&cluster.env, &address).await.is_ok()
    })
    .await;
    fresh.kill();
    std::fs::copy(admitted.join("IDENT"), dir.join("IDENT")).unwrap();
    std::fs::create_dir(dir.join("journal")).unwrap();
    for file in std::fs::read_dir(admitted.join("journal")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), dir.join("journal").join(file.file_name())).unwrap();
    }
    let (dir, join) = (dir.to_str().unwrap(), &cluster.addresses[0]);
    let refused = atoll(&["start", "--data-dir", dir, "--listen", &address, "--join", join]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(
        said.contains("never admitted") && said.contains("node 4"),
        "{said}"
    );
}

/// Nobody listens where these nodes say that they are; each knows where to dial instead.
#[tokio::test]
async fn nodes_dial_where_their_dial_map_says() {
    let dir = tempfile::tempdir().unwrap();
    let (listened, advertised) = (free_addresses(3), free_addresses(3));
    let pairs: Vec<_> = advertised
        .iter()
        .zip(&listened)
        .map(|(to, by)| format!("{to}={by}"))
        .collect();
    let start = |node: usize| {
        let child = Command::new(BINARY)
            .arg("start")
            .arg("--data-dir")
            .arg(dir.path().join(node.to_string()))
            .args(["--listen", &listened[node], "--advertise", &advertised[node]])
            .args([
                "--dial-map",
                &pairs.join(","),
                "--segment-mib",
                "8",
                "--threads",
                "1",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Process { child }
    };
    let _nodes: Vec<_> = (0..3).map(start).collect();
    let env = Env::real();
    let status = async |node: usize| admin::status(&env, &listened[node]).await.ok();
    for node in 0..3 {
        eventually("the node answers", async || status(node).await.is_some()).await;
    }
    let nodes = advertised.join(",");
    let output = atoll(&["init", "--endpoints", &listened[0], "--nodes", &nodes]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for node in 0..3 {
        eventually("the node has met the others", async || {
            status(node).await.is_some_and(|status| status.state == "serving")
        })
        .await;
    }
}
