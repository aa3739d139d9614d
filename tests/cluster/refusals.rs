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

/// What a start with this folder says, and its exit code.
fn refused_start(dir: &std::path::Path, listen: &str) -> (Option<i32>, String) {
    let output = atoll(&["start", "--data-dir", dir.to_str().unwrap(), "--listen", listen]);
    (output.status.code(), text(&output.stderr))
}

#[test]
fn a_folder_of_other_things_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();
    let (code, said) = refused_start(dir.path(), "127.0.0.1:0");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("thesis.tex") && said.contains("empty"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for bad in [
        file.path().to_owned(),
        file.path().join("below"),
        "/proc/atoll".into(),
    ] {
        let (code, said) = refused_start(&bad, "127.0.0.1:0");
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(bad.to_str().unwrap()), "{said}");
    }
}

#[test]
fn an_address_in_use_is_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = refused_start(dir.path(), &address);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn a_folder_of_a_newer_version_is_refused_and_says_what_to_do() {
    let mut cluster = Cluster::serving(1).await;
    cluster.kill(0);
    let file = cluster.data_dir(0).join("IDENT");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[5] = 9;
    std::fs::write(&file, &bytes).unwrap();
    let (code, said) = refused_start(&cluster.data_dir(0), "127.0.0.1:0");
    assert_eq!(code, Some(5), "{said}");
    for part in [
        "IDENT",
        "format version 9",
        "a newer Atoll wrote it",
        "start the node with that",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_dial_map_that_cannot_be_used_is_refused_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (map, why) in [
        ("127.0.0.1:7402", "ADDRESS=DIALED"),
        ("127.0.0.1:7402=127.0.0.1", "host:port"),
        ("127.0.0.1:7402=a:1,127.0.0.1:7402=b:1", "given twice"),
    ] {
        let output = atoll(&["start", "--data-dir", data.to_str().unwrap(), "--dial-map", map]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("dial-map") && said.contains(why), "{said}");
    }
    assert!(!data.exists());
    let help = text(&atoll(&["start", "--help"]).stdout);
    assert!(help.contains("--listen") && !help.contains("dial-map"), "{help}");
}

#[test]
fn settings_are_checked_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("atoll.toml");
    let file = path.to_str().unwrap();
    std::fs::write(
        &path,
        "data-dir = \"d\"\nlisten = \"nowhere\"\nzone = \"a b\"\nfoo = 1\n",
    )
    .unwrap();
    let start = atoll(&["start", "--config", file, "--segment-mib", "4"]);
    let check = atoll(&["config", "check", file]);
    for (output, count) in [(&start, "4 settings"), (&check, "3 settings")] {
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        for part in [
            count,
            "atoll.toml line 2",
            "atoll.toml line 3",
            "atoll.toml line 4",
            "foo: ",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    assert!(text(&start.stderr).contains("(--segment-mib)"));
    let json = atoll(&["config", "check", file, "--output", "json"]);
    assert_eq!(json.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(told["problems"].as_array().unwrap().len(), 3);
    std::fs::write(&path, "data-dir = \"d\"\nzone = \"b\"\n").unwrap();
    let good = atoll(&["config", "check", file]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    let shown = text(&good.stdout);
    let zone = shown.lines().find(|line| line.starts_with("zone")).unwrap();
    assert!(
        zone.contains(" b ") && zone.ends_with("atoll.toml line 2"),
        "{shown}"
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
