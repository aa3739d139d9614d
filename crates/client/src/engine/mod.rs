//! One call from start to end: find the node, send, and after a failure do what [`crate::retry`] says.

mod blame;
mod job;
mod reading;
mod run;
mod session;

pub(crate) use job::{Job, Route, Stop};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use atoll_env::Env;
use atoll_types::Version;

use crate::error::Error;
use crate::options::Options;
use crate::pipe::Wires;
use crate::retry::Budget;
use crate::route::Router;
use crate::stats::Counters;

/// What all clones of a client share.
pub(crate) struct Engine {
    pub(crate) wires: Wires,
    pub(crate) options: Options,
    pub(crate) router: Router,
    budget: Budget,
    /// The highest version seen in any reply.
    seen: AtomicU64,
}

impl Engine {
    /// Connects: returns when a shard map is there.
    pub(crate) async fn connect(env: &Env, seeds: &[String], options: Options) -> Result<Self, Error> {
        if seeds.is_empty() {
            return Err(Error::invalid("no seed address was given"));
        }
        let wires = Wires::new(
            env.clone(),
            options.connect_timeout,
            Arc::new(Counters::default()),
        );
        let deadline = env.clock.now() + options.deadline;
        let router = Router::new(wires.clone(), seeds, &options.zone);
        router.connect(deadline).await?;
        let (budget, seen) = (Budget::default(), AtomicU64::new(0));
        Ok(Self {
            wires,
            options,
            router,
            budget,
            seen,
        })
    }

    /// Notes a version, so that later writes get higher ones.
    pub(crate) fn saw(&self, version: Version) {
        if version.0 > self.seen.load(Relaxed) {
            self.seen.fetch_max(version.0, Relaxed);
        }
    }

    /// Lets calls in progress end, then closes all links.
    pub(crate) async fn close(&self) {
        self.wires.close();
        let connections = self.router.pool.connections();
        let ended = async {
            for connection in &connections {
                connection.idle().await;
            }
        };
        if self
            .wires
            .env
            .clock
            .timeout(self.options.deadline, ended)
            .await
            .is_err()
        {
            tracing::debug!("closing although calls are pending");
        }
        self.cut("the client was closed");
    }

    fn cut(&self, reason: &str) {
        for connection in self.router.pool.connections() {
            connection.close(reason);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.wires.close();
        self.cut("the client was dropped");
    }
}
