//! Commands whose output depends on who leads: what must be in it, and what is said when a node is gone.

use serde_json::Value;

use crate::support::{Cluster, atoll, eventually, text};

fn json(arguments: &[&str]) -> Value {
    let output = atoll(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn status_and_shards_agree_and_a_dead_node_is_told_first() {
    let mut cluster = Cluster::serving(3).await;
    let endpoints = cluster.addresses.join(",");
    let status = json(&["status", "--output", "json", "--endpoints", &endpoints]);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 3);
    let shards = json(&["shard", "ls", "--output", "json", "--endpoints", &endpoints]);
    let groups = shards["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 6);
    let slots: u64 = groups.iter().map(|group| group["slots"].as_u64().unwrap()).sum();
    assert_eq!(slots, 16_384);
    // The slot of "foo" as Redis Cluster has it, also by its tag.
    for key in ["foo", "x{foo}y"] {
        let shown = json(&[
            "shard",
            "show",
            key,
            "--output",
            "json",
            "--endpoints",
            &endpoints,
        ]);
        assert_eq!(shown["slot"], 12_182);
        let by_slot = json(&[
            "shard",
            "show",
            "--slot",
            "12182",
            "--output",
            "json",
            "--endpoints",
            &endpoints,
        ]);
        assert_eq!(by_slot["group"], shown["group"]);
        assert_eq!(shown["replicas"].as_array().unwrap().len(), 3);
    }
    let table = text(&atoll(&["shard", "show", "x{foo}y", "--endpoints", &endpoints]).stdout);
    assert!(
        table.contains("hash tag  foo") && table.contains("leader"),
        "{table}"
    );
    let missing = atoll(&["shard", "show", "--group", "99", "--endpoints", &endpoints]);
    assert_eq!(missing.status.code(), Some(1));
    cluster.kill(2);
    eventually("the others lead all groups", async || {
        atoll(&["status", "--endpoints", &endpoints]).status.success()
    })
    .await;
    let told = text(&atoll(&["status", "--endpoints", &endpoints]).stdout);
    let second = told.lines().nth(1).unwrap();
    assert!(
        second.starts_with("problem: node ") && second.contains("does not answer"),
        "{told}"
    );
    assert!(
        told.lines()
            .nth(2)
            .unwrap()
            .starts_with("   next: start it again"),
        "{told}"
    );
}
