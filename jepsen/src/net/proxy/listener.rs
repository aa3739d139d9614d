//! Where the connections of one link come in.
#![expect(
    clippy::disallowed_types,
    reason = "a proxy is about sockets themselves, which the seam for messages hides"
)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::way::Course;

/// Connections of one link at a time. No node and no client opens nearly as many; more are closed at once.
const CONNECTIONS_MAX: usize = 1024;
/// Wait after a connection could not be accepted (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A link from everyone who is told its address to one target.
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// Where connections go and what may befall them.
pub(super) struct Route {
    pub(super) target: SocketAddr,
    /// From the openers to the target.
    pub(super) forth: Course,
    /// From the target to the openers.
    pub(super) back: Course,
}

impl Listener {
    /// Takes a port that the system chooses. Needs a running tokio runtime.
    pub(super) fn bind() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener: TcpListener::from_std(listener)?,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the ways of the route are no more.
    pub(super) fn start(self, env: &Env, route: Route) {
        let env = env.clone();
        env.spawn.clone().spawn(async move {
            tokio::select! {
                biased;
                () = route.forth.clone().closed() => {}
                () = self.accept(&env, &route) => {}
            }
        });
    }

    async fn accept(&self, env: &Env, route: &Route) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            match self.listener.accept().await {
                Ok((opener, _)) => connect(env, route, &room, opener),
                Err(_) => env.clock.sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

fn connect(env: &Env, route: &Route, room: &Arc<Semaphore>, opener: TcpStream) {
    let Ok(place) = Arc::clone(room).try_acquire_owned() else {
        return;
    };
    let connection = Connection {
        opener,
        target: route.target,
        forth: route.forth.fresh(),
        back: route.back.fresh(),
        clock: env.clock.clone(),
        rng: env.rng.clone(),
    };
    env.spawn.spawn(async move {
        connection.run().await;
        drop(place);
    });
}
