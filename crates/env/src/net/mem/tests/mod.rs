//! The network in memory: calls and links, what cuts and crashes do to them, and that a seed decides everything. All
//! under paused time: nothing here waits.

mod calls;
mod ends;
mod links;
mod seeds;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::{MemNet, MemNetOptions, MemNode};
use crate::net::{CallError, Code, Handler, Link, Net, Serving, Status};
use crate::{BoxFuture, Clock, Rng, Scope, Spawn, Task};

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

    /// A call that the server has begun, and does not end before it is told to.
    async fn hanging(&self, request: &'static str) -> Task<Result<Bytes, CallError>> {
        let request = Bytes::from_static(request.as_bytes());
        let call = Spawn::tokio().spawn(self.client.call(SERVER, HANG, request, PATIENCE));
        self.service.begun.notified().await;
        call
    }

    async fn hears_nothing(&self, link: &mut Link, limit: Duration) -> bool {
        self.clock.timeout(limit, link.receiver.recv()).await.is_err()
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
