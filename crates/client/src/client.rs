//! The client itself: making it, per-call options, and reads.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_proto::v1::GetRequest;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_types::{SlotId, Version};
use bytes::Bytes;

use crate::builder::ClientBuilder;
use crate::consistency::{Consistency, Routing};
use crate::engine::{Engine, Job, Route, Stop};
use crate::error::Error;
use crate::model::{Proof, Read, Value};
use crate::multi_get;
use crate::ops::checked_slot;
use crate::options::{CallOptions, Options};
use crate::pipe::{LANE_SMALL, Reply};
use crate::scan::{self, Scan, ScanOptions};
use crate::stats::ClientStats;
use crate::token::SessionToken;

/// A client of one cluster. Clones share its connections, its sessions and its map; use one from as
/// many tasks as you like, calls made at the same time travel together.
///
/// Every call ends within the deadline. Every call may be given up by dropping its future: a read then
/// never happened, a write may still happen, and the client is as good as before.
///
/// The `with_` methods make a handle with other options for its calls. They are as cheap as a clone,
/// so make one for a single call if you like.
#[derive(Clone)]
pub struct Client {
    pub(crate) engine: Arc<Engine>,
    pub(crate) options: CallOptions,
}

impl Client {
    /// Starts the description of a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Finds the cluster through any of the `seeds` (`host:port`) and gets its shard map. What
    /// [`ClientBuilder::build_in`] does.
    pub async fn connect(env: &Env, seeds: &[String], options: Options) -> Result<Self, Error> {
        let call = CallOptions::from(&options);
        let engine = Arc::new(Engine::connect(env, seeds, options).await?);
        Ok(Self {
            engine,
            options: call,
        })
    }

    /// The same client with another time limit for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        let mut client = self.clone();
        client.options.deadline = deadline;
        client
    }

    /// The same client with reads of another level. Has no effect on writes.
    #[must_use]
    pub fn with_consistency(&self, consistency: Consistency) -> Self {
        let mut client = self.clone();
        client.options.consistency = consistency;
        client
    }

    /// The same client with reads of what there was at a version: that of a row or of a write, or any other. Together they are one
    /// snapshot of each group, over all pages of a scan too, and over groups as far as versions go: of whatever was written with
    /// a version up to this one, by anybody, they see all. [`Version::ZERO`]: of what there is now.
    ///
    /// The consistency level has no say then. [`ErrorKind::Compacted`](crate::ErrorKind::Compacted): so old that it is not kept (`history-s` of the
    /// nodes). Has no effect on writes.
    ///
    /// ```no_run
    /// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
    /// use atoll_client::ScanOptions;
    ///
    /// let before = client.put("stock:7", "none").await?;
    /// client.put("stock:7", "a dozen").await?;
    /// let then = client.at_version(before);
    /// assert_eq!(then.get("stock:7").await?.unwrap().bytes, "none");
    /// println!("{} rows then", then.count(ScanOptions::default()).await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn at_version(&self, version: Version) -> Self {
        let mut client = self.clone();
        client.options.at = version;
        client
    }

    /// The same client with reads from other replicas. Has no effect on writes.
    #[must_use]
    pub fn with_routing(&self, routing: Routing) -> Self {
        let mut client = self.clone();
        client.options.routing = routing;
        client
    }

    /// Reads a value; `None` if the key does not exist.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Value>, Error> {
        Ok(self.fetch(key.into()).await?.0)
    }

    /// Reads a value together with the proof: which replica answered, from what state, how old at most.
    pub async fn read(&self, key: impl Into<Bytes>) -> Result<Read, Error> {
        let (value, proof) = self.fetch(key.into()).await?;
        let proof = proof.ok_or_else(|| Error::internal("the reply does not say where it comes from"))?;
        Ok(Read { value, proof })
    }

    /// Reads many keys, in the order given. Each read is of this client's consistency level; together
    /// they are not a snapshot. The deadline holds for all together.
    pub async fn multi_get(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Value>>, Error> {
        multi_get::multi_get(self, keys).await
    }

    /// Reads a range or a prefix in key order, over all groups, page by page or as a stream.
    pub fn scan(&self, options: ScanOptions) -> Scan {
        Scan::new(self.clone(), options)
    }

    /// Counts the rows of a range without fetching them, in all groups at once. `limit` bounds the
    /// result. The deadline holds for each page that is counted, not for the whole.
    ///
    /// ```no_run
    /// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
    /// use atoll_client::ScanOptions;
    ///
    /// println!("{} orders", client.count(ScanOptions::prefix("order:")).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn count(&self, options: ScanOptions) -> Result<u64, Error> {
        scan::count(self, options).await
    }

    /// Everything this client (with all its clones) has written and read so far, for a reader
    /// elsewhere or later. See [`SessionToken`].
    pub fn session_token(&self) -> SessionToken {
        self.engine.router.table().token()
    }

    /// Takes no new calls, lets those in progress end (at most for the deadline the client was made
    /// with), and closes all connections. Dropping the future leaves the client closed to new calls
    /// and its connections open until the last clone is dropped.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// What this client has done so far.
    pub fn stats(&self) -> ClientStats {
        self.engine.wires.counters.read()
    }

    pub(crate) fn deadline_from_now(&self) -> atoll_env::Instant {
        self.engine.wires.env.clock.now() + self.options.deadline
    }

    async fn fetch(&self, key: Bytes) -> Result<(Option<Value>, Option<Proof>), Error> {
        let slot = checked_slot(&key)?;
        let operation = Operation::Get(GetRequest { key, options: None });
        let Reply::Get(reply) = self.call(slot, LANE_SMALL, operation).await? else {
            return Err(Error::internal("the reply does not fit the request"));
        };
        let proof = reply.proof.map(Proof::from);
        if !reply.found {
            return Ok((None, proof));
        }
        let version = Version(reply.version);
        self.engine.saw(version);
        let value = Value {
            bytes: reply.value,
            version,
        };
        Ok((Some(value), proof))
    }

    pub(crate) async fn call(&self, slot: SlotId, lane: u8, operation: Operation) -> Result<Reply, Error> {
        let now = self.engine.wires.env.clock.now();
        let job = Job {
            route: Route::Slot(slot),
            lane,
            operation,
            begun: Some(now),
            deadline: now + self.options.deadline,
            options: &self.options,
        };
        self.engine.run(job).await.map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::Moved => Error::internal("a call by slot follows the slot"),
        })
    }
}
