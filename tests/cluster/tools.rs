//! What gRPC tools ask of any server: health and reflection, in every phase of a node.

use std::time::Duration;

use atoll_env::net::{CallError, Code, Link, Status};
use atoll_proto::health::health_check_response::ServingStatus;
use atoll_proto::health::{HealthCheckRequest, HealthCheckResponse};
use atoll_proto::reflection::server_reflection_request::MessageRequest;
use atoll_proto::reflection::server_reflection_response::MessageResponse;
use atoll_proto::reflection::{ServerReflectionRequest, ServerReflectionResponse};
use atoll_proto::{details, method, v1};
use bytes::Bytes;
use prost::Message;

use crate::support::{Cluster, PATIENCE, atoll, eventually, text};

const LIMIT: Duration = Duration::from_secs(20);

async fn call(
    cluster: &Cluster,
    node: usize,
    method: &'static str,
    request: Vec<u8>,
) -> Result<Bytes, CallError> {
    let address = &cluster.addresses[node];
    cluster.env.net.call(address, method, request.into(), LIMIT).await
}

async fn open(cluster: &Cluster, node: usize, method: &'static str) -> Link {
    let opened = cluster.env.net.open(&cluster.addresses[node], method, 0, LIMIT);
    opened.await.unwrap()
}

fn asked(service: &str) -> Vec<u8> {
    let service = service.to_owned();
    HealthCheckRequest { service }.encode_to_vec()
}

async fn check(cluster: &Cluster, node: usize, service: &str) -> Result<ServingStatus, Code> {
    match call(cluster, node, method::HEALTH_CHECK, asked(service)).await {
        Ok(reply) => Ok(HealthCheckResponse::decode(reply).unwrap().status()),
        Err(CallError::Status(status)) => Err(status.code),
        Err(error) => panic!("{error}"),
    }
}

async fn next_status(watch: &mut Link) -> Result<ServingStatus, Status> {
    let frame = tokio::time::timeout(PATIENCE, watch.receiver.recv());
    match frame.await.expect("a change is told").expect("the watch goes on") {
        Ok(frame) => Ok(HealthCheckResponse::decode(frame).unwrap().status()),
        Err(error) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Status>());
            Err(inner.unwrap_or_else(|| panic!("{error}")).clone())
        }
    }
}

