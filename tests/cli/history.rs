//! Reads of what was, at nodes that keep history.

use std::time::Duration;

use atoll_client::{Client, ErrorKind, ScanOptions};
use atoll_types::Version;

use crate::script;
use crate::support::{Cluster, eventually};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cli/history.txt");
/// Rows of the scan that goes over many pages of each group.
const ROWS: u32 = 60;

async fn keeping() -> Cluster {
    let mut cluster = Cluster::stopped(3);
    for node in 0..3 {
        cluster.start_with(node, &[("ATOLL_HISTORY_S", "600")]);
    }
    cluster.init(3).await;
    cluster
}

/// A version at which all groups can be read.
async fn kept(client: &Client) -> Version {
    let kept = std::cell::Cell::new(Version::ZERO);
    eventually("all groups keep history", async || {
        kept.set(client.put("mark", "x").await.unwrap());
        client.put("mark", "y").await.unwrap();
        let then = client.at_version(kept.get());
        match then.count(ScanOptions::default()).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
                false
            }
        }
    })
    .await;
    kept.get()
}

/// While everything is written over and removed between its pages, a scan at a version sees none of it.
async fn one_version_over_many_pages(client: &Client) {
    let key = |number: u32| format!("page:{number:03}");
    let mut then = Version::ZERO;
    for number in 0..ROWS {
        then = then.max(client.put(key(number), "old").await.unwrap());
    }
    let options = ScanOptions {
        page_rows: 2,
        ..ScanOptions::prefix("page:")
    };
    let mut scan = client.at_version(then).scan(options);
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(page) = scan.next_page().await.unwrap() {
        pages += 1;
        for row in page {
            assert_eq!(&row.value[..], b"old");
            assert!(row.version <= then);
            seen.push(row.key);
        }
        // Rows far ahead of what is read ahead.
        let ahead = (pages * 7) % ROWS;
        client.put(key(ahead), "new").await.unwrap();
        client.delete(key((ahead + 1) % ROWS)).await.unwrap();
        client.put(format!("page:{ahead:03}:new"), "new").await.unwrap();
    }
    assert!(pages > 10, "{pages}");
    let all: Vec<_> = (0..ROWS).map(key).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn what_was_can_be_read() {
    let cluster = keeping().await;
    let client = cluster.client(Duration::from_secs(30)).await;
    kept(&client).await;
    let mut then = Version::ZERO;
    for (key, value) in [("stock:1", "one"), ("stock:2", "two"), ("stock:3", "three")] {
        then = then.max(client.put(key, value).await.unwrap());
    }
    let then = then.0.to_string();
    let stored = std::fs::read_to_string(SCRIPT).unwrap();
    let current = script::run(&stored.replace("THEN", &then), &cluster.addresses);
    let current = current.replace(&then, "THEN");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(SCRIPT, &current).unwrap();
    } else {
        let difference = script::difference("history.txt", &stored, &current);
        assert!(stored == current, "{difference}\nUPDATE=1 rewrites the script");
    }
    one_version_over_many_pages(&client).await;
}
