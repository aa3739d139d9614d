//! A disk quota that is used up, and given back.

use std::time::Duration;

use atoll_client::{Client, ErrorKind};

use crate::support::Cluster;

async fn check(client: &Client, stored: usize) {
    for number in 0..stored {
        let found = client.get(format!("key{number}")).await.unwrap();
        assert!(
            found.is_some_and(|found| found.bytes.len() == 50_000),
            "key{number} is lost"
        );
    }
}

#[tokio::test]
async fn a_used_up_quota_refuses_writes_until_the_node_is_started_with_more() {
    let mut cluster = Cluster::serving(1).await;
    cluster.kill(0);
    // Packed, these values would never fill it.
    let settings = [("ATOLL_DISK_QUOTA_MIB", "20"), ("ATOLL_COMPRESSION", "off")];
    cluster.start_with(0, &settings);
    cluster.wait_answering().await;
    cluster.wait_serving().await;
    let client = cluster.client(Duration::from_secs(10)).await;
    let mut stored = 0;
    let refused = loop {
        match client.put(format!("key{stored}"), vec![7; 50_000]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1000, "the quota is never used up");
    };
    // The client waits for room as long as it may.
    assert_eq!(refused.kind(), ErrorKind::Deadline, "{refused}");
    assert!(refused.kind().nothing_happened(), "{refused}");
    assert!(
        refused.message().contains("disk quota of this node is used up"),
        "{refused}"
    );
    check(&client, stored).await;

    cluster.kill(0);
    cluster.start(0);
    cluster.wait_answering().await;
    cluster.wait_serving().await;
    let client = cluster.client(Duration::from_secs(20)).await;
    check(&client, stored).await;
    client.put("after", "room").await.unwrap();
}