#[tokio::test]
async fn health_is_the_truth_before_init_while_serving_and_without_a_quorum() {
    use ServingStatus::{NotServing, ServiceUnknown, Serving};
    let mut cluster = Cluster::fresh(3);
    cluster.wait_answering().await;
    for (service, expected) in [
        ("", Ok(NotServing)),
        ("atoll.v1.Kv", Ok(NotServing)),
        ("atoll.v1.Admin", Ok(Serving)),
        ("grpc.health.v1.Health", Ok(Serving)),
        ("atoll.v1.Nothing", Err(Code::NotFound)),
    ] {
        assert_eq!(check(&cluster, 0, service).await, expected, "{service}");
    }
    let mut watch = open(&cluster, 0, method::HEALTH_WATCH).await;
    assert!(watch.sender.send(asked("atoll.v1.Kv").into()).await);
    assert_eq!(next_status(&mut watch).await, Ok(NotServing));
    let mut unknown = open(&cluster, 0, method::HEALTH_WATCH).await;
    assert!(unknown.sender.send(asked("no.such.Service").into()).await);
    assert_eq!(next_status(&mut unknown).await, Ok(ServiceUnknown));

    let made = atoll(&[
        "init",
        "--endpoints",
        &cluster.addresses[0],
        "--nodes",
        &cluster.addresses.join(","),
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(next_status(&mut watch).await, Ok(Serving));
    cluster.wait_serving().await;
    assert_eq!(check(&cluster, 0, "").await, Ok(Serving));

    // One of three cannot serve; it has to notice.
    cluster.kill(1);
    cluster.kill(2);
    eventually("the lonely node notices", async || {
        check(&cluster, 0, "atoll.v1.Kv").await == Ok(NotServing)
    })
    .await;
    while next_status(&mut watch).await != Ok(NotServing) {}
    cluster.start(1);
    cluster.wait_serving().await;
    // Groups may serve before the next greeting has told this node that the other one is back.
    eventually("the node that is back is noticed", async || {
        check(&cluster, 0, "atoll.v1.Kv").await == Ok(Serving)
    })
    .await;
    while next_status(&mut watch).await != Ok(Serving) {}
}

#[tokio::test]
async fn streams_that_cannot_be_served_say_why() {
    let cluster = Cluster::fresh(1);
    cluster.wait_answering().await;
    // A node that waits for init has nothing to serve a pipe with.
    let mut pipe = open(&cluster, 0, method::PIPE).await;
    let refused = next_status(&mut pipe).await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable);
    assert!(refused.message.contains("atoll init"), "{refused}");
    for (method, garbage) in [
        (method::HEALTH_WATCH, vec![0xff; 9]),
        (method::REFLECTION, vec![0xff; 9]),
        (method::REFLECTION, vec![0x0a; 100_000]),
    ] {
        let mut link = open(&cluster, 0, method).await;
        assert!(link.sender.send(garbage.into()).await);
        assert_eq!(
            next_status(&mut link).await.unwrap_err().code,
            Code::InvalidArgument
        );
    }
    // Streams are bounded, and closing one makes room.
    let mut open_streams = Vec::new();
    let refused = loop {
        let mut watch = open(&cluster, 0, method::HEALTH_WATCH).await;
        // What is refused at once takes no request.
        let _taken = watch.sender.send(asked("").into()).await;
        match next_status(&mut watch).await {
            Ok(_) => open_streams.push(watch),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (refused.code, open_streams.len()),
        (Code::ResourceExhausted, 256),
        "{refused}"
    );
    open_streams.clear();
    eventually("there is room again", async || {
        let mut watch = open(&cluster, 0, method::HEALTH_WATCH).await;
        watch.sender.send(asked("").into()).await && next_status(&mut watch).await.is_ok()
    })
    .await;
}

async fn ask(link: &mut Link, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    assert!(link.sender.send(request.encode_to_vec().into()).await);
    let frame = link.receiver.recv().await.unwrap().unwrap();
    ServerReflectionResponse::decode(frame)
        .unwrap()
        .message_response
        .unwrap()
}

#[tokio::test]
async fn reflection_answers_under_both_names_before_there_is_a_cluster() {
    let cluster = Cluster::fresh(1);
    cluster.wait_answering().await;
    for method in [method::REFLECTION, method::REFLECTION_ALPHA] {
        let mut link = open(&cluster, 0, method).await;
        let answer = ask(&mut link, MessageRequest::ListServices("*".to_owned())).await;
        let MessageResponse::ListServicesResponse(list) = answer else {
            panic!("{answer:?}")
        };
        assert!(list.service.iter().any(|service| service.name == "atoll.v1.Kv"));
        for service in list.service {
            let answer = ask(&mut link, MessageRequest::FileContainingSymbol(service.name)).await;
            assert!(
                matches!(&answer, MessageResponse::FileDescriptorResponse(files)
                    if !files.file_descriptor_proto.is_empty()),
                "{answer:?}"
            );
        }
        let nothing = MessageRequest::FileContainingSymbol("no.such.Symbol".to_owned());
        let MessageResponse::ErrorResponse(error) = ask(&mut link, nothing).await else {
            panic!()
        };
        assert_eq!(error.error_code, Code::NotFound as i32);
    }
}

#[tokio::test]
async fn failed_calls_carry_a_detail_that_libraries_can_read() {
    let cluster = Cluster::serving(1).await;
    let request = v1::PutRequest::default().encode_to_vec();
    let Err(CallError::Status(status)) = call(&cluster, 0, method::PUT, request).await else {
        panic!("an empty key is refused")
    };
    assert_eq!(status.code, Code::InvalidArgument);
    let detail = details::decode(&status.details).unwrap();
    assert_eq!(detail.kind(), v1::error_detail::Kind::Invalid);
    assert_eq!(detail.message, status.message);
    let unknown = call(&cluster, 0, "/atoll.v1.Kv/NoSuchMethod", Vec::new()).await;
    assert!(
        matches!(&unknown, Err(CallError::Status(status)) if status.code == Code::Unimplemented),
        "{unknown:?}"
    );
}
