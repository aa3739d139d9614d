//! Plain gRPC calls, as from curl or another language: any node will do, whoever leads.

use std::time::Duration;

use atoll_client::admin;
use atoll_proto::{method, v1};
use atoll_types::{GroupId, NodeId};
use prost::Message;

use crate::support::{Cluster, atoll, eventually, text};

async fn call<R: Message + Default>(
    cluster: &Cluster,
    node: usize,
    method: &'static str,
    request: &impl Message,
) -> R {
    let (address, limit) = (&cluster.addresses[node], Duration::from_secs(20));
    let reply = cluster
        .env
        .net
        .call(address, method, request.encode_to_vec().into(), limit)
        .await;
    R::decode(reply.unwrap_or_else(|error| panic!("{method} at {address}: {error}"))).unwrap()
}

#[tokio::test]
async fn every_method_works_at_every_node() {
    let cluster = Cluster::serving(3).await;
    for node in 0..3 {
        // Keys of all groups, so that two thirds of the calls are passed on.
        for number in 0..12 {
            let key = format!("{{{node}.{number}}}");
            every_kv_method(&cluster, node, &key).await;
        }
        let status: v1::StatusReply = call(&cluster, node, method::STATUS, &v1::StatusRequest {}).await;
        assert_eq!(status.state, "serving");
        let map: v1::GetMapReply = call(
            &cluster,
            node,
            method::GET_MAP,
            &v1::GetMapRequest { known_epoch: 0 },
        )
        .await;
        assert_eq!(map.map.unwrap().groups.len(), 7);
    }
}

async fn every_kv_method(cluster: &Cluster, node: usize, key: &str) {
    let put = v1::PutRequest {
        key: key.to_owned().into(),
        value: "one".into(),
        ..Default::default()
    };
    let put: v1::WriteReply = call(cluster, node, method::PUT, &put).await;
    assert!(put.applied);
    let cas = v1::CompareAndSetRequest {
        key: key.to_owned().into(),
        value: "two".into(),
        expected: put.version,
        ..Default::default()
    };
    let cas: v1::WriteReply = call(cluster, node, method::COMPARE_AND_SET, &cas).await;
    assert!(cas.applied && cas.version > put.version);
    let get = v1::GetRequest {
        key: key.to_owned().into(),
        options: None,
    };
    let got: v1::GetReply = call(cluster, node, method::GET, &get).await;
    assert_eq!((&got.value[..], got.version), (&b"two"[..], cas.version));
    let proof = got.proof.unwrap();
    assert!(proof.version >= cas.version && proof.applied_index > 0);

    let open = v1::OpenSessionRequest {
        client_high: 1 + node as u64,
        client_low: got.version,
        group: proof.group,
        version: proof.version,
    };
    let opened: v1::OpenSessionReply = call(cluster, node, method::OPEN_SESSION, &open).await;
    assert!(opened.version > proof.version);
    let batch = batch(key, &open);
    let batch: v1::WriteReply = call(cluster, node, method::WRITE, &batch).await;
    assert!(batch.applied);
    read_and_delete(cluster, node, key, (proof.group, batch.version)).await;
}

/// Stores one key and removes another, in one entry and under a session.
fn batch(key: &str, session: &v1::OpenSessionRequest) -> v1::WriteRequest {
    let put = v1::WriteOp {
        kind: v1::write_op::Kind::Put.into(),
        key: format!("{key}:b").into(),
        value: "three".into(),
        ..v1::WriteOp::default()
    };
    let delete = v1::WriteOp {
        kind: v1::write_op::Kind::Delete.into(),
        key: key.to_owned().into(),
        ..v1::WriteOp::default()
    };
    v1::WriteRequest {
        ops: vec![put, delete],
        session: Some(v1::Session {
            client_high: session.client_high,
            client_low: session.client_low,
            seq: 1,
            ack: 1,
        }),
        ..v1::WriteRequest::default()
    }
}

async fn read_and_delete(cluster: &Cluster, node: usize, key: &str, (group, version): (u64, u64)) {
    let both = v1::MultiGetRequest {
        keys: vec![key.to_owned().into(), format!("{key}:b").into()],
        options: None,
    };
    let both: v1::MultiGetReply = call(cluster, node, method::MULTI_GET, &both).await;
    assert_eq!(
        both.rows.iter().map(|row| row.found).collect::<Vec<_>>(),
        [false, true]
    );
    let scan = v1::ScanRequest {
        group,
        start: key.to_owned().into(),
        end: format!("{key};").into(),
        ..Default::default()
    };
    let page: v1::ScanReply = call(cluster, node, method::SCAN, &scan).await;
    assert_eq!(page.rows.len(), 1);
    let delete = v1::DeleteRequest {
        key: format!("{key}:b").into(),
        ..Default::default()
    };
    let deleted: v1::WriteReply = call(cluster, node, method::DELETE, &delete).await;
    assert!(deleted.applied && deleted.version > version);
}

