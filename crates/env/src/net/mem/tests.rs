//! All under paused time: nothing here waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::{MemNet, MemNetOptions, MemNode};
use crate::net::{CallError, Code, Handler, Link, Net, Serving, Status};
use crate::{BoxFuture, Clock, Rng, Scope, Spawn};

const ECHO: &str = "/test.Service/Echo";
const FAIL: &str = "/test.Service/Fail";
const HANG: &str = "/test.Service/Hang";
const STREAM: &str = "/test.Service/Stream";
const UNKNOWN: &str = "/test.Service/Unknown";
const PATIENCE: Duration = Duration::from_secs(30);
const SERVER: &str = "server:1";

/// Answers calls, counts those it did, and hands links to the test.
struct Service {
    links: mpsc::Sender<Link>,
    go_on: Notify,
    begun: Notify,
    done: Mutex<Vec<Bytes>>,
}

struct Handling(Arc<Service>);

impl Handler for Handling {
    fn is_stream(&self, method: &str) -> Option<bool> {
        match method {
            ECHO | FAIL | HANG => Some(false),
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
        assert!(deadline.is_some());
        let service = self.0.clone();
        let method = method.to_owned();
        Box::pin(async move {
            if method == HANG {
                service.begun.notify_one();
                service.go_on.notified().await;
            }
            service.done.lock().push(request.clone());
            if method == FAIL {
                return Err(Status {
                    details: Bytes::from_static(b"why"),
                    ..Status::new(Code::Aborted, "no")
                });
            }
            Ok(request)
        })
    }

    fn open(&self, method: &str, link: Link) {
        assert_eq!(method, STREAM);
        self.0.links.try_send(link).expect("the test takes its links");
    }
}

/// A network of a client and a server.
struct World {
    net: MemNet,
    clock: Clock,
    client: MemNode,
    service: Arc<Service>,
    links: mpsc::Receiver<Link>,
    scope: Scope,
    serving: Option<Serving>,
}

impl World {
    async fn new(options: MemNetOptions) -> Self {
        let net = MemNet::new(options);
        let client = net.node("client", Spawn::tokio());
        let (sender, links) = mpsc::channel(16);
        let service = Arc::new(Service {
            links: sender,
            go_on: Notify::new(),
            begun: Notify::new(),
            done: Mutex::default(),
        });
        let scope = Scope::new(Rng::seeded(0));
        let clock = Clock::simulated(1.0, 0);
        let mut world = Self {
            net,
            clock,
            client,
            service,
            links,
            scope,
            serving: None,
        };
        world.start_server().await;
        world
    }

    async fn start_server(&mut self) {
        self.scope = Scope::new(Rng::seeded(0));
        let node = self.net.node("server", Spawn::simulated(self.scope.clone()));
        self.serving = Some(
            node.serve(SERVER, Arc::new(Handling(self.service.clone())))
                .await
                .unwrap(),
        );
    }

    fn crash_server(&self) {
        self.net.crash("server");
        self.scope.end();
    }

    async fn call(
        &self,
        method: &'static str,
        request: &'static str,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        self.client
            .call(SERVER, method, Bytes::from_static(request.as_bytes()), deadline)
            .await
    }

    async fn link(&mut self) -> (Link, Link) {
        let ours = self.client.open(SERVER, STREAM, 0, PATIENCE).await.unwrap();
        (ours, self.links.recv().await.unwrap())
    }

