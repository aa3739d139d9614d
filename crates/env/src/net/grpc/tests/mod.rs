//! Over the loopback interface, with real time: no test waits for time to pass unless that is what
//! it tests.

mod with_tonic;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::GrpcNet;
use crate::net::{CallError, Code, Handler, Link, Net, Serving, Status};
use crate::{BoxFuture, Clock, Spawn};

const ECHO: &str = "/test.Service/Echo";
const FAIL: &str = "/test.Service/Fail";
const HANG: &str = "/test.Service/Hang";
const DEADLINE: &str = "/test.Service/Deadline";
const STREAM: &str = "/test.Service/Stream";
const UNKNOWN: &str = "/test.Service/Unknown";
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers calls; hands links to the test.
struct Service {
    links: mpsc::Sender<Link>,
    /// Told when a hanging call has begun, and whether it went on to its end.
    hanging: Mutex<Option<(mpsc::Sender<&'static str>, Arc<tokio::sync::Notify>)>>,
}

impl Handler for Service {
    fn is_stream(&self, method: &str) -> Option<bool> {
        match method {
            ECHO | FAIL | HANG | DEADLINE => Some(false),
            STREAM => Some(true),
            _ => None,
        }
    }

    fn call(
        &self,
        method: &str,
        request: Bytes,
        deadline: Option<Duration>,
    ) -> BoxFuture<'static, Result<Bytes, Status>> {
        let hanging = self.hanging.lock().clone();
        let method = method.to_owned();
        Box::pin(async move {
            match method.as_str() {
                ECHO => Ok(request),
                DEADLINE => Ok(format!("{deadline:?}").into()),
                HANG => {
                    let (told, go_on) = hanging.unwrap();
                    told.send("begun").await.unwrap();
                    go_on.notified().await;
                    told.send("ended").await.unwrap();
                    Ok(request)
                }
                _ => Err(Status {
                    code: Code::FailedPrecondition,
                    message: "not now: 100 % größer\nsecond line".to_owned(),
                    details: Bytes::from_static(&[0, 255, 1, 2]),
                }),
            }
        })
    }

    fn open(&self, method: &str, link: Link) {
        assert_eq!(method, STREAM);
        self.links.try_send(link).expect("the test takes its links");
    }
}

struct Server {
    net: GrpcNet,
    service: Arc<Service>,
    serving: Serving,
    address: String,
    links: mpsc::Receiver<Link>,
}

fn net() -> GrpcNet {
    GrpcNet::new(Clock::boot(), Spawn::tokio())
}

async fn serve(listen: &str) -> Server {
    let (sender, links) = mpsc::channel(16);
    let service = Arc::new(Service {
        links: sender,
        hanging: Mutex::default(),
    });
    let net = net();
    let serving = net.serve(listen, service.clone()).await.unwrap();
    let address = serving.address().to_owned();
    Server {
        net,
        service,
        serving,
        address,
        links,
    }
}

impl Server {
    async fn link(&mut self, lane: u8) -> (Link, Link) {
        let ours = self
            .net
            .open(&self.address, STREAM, lane, PATIENCE)
            .await
            .unwrap();
        (ours, self.links.recv().await.unwrap())
    }

    fn hang(&self) -> (mpsc::Receiver<&'static str>, Arc<tokio::sync::Notify>) {
        let (told, events) = mpsc::channel(4);
        let go_on = Arc::new(tokio::sync::Notify::new());
        *self.service.hanging.lock() = Some((told, go_on.clone()));
        (events, go_on)
    }
}