/// A write at a node, whoever leads.
async fn write(cluster: &Cluster, node: usize, ops: Vec<v1::WriteOp>) -> v1::WriteReply {
    let request = v1::WriteRequest {
        ops,
        ..v1::WriteRequest::default()
    };
    call(cluster, node, method::WRITE, &request).await
}

fn op(kind: v1::write_op::Kind, key: &str) -> v1::WriteOp {
    v1::WriteOp {
        kind: kind.into(),
        key: key.to_owned().into(),
        ..v1::WriteOp::default()
    }
}

fn of_number(kind: v1::write_op::Kind, key: &str, number: i64) -> v1::WriteOp {
    v1::WriteOp {
        number,
        ..op(kind, key)
    }
}

#[tokio::test]
async fn what_a_write_computes_is_computed_once_wherever_it_is_asked_for() {
    use v1::write_op::Kind;
    let cluster = Cluster::serving(3).await;
    let append = |key: &str, suffix: &str| v1::WriteOp {
        value: suffix.to_owned().into(),
        ..op(Kind::Append, key)
    };
    for round in 0..6 {
        let node = round % 3;
        let count = of_number(Kind::Increment, "{c}n", 5);
        let sum = write(&cluster, node, vec![count.clone()]).await;
        assert_eq!(sum.number, Some(5 * (i64::try_from(round).unwrap() + 1)));
        let length = write(&cluster, node, vec![append("{c}log", &"line ".repeat(100))]).await;
        assert_eq!(length.number, Some(500 * (i64::try_from(round).unwrap() + 1)));
        // Nothing of a write with an operation that does not fit.
        let mixed = vec![count, of_number(Kind::Max, "{c}log", 1)];
        let misfit = write(&cluster, node, mixed).await;
        assert_eq!((misfit.misfit(), misfit.misfit_op), (v1::Misfit::NotANumber, 1));
        assert!(!misfit.applied && misfit.number.is_none());
    }
    let least = write(&cluster, 0, vec![of_number(Kind::Min, "{c}n", 7)]).await;
    let most = write(&cluster, 1, vec![of_number(Kind::Max, "{c}n", 9)]).await;
    assert_eq!((least.number, most.number), (Some(7), Some(9)));
    let over = write(&cluster, 2, vec![of_number(Kind::Increment, "{c}n", i64::MAX)]).await;
    assert_eq!(over.misfit(), v1::Misfit::Overflow);
    let shown = atoll(&["get", "{c}n", "--endpoints", &cluster.addresses.join(",")]);
    assert_eq!(text(&shown.stdout).trim(), "9", "{}", text(&shown.stderr));

    let range = v1::WriteOp {
        end: "{c}m".into(),
        limit: 4,
        ..op(Kind::DeleteRange, "{c}l")
    };
    let removed = write(&cluster, 0, vec![range.clone(), op(Kind::Delete, "{c}none")]).await;
    assert_eq!(
        removed.number,
        Some(1),
        "the log, and not what stands behind the range"
    );
    assert_eq!(write(&cluster, 1, vec![range]).await.number, Some(0));
    let get = v1::GetRequest {
        key: "{c}n".into(),
        options: None,
    };
    let left: v1::GetReply = call(&cluster, 2, method::GET, &get).await;
    assert_eq!(&left.value[..], b"9");
}

#[tokio::test]
async fn a_leadership_can_be_handed_over_by_hand() {
    let cluster = Cluster::serving(3).await;
    let leader = async || {
        let status = cluster.status(0).await?;
        let group = status.groups.into_iter().find(|group| group.group == 1)?;
        Some(group.leader_node).filter(|node| *node != 0)
    };
    let before = leader().await.unwrap();
    let to = 1 + before % 3;
    let output = atoll(&[
        "transfer-leader",
        "--group",
        "1",
        "--to",
        &to.to_string(),
        "--endpoints",
        &cluster.addresses.join(","),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    eventually("the other node leads", async || leader().await == Some(to)).await;
    let nowhere = admin::transfer_leader(&cluster.env, &cluster.addresses[0], GroupId(1), NodeId(9)).await;
    assert!(nowhere.is_err());
}