    fn done(&self) -> Vec<Bytes> {
        self.service.done.lock().clone()
    }
}

async fn world() -> World {
    World::new(MemNetOptions::default()).await
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn send(link: &Link, frame: &'static str) {
    assert!(link.sender.send(Bytes::from_static(frame.as_bytes())).await);
}

async fn receive(link: &mut Link) -> Bytes {
    link.receiver
        .recv()
        .await
        .expect("not closed")
        .expect("not broken")
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_or_refused() {
    let world = world().await;
    assert_eq!(world.call(ECHO, "hi", PATIENCE).await.unwrap(), "hi");
    let CallError::Status(status) = world.call(FAIL, "", PATIENCE).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(
        (status.code, status.details),
        (Code::Aborted, Bytes::from_static(b"why"))
    );
    let error = world.call(UNKNOWN, "", PATIENCE).await.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Status(Status {
                code: Code::Unimplemented,
                ..
            })
        ),
        "{error:?}"
    );
    let error = world.client.open(SERVER, UNKNOWN, 0, PATIENCE).await.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Status(Status {
                code: Code::Unimplemented,
                ..
            })
        ),
        "{error:?}"
    );
    for nobody in ["server:2", "nowhere:1"] {
        let error = world
            .client
            .call(nobody, ECHO, Bytes::new(), PATIENCE)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ports_are_given_out_and_taken() {
    let net = MemNet::new(MemNetOptions::default());
    let world = world().await;
    let handler: Arc<dyn Handler> = Arc::new(Handling(world.service.clone()));
    let node = net.node("n1", Spawn::tokio());
    let first = node.serve("0.0.0.0:0", handler.clone()).await.unwrap();
    let second = node.serve("n1:0", handler.clone()).await.unwrap();
    assert!(first.address().starts_with("n1:"));
    assert_ne!(first.address(), second.address());
    let error = node.serve(first.address(), handler.clone()).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let address = first.address().to_owned();
    first.stop().await;
    assert_eq!(node.serve(&address, handler).await.unwrap().address(), address);
}

#[tokio::test(start_paused = true)]
async fn frames_arrive_in_order_and_directions_close_alone() {
    let mut world = world().await;
    let (ours, mut theirs) = world.link().await;
    let Link { sender, mut receiver } = ours;
    let sending = Spawn::tokio().spawn(async move {
        for number in 0..500_u32 {
            assert!(sender.send(Bytes::copy_from_slice(&number.to_le_bytes())).await);
        }
    });
    for number in 0..500_u32 {
        assert_eq!(receive(&mut theirs).await, number.to_le_bytes()[..]);
    }
    assert!(theirs.receiver.recv().await.is_none(), "closed in order");
    sending.await.unwrap();
    let Link {
        sender,
        receiver: ended,
    } = theirs;
    drop(ended);
    assert!(
        sender.send(Bytes::from_static(b"late answer")).await,
        "a receiver that ended closes nothing"
    );
    assert_eq!(receiver.recv().await.unwrap().unwrap(), "late answer");
    drop(sender);
    assert!(receiver.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_link_delivers_what_was_sent_and_then_breaks_it() {
    let mut world = world().await;
    let (mut ours, theirs) = world.link().await;
    send(&theirs, "last words").await;
    drop(theirs);
    assert_eq!(receive(&mut ours).await, "last words");
    assert!(ours.receiver.recv().await.unwrap().is_err());
    ours.sender.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stops_the_writer_but_closing_ends_both() {
    let mut world = world().await;
    let (ours, theirs) = world.link().await;
    let mut sent = 0;
    while world
        .clock
        .timeout(seconds(1), ours.sender.send(Bytes::from_static(b"x")))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 200, "nothing bounds what is on the way");
    }
    drop(ours.receiver);
    theirs.sender.closed().await;
    ours.sender.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_stalls_and_healing_goes_on() {
    let mut world = world().await;
    let (ours, mut theirs) = world.link().await;
    world.net.cut("client", "server");
    send(&ours, "through").await;
    assert!(
        world
            .clock
            .timeout(seconds(9), theirs.receiver.recv())
            .await
            .is_err()
    );
    world.net.heal("client", "server");
    assert_eq!(receive(&mut theirs).await, "through");
    world.clock.sleep(seconds(20)).await;
    send(&theirs, "back").await;
}

#[tokio::test(start_paused = true)]
async fn a_long_cut_breaks_links_at_both_ends_and_dialling_is_not_sent() {
    let mut world = world().await;
    let (mut ours, mut theirs) = world.link().await;
    world.net.cut("server", "client");
    let error = world.client.open(SERVER, STREAM, 0, PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    assert!(ours.receiver.recv().await.unwrap().is_err());
    assert!(theirs.receiver.recv().await.unwrap().is_err());
    ours.sender.closed().await;
    theirs.sender.closed().await;
    world.net.heal_all();
    let (ours, mut theirs) = world.link().await;
    send(&ours, "again").await;
    assert_eq!(receive(&mut theirs).await, "again");
}

#[tokio::test(start_paused = true)]
async fn one_way_cuts_let_the_other_way_through_for_a_while() {
    let mut world = world().await;
    let (mut ours, mut theirs) = world.link().await;
    world.net.cut_one_way("client", "server");
    send(&theirs, "heard").await;
    assert_eq!(receive(&mut ours).await, "heard");
    send(&ours, "not heard").await;
    assert!(
        world
            .clock
            .timeout(seconds(5), theirs.receiver.recv())
            .await
            .is_err()
    );
    assert!(
        theirs.receiver.recv().await.unwrap().is_err(),
        "in the end the connection breaks"
    );
}

#[tokio::test(start_paused = true)]
async fn isolation_and_partitions_name_nodes() {
    let world = world().await;
    let third = world.net.node("third", Spawn::tokio());
    let reach = |node: &MemNode| node.call(SERVER, ECHO, Bytes::new(), seconds(1));
    world.net.isolate("server");
    assert!(reach(&third).await.is_err());
    world.net.heal_all();
    assert!(reach(&third).await.is_ok());
    world.net.partition(&["server", "third"]);
    assert!(reach(&third).await.is_ok());
    assert!(reach(&world.client).await.is_err());
    world.net.heal("client", "server");
    assert!(reach(&world.client).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_cut_may_have_been_done() {
    let world = world().await;
    // The connection for calls exists from now on.
    world.call(ECHO, "first", PATIENCE).await.unwrap();
    world.net.cut_one_way("server", "client");
    assert_eq!(
        world.call(ECHO, "short", seconds(1)).await.unwrap_err(),
        CallError::Deadline
    );
    assert_eq!(
        world.done(),
        ["first", "short"],
        "the request arrived, the answer did not"
    );
    let error = world.call(ECHO, "long", PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error:?}");
    assert_eq!(world.done(), ["first", "short", "long"]);
    let error = world.call(ECHO, "new connection", PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    assert_eq!(world.done().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_arrive_after_its_caller_gave_up() {
    let world = world().await;
    world.call(ECHO, "first", PATIENCE).await.unwrap();
    world.net.cut("server", "client");
    assert_eq!(
        world.call(ECHO, "late", seconds(1)).await.unwrap_err(),
        CallError::Deadline
    );
    assert_eq!(world.done(), ["first"]);
    world.net.heal_all();
    world.clock.sleep(seconds(1)).await;
    assert_eq!(world.done(), ["first", "late"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_resets_links_loses_calls_and_refuses_until_the_restart() {
    let mut world = world().await;
    let (mut ours, _theirs) = world.link().await;
    let call = Spawn::tokio().spawn(
        world
            .client
            .call(SERVER, HANG, Bytes::from_static(b"x"), PATIENCE),
    );
    world.service.begun.notified().await;
    world.crash_server();
    assert!(ours.receiver.recv().await.unwrap().is_err());
    ours.sender.closed().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error:?}");
    world.service.go_on.notify_one();
    world.clock.sleep(seconds(1)).await;
    assert!(world.done().is_empty(), "the handler died with its node");
    let error = world.call(ECHO, "refused", PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    world.start_server().await;
    assert_eq!(world.call(ECHO, "back", PATIENCE).await.unwrap(), "back");
}

#[tokio::test(start_paused = true)]
async fn a_crash_behind_a_cut_is_not_heard_of() {
    let mut world = world().await;
    let (mut ours, _theirs) = world.link().await;
    world.net.cut("client", "server");
    world.crash_server();
    assert!(
        world
            .clock
            .timeout(seconds(5), ours.receiver.recv())
            .await
            .is_err()
    );
    world.net.heal_all();
    assert!(ours.receiver.recv().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_replaced_cannot_dial_or_serve() {
    let world = world().await;
    let ghost = world.client.clone();
    let client = world.net.node("client", Spawn::tokio());
    let error = ghost
        .call(SERVER, ECHO, Bytes::new(), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    assert!(
        ghost
            .serve("client:1", Arc::new(Handling(world.service.clone())))
            .await
            .is_err()
    );
    client.call(SERVER, ECHO, Bytes::new(), PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_links_but_lets_calls_end() {
    let mut world = world().await;
    let (mut ours, _theirs) = world.link().await;
    let call = Spawn::tokio().spawn(
        world
            .client
            .call(SERVER, HANG, Bytes::from_static(b"x"), PATIENCE),
    );
    world.service.begun.notified().await;
    let stop = Spawn::tokio().spawn(world.serving.take().unwrap().stop());
    assert!(ours.receiver.recv().await.unwrap().is_err());
    let error = world.client.open(SERVER, STREAM, 0, PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    world.service.go_on.notify_one();
    assert_eq!(call.await.unwrap().unwrap(), "x");
    stop.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let mut world = world().await;
    let call = Spawn::tokio().spawn(world.client.call(SERVER, HANG, Bytes::new(), PATIENCE));
    world.service.begun.notified().await;
    world
        .clock
        .timeout(seconds(3), world.serving.take().unwrap().stop())
        .await
        .unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error:?}");
}

/// Many links and calls under loss, cuts and a crash; returns what was seen and the trace.
async fn storm(seed: u64) -> (Vec<String>, u64) {
    let options = MemNetOptions {
        seed,
        loss_per_million: 20_000,
        ..MemNetOptions::default()
    };
    let mut world = World::new(options).await;
    let luck = Rng::seeded(seed);
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut links = std::mem::replace(&mut world.links, mpsc::channel(1).1);
    Spawn::tokio().spawn(async move {
        while let Some(link) = links.recv().await {
            Spawn::tokio().spawn(echo(link));
        }
    });
    let mut tasks = Vec::new();
    for number in 0..8_u32 {
        let (client, log, clock) = (world.client.clone(), log.clone(), world.clock.clone());
        tasks.push(Spawn::tokio().spawn(async move {
            for round in 0..20 {
                let outcome = exchange(&client, number).await;
                log.lock().push(format!("{number}.{round} {outcome}"));
                clock.sleep(Duration::from_millis(30)).await;
            }
        }));
    }
    for _ in 0..20 {
        world.clock.sleep(Duration::from_millis(luck.below(1500))).await;
        match luck.below(4) {
            0 => world.net.cut("client", "server"),
            1 => world.net.cut_one_way("server", "client"),
            2 => {
                world.crash_server();
                world.start_server().await;
            }
            _ => world.net.heal_all(),
        }
    }
    world.net.heal_all();
    for task in tasks {
        task.await.unwrap();
    }
    let seen = log.lock().clone();
    (seen, world.net.trace())
}

async fn echo(mut link: Link) {
    while let Some(Ok(frame)) = link.receiver.recv().await {
        link.sender.send(frame).await;
    }
}

async fn exchange(client: &MemNode, number: u32) -> String {
    let limit = Duration::from_millis(700);
    let payload = Bytes::copy_from_slice(&number.to_le_bytes());
    if number.is_multiple_of(2) {
        return format!("{:?}", client.call(SERVER, ECHO, payload, limit).await);
    }
    let mut link = match client.open(SERVER, STREAM, 0, limit).await {
        Ok(link) => link,
        Err(error) => return format!("{error:?}"),
    };
    let mut echoed = 0;
    while echoed < 30 && link.sender.send(payload.clone()).await {
        match link.receiver.recv().await {
            Some(Ok(frame)) => assert_eq!(frame, payload),
            other => return format!("{echoed} then {other:?}"),
        }
        echoed += 1;
    }
    format!("{echoed}")
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(storm(seed))
    };
    let mut traces = std::collections::BTreeSet::new();
    let mut all = String::new();
    for seed in 0..6 {
        let (log, trace) = run(seed);
        assert_eq!((&log, trace), (&run(seed).0, run(seed).1), "seed {seed}");
        traces.insert(trace);
        all.extend(log);
    }
    assert_eq!(traces.len(), 6, "another seed, another run");
    for outcome in ["Ok", "NotSent", "Lost", "Deadline", " 30", "ConnectionReset"] {
        assert!(all.contains(outcome), "{outcome} never happened");
    }
}
