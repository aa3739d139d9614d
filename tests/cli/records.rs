//! Files of records, from one cluster to another and back.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{BINARY, Cluster, text};

fn atoll(dir: &Path, endpoints: &[String], arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .current_dir(dir)
        .env("ATOLL_ENDPOINTS", endpoints.join(","))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a pass and gives what it reports under `name`.
fn pass(cluster: &Cluster, arguments: &[&str], name: &str) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--output", "json"]);
    let done = atoll(cluster.dir.path(), &cluster.addresses, &all);
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    report[name].clone()
}

fn sum(report: &Value) -> (String, String) {
    let field = |name: &str| report[name].as_str().unwrap().to_owned();
    (field("records"), field("checksum"))
}

#[tokio::test]
async fn what_one_cluster_exports_another_imports_and_exports_the_same() {
    let (first, second) = (Cluster::serving(1).await, Cluster::serving(1).await);
    let made_up = pass(
        &first,
        &["import", "--synthetic", "2000", "--value-size", "100"],
        "imported",
    );
    let odd = first.client(std::time::Duration::from_secs(30)).await;
    for (key, value) in [
        (&b"\xff\x00key"[..], &b"\xfe\n,\""[..]),
        (b"a,\"b\"\nc", b""),
        (b"text", "grün\t1".as_bytes()),
    ] {
        odd.put(key.to_vec(), value.to_vec()).await.unwrap();
    }
    assert_eq!(made_up["records"], "2000");
    for name in [
        "all.jsonl",
        "all.csv",
        "all.tsv.gz",
        "all.csv.zst",
        "all.jsonl.gz",
    ] {
        let exported = pass(&first, &["export", name], "exported");
        assert_eq!(exported["records"], "2003");
        let file = first.dir.path().join(name);
        let file = file.to_str().unwrap();
        let imported = pass(&second, &["import", file, "--verify"], "imported");
        assert_eq!(sum(&imported), sum(&exported), "{name}");
        let again = pass(&second, &["export", name], "exported");
        assert_eq!(sum(&again), sum(&exported), "{name}");
        let wipe = second.client(std::time::Duration::from_secs(30)).await;
        let keys = wipe
            .scan(atoll_client::ScanOptions::default())
            .collect()
            .await
            .unwrap();
        for row in keys.iter().step_by(40) {
            wipe.delete(row.key.clone()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_interrupted_pass_goes_on_where_it_stopped() {
    let cluster = Cluster::serving(1).await;
    let dir = cluster.dir.path();
    let line = |number: u32| format!("{{\"key\":\"k{number:05}\",\"value\":\"v{number}\"}}\n");
    let good: String = (0..500).map(line).collect();
    // The pass stops at a malformed line, as it would at an election that lasts.
    std::fs::write(
        dir.join("in.jsonl"),
        format!("{good}{}", "x".repeat(line(500).len() - 1) + "\n"),
    )
    .unwrap();
    let import = ["import", "in.jsonl", "--resume", "checkpoint", "--in-flight", "1"];
    let stopped = atoll(dir, &cluster.addresses, &import);
    assert_eq!(stopped.status.code(), Some(2));
    assert!(
        text(&stopped.stderr).contains("line 501 is malformed"),
        "{}",
        text(&stopped.stderr)
    );
    std::fs::write(dir.join("in.jsonl"), format!("{good}{}", line(500))).unwrap();
    let whole = pass(&cluster, &import, "imported");
    assert_eq!(whole["records"], "501");
    let exported = pass(
        &cluster,
        &["export", "out.csv.gz", "--resume", "out.checkpoint"],
        "exported",
    );
    assert_eq!(sum(&exported), sum(&whole));
    // It is complete: nothing is done again, and the figures stay.
    let again = pass(
        &cluster,
        &["export", "out.csv.gz", "--resume", "out.checkpoint"],
        "exported",
    );
    assert_eq!(sum(&again), sum(&exported));
    let back = pass(
        &cluster,
        &["import", "out.csv.gz", "--resume", "back.checkpoint"],
        "imported",
    );
    assert_eq!(sum(&back), sum(&exported));
    // From the middle: the checkpoint of an export that was cut, whose file has more than it says.
    cut(dir, "out.checkpoint", 0);
    let continued = pass(
        &cluster,
        &["export", "out.csv.gz", "--resume", "out.checkpoint"],
        "exported",
    );
    assert_eq!(sum(&continued), sum(&exported));
    let other = atoll(
        dir,
        &cluster.addresses,
        &["export", "other.csv", "--resume", "out.checkpoint"],
    );
    assert_eq!(other.status.code(), Some(2));
    assert!(
        text(&other.stderr).contains("another pass"),
        "{}",
        text(&other.stderr)
    );
}

/// Sets a finished export's checkpoint back to its beginning.
fn cut(dir: &Path, name: &str, bytes: u64) {
    let path = dir.join(name);
    let mut checkpoint: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    checkpoint["complete"] = false.into();
    for field in ["records", "bytes"] {
        checkpoint[field] = "0".into();
    }
    checkpoint["checksum"] = "0".into();
    checkpoint["place"]["file_bytes"] = bytes.to_string().into();
    std::fs::write(&path, checkpoint.to_string()).unwrap();
}
