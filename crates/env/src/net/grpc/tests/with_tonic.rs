//! The same wire as everybody else's gRPC.

use super::*;
use bytes::{Buf, BufMut};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[tokio::test]
async fn tonics_client_calls_and_streams() {
    let mut server = serve("127.0.0.1:0").await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(Bytes::from_static(b"hello"));
    request.set_timeout(PATIENCE);
    let answer = client.unary(request, ECHO.parse().unwrap(), Raw).await.unwrap();
    assert_eq!(answer.into_inner(), "hello");

    client.ready().await.unwrap();
    let request = tonic::Request::new(Bytes::new());
    let status = client
        .unary(request, FAIL.parse().unwrap(), Raw)
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert_eq!(status.details(), [0, 255, 1, 2]);

    client.ready().await.unwrap();
    let frames = futures_util::stream::iter([Bytes::from_static(b"a"), Bytes::from_static(b"bc")]);
    let stream = client
        .streaming(tonic::Request::new(frames), STREAM.parse().unwrap(), Raw)
        .await
        .unwrap();
    let mut stream = stream.into_inner();
    let mut link = server.links.recv().await.unwrap();
    while let Some(frame) = link.receiver.recv().await {
        assert!(link.sender.send(frame.unwrap()).await);
    }
    drop(link);
    assert_eq!(stream.message().await.unwrap().unwrap(), "a");
    assert_eq!(stream.message().await.unwrap().unwrap(), "bc");
    assert_eq!(stream.message().await.unwrap(), None);
}

#[tokio::test]
async fn what_is_too_large_gets_the_code_that_says_so() {
    let server = serve("127.0.0.1:0").await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let large = Bytes::from(vec![7; atoll_types::limits::MESSAGE_BYTES_MAX + 1]);
    let refused = client.unary(tonic::Request::new(large), ECHO.parse().unwrap(), Raw);
    let status = refused.await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("at most"), "{status}");
}

struct Uppercase;

impl tonic::server::UnaryService<Bytes> for Uppercase {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let text = request.into_inner();
            match text.len() {
                0 => Err(tonic::Status::with_details(tonic::Code::Aborted, "empty", text)),
                _ => Ok(tonic::Response::new(text.to_ascii_uppercase().into())),
            }
        })
    }
}

#[tokio::test]
async fn tonics_server_answers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    Spawn::tokio().spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(uppercase);
        hyper::server::conn::http2::Builder::new(super::super::Executor(Spawn::tokio()))
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .await
            .unwrap();
    });
    let net = net();
    let answer = net
        .call(&address, ECHO, Bytes::from_static(b"shout"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(answer, "SHOUT");
    let error = net
        .call(&address, ECHO, Bytes::new(), PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error, CallError::Status(Status::new(Code::Aborted, "empty")));
}

async fn uppercase(
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<tonic::body::Body>, std::convert::Infallible> {
    Ok(tonic::server::Grpc::new(Raw).unary(Uppercase, request).await)
}