#[tokio::test]
async fn a_call_is_answered_whatever_its_size() {
    let server = serve("127.0.0.1:0").await;
    for len in [0, 1, 16 * 1024 - 1, 16 * 1024, 1 << 20, 8 << 20] {
        let request = Bytes::from(vec![7_u8; len]);
        let answer = server
            .net
            .call(&server.address, ECHO, request.clone(), PATIENCE)
            .await
            .unwrap();
        assert_eq!(answer, request);
    }
    let too_large = Bytes::from(vec![7_u8; (8 << 20) + 1]);
    let error = server
        .net
        .call(&server.address, ECHO, too_large, PATIENCE)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Status(Status {
                code: Code::ResourceExhausted,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_status_arrives_with_message_and_details() {
    let server = serve("127.0.0.1:0").await;
    let error = server
        .net
        .call(&server.address, FAIL, Bytes::new(), PATIENCE)
        .await
        .unwrap_err();
    let CallError::Status(status) = error else {
        panic!("{error:?}")
    };
    assert_eq!(status.code, Code::FailedPrecondition);
    assert_eq!(status.message, "not now: 100 % größer\nsecond line");
    assert_eq!(status.details, Bytes::from_static(&[0, 255, 1, 2]));
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let server = serve("127.0.0.1:0").await;
    let unary = server
        .net
        .call(&server.address, UNKNOWN, Bytes::new(), PATIENCE)
        .await
        .unwrap_err();
    assert!(
        matches!(
            unary,
            CallError::Status(Status {
                code: Code::Unimplemented,
                ..
            })
        ),
        "{unary:?}"
    );
    let stream = server
        .net
        .open(&server.address, UNKNOWN, 0, PATIENCE)
        .await
        .unwrap_err();
    assert!(
        matches!(
            stream,
            CallError::Status(Status {
                code: Code::Unimplemented,
                ..
            })
        ),
        "{stream:?}"
    );
}

#[tokio::test]
async fn frames_pass_both_ways_in_order_whatever_their_size() {
    let mut server = serve("127.0.0.1:0").await;
    let (mut ours, mut theirs) = server.link(0).await;
    let frames: Vec<Bytes> = (0..200_usize)
        .map(|number| Bytes::from(vec![number as u8; [0, 3, 900, 40_000, 1_500_000][number % 5]]))
        .collect();
    let sending = frames.clone();
    let echo = Spawn::tokio().spawn(async move {
        while let Some(frame) = theirs.receiver.recv().await {
            assert!(theirs.sender.send(frame.unwrap()).await);
        }
    });
    let sender = ours.sender.clone();
    let send = Spawn::tokio().spawn(async move {
        for frame in sending {
            assert!(sender.send(frame).await);
        }
    });
    for expected in &frames {
        assert_eq!(&ours.receiver.recv().await.unwrap().unwrap(), expected);
    }
    send.await.unwrap();
    drop(ours.sender);
    echo.await.unwrap();
    assert!(
        ours.receiver.recv().await.is_none(),
        "a closed stream ends without an error"
    );
}

#[tokio::test]
async fn a_direction_closes_when_its_sender_is_dropped() {
    let mut server = serve("127.0.0.1:0").await;
    let (ours, mut theirs) = server.link(0).await;
    let Link { sender, mut receiver } = ours;
    assert!(sender.send(Bytes::from_static(b"last words")).await);
    drop(sender);
    assert_eq!(theirs.receiver.recv().await.unwrap().unwrap(), "last words");
    assert!(theirs.receiver.recv().await.is_none());
    // A receiver that ended closes nothing when it is dropped.
    drop(theirs.receiver);
    assert!(theirs.sender.send(Bytes::from_static(b"answer")).await);
    assert_eq!(receiver.recv().await.unwrap().unwrap(), "answer");
}

#[tokio::test]
async fn dropping_a_receiver_closes_both_directions() {
    let mut server = serve("127.0.0.1:0").await;
    let (ours, theirs) = server.link(0).await;
    drop(ours.receiver);
    ours.sender.closed().await;
    theirs.sender.closed().await;

    let (ours, theirs) = server.link(0).await;
    let Link { sender, receiver } = theirs;
    drop(receiver);
    sender.closed().await;
    ours.sender.closed().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_the_writer() {
    let mut server = serve("127.0.0.1:0").await;
    let (ours, mut theirs) = server.link(0).await;
    let frame = Bytes::from(vec![1_u8; 1 << 20]);
    let mut sent = 0;
    while Clock::boot()
        .timeout(Duration::from_millis(300), ours.sender.send(frame.clone()))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 64, "nothing bounds what is on the way");
    }
    for _ in 0..sent {
        assert_eq!(theirs.receiver.recv().await.unwrap().unwrap().len(), 1 << 20);
    }
}

#[tokio::test]
async fn a_stuck_lane_does_not_hold_up_another() {
    let mut server = serve("127.0.0.1:0").await;
    let (stuck, _unread) = server.link(0).await;
    let (mut free, mut theirs) = server.link(1).await;
    let frame = Bytes::from(vec![1_u8; 4 << 20]);
    while Clock::boot()
        .timeout(Duration::from_millis(200), stuck.sender.send(frame.clone()))
        .await
        .is_ok()
    {}
    assert!(free.sender.send(Bytes::from_static(b"ping")).await);
    assert_eq!(theirs.receiver.recv().await.unwrap().unwrap(), "ping");
    assert!(theirs.sender.send(Bytes::from_static(b"pong")).await);
    assert_eq!(free.receiver.recv().await.unwrap().unwrap(), "pong");
    let slots = server.net.connections.addresses();
    assert_eq!(slots, 2, "two lanes are two connections");
}

#[tokio::test]
async fn nobody_there_means_not_sent() {
    let server = serve("127.0.0.1:0").await;
    let Server {
        net,
        serving,
        address,
        ..
    } = server;
    serving.stop().await;
    let unary = net
        .call(&address, ECHO, Bytes::new(), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(unary, CallError::NotSent(_)), "{unary:?}");
    let stream = net.open(&address, STREAM, 0, PATIENCE).await.unwrap_err();
    assert!(matches!(stream, CallError::NotSent(_)), "{stream:?}");
    let nonsense = net
        .call("no address", ECHO, Bytes::new(), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(nonsense, CallError::NotSent(_)), "{nonsense:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_at_the_same_port_is_reached_at_once() {
    let mut server = serve("127.0.0.1:0").await;
    let client = net();
    let address = server.address.clone();
    for round in 0..5 {
        let answer = client
            .call(&address, ECHO, Bytes::from_static(b"hi"), PATIENCE)
            .await
            .unwrap();
        assert_eq!(answer, "hi", "round {round}");
        let mut link = client.open(&address, STREAM, 0, PATIENCE).await.unwrap();
        let theirs = server.links.recv().await.unwrap();
        server.serving.stop().await;
        assert!(
            link.receiver.recv().await.unwrap().is_err(),
            "a stopped server cuts its streams"
        );
        link.sender.closed().await;
        theirs.sender.closed().await;
        server = serve(&address).await;
    }
}

#[tokio::test]
async fn stopping_lets_a_call_end() {
    let server = serve("127.0.0.1:0").await;
    let (mut events, go_on) = server.hang();
    let call = Spawn::tokio().spawn(net().call(&server.address, HANG, Bytes::from_static(b"x"), PATIENCE));
    assert_eq!(events.recv().await, Some("begun"));
    let stop = Spawn::tokio().spawn(server.serving.stop());
    // The port is given up first; then the call may go on.
    while net()
        .call(&server.address, ECHO, Bytes::new(), PATIENCE)
        .await
        .is_ok()
    {}
    go_on.notify_one();
    assert_eq!(call.await.unwrap().unwrap(), "x");
    stop.await.unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let server = serve("127.0.0.1:0").await;
    let (mut events, _go_on) = server.hang();
    let call = Spawn::tokio().spawn(net().call(&server.address, HANG, Bytes::new(), PATIENCE));
    assert_eq!(events.recv().await, Some("begun"));
    Clock::boot()
        .timeout(Duration::from_secs(10), server.serving.stop())
        .await
        .unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(error, CallError::Lost(_)),
        "it may have been done: {error:?}"
    );
}

#[tokio::test]
async fn a_deadline_reaches_the_server_and_ends_the_call_but_not_the_work() {
    let server = serve("127.0.0.1:0").await;
    let told = server
        .net
        .call(&server.address, DEADLINE, Bytes::new(), PATIENCE)
        .await
        .unwrap();
    assert_eq!(told, format!("{:?}", Some(PATIENCE)));

    let (mut events, go_on) = server.hang();
    let short = Duration::from_millis(50);
    let error = server
        .net
        .call(&server.address, HANG, Bytes::new(), short)
        .await
        .unwrap_err();
    assert_eq!(error, CallError::Deadline);
    assert_eq!(events.recv().await, Some("begun"));
    go_on.notify_one();
    assert_eq!(events.recv().await, Some("ended"), "what a call began it ends");
}

#[tokio::test]
async fn a_listener_that_says_nothing_is_a_deadline() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let error = net()
        .open(&address, STREAM, 0, Duration::from_millis(100))
        .await
        .unwrap_err();
    assert_eq!(error, CallError::Deadline);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let server = serve("127.0.0.1:0").await;
    let error = net()
        .serve(&server.address, server.service.clone())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&server.address), "{error}");
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_its_reason_behind_its_frames() {
    let mut server = serve("127.0.0.1:0").await;
    let (mut ours, theirs) = server.link(0).await;
    assert!(theirs.sender.send(Bytes::from_static(b"last")).await);
    let reason = Status::new(Code::NotFound, "nothing of that name");
    theirs.sender.clone().fail(reason.clone());
    theirs.sender.fail(Status::new(Code::Internal, "a second reason"));
    drop(theirs.receiver);
    assert_eq!(ours.receiver.recv().await.unwrap().unwrap(), "last");
    let error = ours.receiver.recv().await.unwrap().unwrap_err();
    let status = error.get_ref().and_then(|inner| inner.downcast_ref::<Status>());
    assert_eq!(status, Some(&reason));
    assert!(ours.receiver.recv().await.is_none());
}
