//! Bad input of every kind gets a clear error and changes nothing.

use std::time::Duration;

use atoll_client::ErrorKind;
use atoll_env::Env;
use atoll_env::net::CallError;
use atoll_proto::method;
use bytes::Bytes;

use crate::support::{Cluster, Process, atoll, eventually, free_addresses, text};

#[tokio::test]
async fn a_directory_of_another_cluster_is_refused() {
    let mut one = Cluster::serving(1).await;
    let other = Cluster::serving(1).await;
    one.kill(0);
    // The node comes back with its data, but is told to join the other cluster.
    let address = free_addresses(1).remove(0);
    let mut process = Process::start(&one.data_dir(0), &address, &other.addresses);
    let log = one.data_dir(0).with_extension("log");
    eventually("the node notices", async || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        said.contains("belongs to cluster")
    })
    .await;
    drop(process.child.kill());
    let client = other.client(Duration::from_secs(20)).await;
    client.put("still", "served").await.unwrap();
}

#[tokio::test]
async fn a_taken_directory_is_refused() {
    let cluster = Cluster::fresh(1);
    cluster.wait_answering().await;
    let address = free_addresses(1).remove(0);
    let dir = cluster.data_dir(0);
    let output = atoll(&["start", "--data-dir", dir.to_str().unwrap(), "--listen", &address]);
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("another process"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_public_address_needs_the_word() {
    let dir = tempfile::tempdir().unwrap();
    let output = atoll(&[
        "start",
        "--data-dir",
        dir.path().to_str().unwrap(),
        "--listen",
        "0.0.0.0:0",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--insecure"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn bad_requests_are_refused_and_the_node_lives_on() {
    let cluster = Cluster::serving(1).await;
    let client = cluster.client(Duration::from_secs(20)).await;
    let kind = async |key: Vec<u8>, value: Vec<u8>| client.put(key, value).await.unwrap_err().kind();
    assert_eq!(kind(vec![], vec![1]).await, ErrorKind::Invalid);
    assert_eq!(kind(vec![b'k'; 4097], vec![1]).await, ErrorKind::Invalid);
    assert_eq!(kind(vec![b'k'], vec![0; (1 << 20) + 1]).await, ErrorKind::Invalid);
    let twice = client
        .batch()
        .put("{t}a", "1")
        .delete("{t}a")
        .commit()
        .await
        .unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Invalid);
    let two_slots = client
        .batch()
        .put("a", "1")
        .put("b", "2")
        .commit()
        .await
        .unwrap_err();
    assert_eq!(two_slots.kind(), ErrorKind::Invalid);

    // The same without a library that checks first: bytes that are no message, and no method.
    let env = Env::real();
    let limit = Duration::from_secs(10);
    for method in [
        method::PUT,
        method::DELETE,
        method::COMPARE_AND_SET,
        method::WRITE,
        method::GET,
        method::MULTI_GET,
        method::SCAN,
        method::OPEN_SESSION,
        method::INIT,
        method::GET_MAP,
        method::TRANSFER_LEADER,
        method::HELLO,
        method::CLAIM,
        method::ADMIT,
        method::JOIN,
        "/atoll.v1.Kv/NoSuchMethod",
    ] {
        let garbage = Bytes::from_static(&[0xff; 64]);
        let answer = env.net.call(&cluster.addresses[0], method, garbage, limit).await;
        assert!(
            matches!(answer, Err(CallError::Status(_))),
            "{method}: {answer:?}"
        );
    }
    client.put("good", "value").await.unwrap();
    assert_eq!(client.get("good").await.unwrap().unwrap().bytes, "value");
}

#[tokio::test]
async fn the_command_line_keeps_its_exit_codes() {
    let cluster = Cluster::serving(1).await;
    let endpoint = cluster.addresses[0].as_str();
    let run = |arguments: &[&str]| {
        let mut all = vec![arguments[0], "--endpoints", endpoint];
        all.extend(&arguments[1..]);
        atoll(&all)
    };
    assert_eq!(run(&["put", "key", "value"]).status.code(), Some(0));
    let got = run(&["get", "--output", "raw", "key"]);
    assert_eq!(
        (got.status.code(), got.stdout.as_slice()),
        (Some(0), &b"value"[..])
    );
    assert_eq!(run(&["get", "absent"]).status.code(), Some(1));
    assert_eq!(
        run(&["cas", "key", "--expect", "absent", "other"]).status.code(),
        Some(1)
    );
    assert_eq!(run(&["put", "", "value"]).status.code(), Some(2));
    assert_eq!(run(&["scan", "--limit", "x"]).status.code(), Some(2));
    let nobody = free_addresses(1).remove(0);
    let output = atoll(&["get", "--endpoints", &nobody, "--deadline", "2s", "key"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}
