//! A repeated write is applied once, whatever lies between the two sendings.

use std::time::Duration;

use atoll_env::net::CallError;
use atoll_proto::{details, method, v1};
use bytes::Bytes;
use prost::Message;

use crate::support::{Cluster, eventually};

const GROUP_TAG: &str = "{retry}";

/// A client without a library: numbers its writes by hand.
struct ByHand<'a> {
    cluster: &'a Cluster,
    client: u64,
}

impl ByHand<'_> {
    async fn call(&self, node: usize, method: &'static str, request: Vec<u8>) -> Result<Bytes, CallError> {
        let limit = Duration::from_secs(10);
        self.cluster
            .env
            .net
            .call(&self.cluster.addresses[node], method, request.into(), limit)
            .await
    }

    /// Number 0: without a session.
    fn session(&self, seq: u64, ack: u64) -> Option<v1::Session> {
        (seq > 0).then_some(v1::Session {
            client_high: self.client,
            client_low: 1,
            seq,
            ack,
        })
    }

    /// Appends to a history kept in one key: applied twice it would show.
    async fn cas(&self, seq: u64, ack: u64, expected: u64, value: &str) -> Result<v1::WriteReply, CallError> {
        let request = v1::CompareAndSetRequest {
            key: GROUP_TAG.into(),
            value: value.to_owned().into(),
            expected,
            session: self.session(seq, ack),
            after: 0,
        };
        let node = self.cluster.any_running();
        let reply = self
            .call(node, method::COMPARE_AND_SET, request.encode_to_vec())
            .await?;
        Ok(v1::WriteReply::decode(reply).unwrap())
    }

    async fn put(&self, seq: u64, ack: u64, value: &str) -> Result<v1::WriteReply, CallError> {
        let request = v1::PutRequest {
            key: GROUP_TAG.into(),
            value: value.to_owned().into(),
            session: self.session(seq, ack),
            after: 0,
        };
        let reply = self
            .call(self.cluster.any_running(), method::PUT, request.encode_to_vec())
            .await?;
        Ok(v1::WriteReply::decode(reply).unwrap())
    }

    async fn get(&self) -> v1::GetReply {
        let request = v1::GetRequest {
            key: GROUP_TAG.into(),
            options: None,
        };
        let node = self.cluster.any_running();
        let reply = self
            .call(node, method::GET, request.encode_to_vec())
            .await
            .unwrap();
        v1::GetReply::decode(reply).unwrap()
    }

    async fn open(&self, group: u64, version: u64) -> Result<Bytes, CallError> {
        let request = v1::OpenSessionRequest {
            client_high: self.client,
            client_low: 1,
            group,
            version,
        };
        self.call(
            self.cluster.any_running(),
            method::OPEN_SESSION,
            request.encode_to_vec(),
        )
        .await
    }
}

fn error_kind(error: &CallError) -> v1::error_detail::Kind {
    let CallError::Status(status) = error else {
        panic!("{error}")
    };
    details::decode(&status.details).unwrap().kind()
}

#[tokio::test]
async fn a_repeated_write_returns_its_first_outcome() {
    let mut cluster = Cluster::serving(3).await;
    let first = {
        let by_hand = ByHand {
            cluster: &cluster,
            client: 7,
        };
        let group = by_hand.put(0, 0, "before").await.unwrap().proof.unwrap().group;

        // Unknown sessions are refused, never applied.
        let refused = by_hand.cas(1, 1, 0, "x").await.unwrap_err();
        assert_eq!(error_kind(&refused), v1::error_detail::Kind::SessionExpired);
        // An opening without a version of the group could not be told from a late duplicate of itself.
        let refused = by_hand.open(group, 0).await.unwrap_err();
        assert_eq!(error_kind(&refused), v1::error_detail::Kind::Invalid);
        let version = by_hand.get().await.proof.unwrap().version;
        by_hand.open(group, version).await.unwrap();

        let before = by_hand.get().await.version;
        let first = by_hand.cas(1, 1, before, "one").await.unwrap();
        assert!(first.applied);
        // At once: the same outcome, although the guard would fail now.
        let again = by_hand.cas(1, 1, before, "one").await.unwrap();
        assert_eq!((again.applied, again.version), (true, first.version));

        // Out of order: 7 before 6, and both again.
        let seven = by_hand.put(7, 1, "seven").await.unwrap();
        let six = by_hand.put(6, 1, "six").await.unwrap();
        assert!(six.version > seven.version);
        assert_eq!(by_hand.put(7, 1, "seven").await.unwrap().version, seven.version);
        assert_eq!(by_hand.get().await.value, "six");
        first
    };

    // After a leader change.
    let victim = cluster.busiest().await;
    cluster.kill(victim);
    {
        let by_hand = ByHand {
            cluster: &cluster,
            client: 7,
        };
        eventually("another leader answers", async || {
            by_hand.cas(1, 1, 1, "one").await.is_ok()
        })
        .await;
        let again = by_hand.cas(1, 1, 1, "one").await.unwrap();
        assert_eq!((again.applied, again.version), (true, first.version));
    }

    // After a restart of everything.
    cluster.start(victim);
    for node in 0..3 {
        cluster.kill(node);
    }
    for node in 0..3 {
        cluster.start(node);
    }
    cluster.wait_serving().await;
    let by_hand = ByHand {
        cluster: &cluster,
        client: 7,
    };
    eventually("the group answers", async || {
        by_hand.cas(1, 1, 1, "one").await.is_ok()
    })
    .await;
    let again = by_hand.cas(1, 1, 1, "one").await.unwrap();
    assert_eq!((again.applied, again.version), (true, first.version));
    assert_eq!(by_hand.get().await.value, "six");

    // After it was acknowledged: refused, because its record is gone.
    by_hand.put(8, 8, "eight").await.unwrap();
    let stale = by_hand.cas(1, 1, 1, "one").await.unwrap_err();
    assert_eq!(error_kind(&stale), v1::error_detail::Kind::Stale);
    assert_eq!(by_hand.get().await.value, "eight");
}
