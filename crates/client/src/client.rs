//! The client itself.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_placement::slot_of;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{GetRequest, Guard, WriteOp, WriteReply, WriteRequest, write_op};
use atoll_types::limits::VALUE_BYTES_MAX;
use atoll_types::{Key, SlotId, Version};
use bytes::Bytes;

use crate::batch::Batch;
use crate::engine::{Engine, Job, Route, Stop};
use crate::error::Error;
use crate::model::{Cas, Committed, Value, present};
use crate::multi_get;
use crate::options::Options;
use crate::pipe::{LANE_LARGE, LANE_SMALL, LARGE_BYTES, Reply};
use crate::scan::{Scan, ScanOptions};
use crate::stats::ClientStats;

/// A client of one cluster. Clones share its connections, its session and its map; use one from as
/// many tasks as you like, calls made at the same time travel together.
///
/// Every call ends within the deadline. Dropping a call's future gives it up; a write given up so may
/// still happen.
#[derive(Clone)]
pub struct Client {
    pub(crate) engine: Arc<Engine>,
    deadline: Duration,
}

impl Client {
    /// Finds the cluster through any of the `seeds` (`host:port`) and gets its shard map.
    pub async fn connect(env: &Env, seeds: &[String], options: Options) -> Result<Self, Error> {
        let deadline = options.deadline;
        let engine = Arc::new(Engine::connect(env, seeds, options).await?);
        Ok(Self { engine, deadline })
    }

    /// The same client with another time limit for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            deadline,
        }
    }

    /// Stores a value. Done when it is on the disks of a majority.
    pub async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Version, Error> {
        let (slot, op) = put_op(key.into(), value.into())?;
        self.write_one(slot, op).await
    }

    /// Removes a key, which need not exist.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<Version, Error> {
        let (slot, op) = delete_op(key.into())?;
        self.write_one(slot, op).await
    }

    /// Stores a value if the key has the expected version; `None`: if the key does not exist.
    pub async fn compare_and_set(
        &self,
        key: impl Into<Bytes>,
        expected: Option<Version>,
        value: impl Into<Bytes>,
    ) -> Result<Cas, Error> {
        let key = key.into();
        let guard = version_guard(key.clone(), expected);
        let (slot, op) = put_op(key, value.into())?;
        match self.write(slot, vec![op], vec![guard]).await? {
            Committed::Done(version) => Ok(Cas::Done(version)),
            Committed::Conflict { actual, .. } => Ok(Cas::Conflict { actual }),
        }
    }

    /// Starts a list of writes that are done all or none.
    pub fn batch(&self) -> Batch {
        Batch::new(self.clone())
    }

    /// Reads the newest acknowledged value (linearizable).
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Value>, Error> {
        let key = key.into();
        let slot = checked_slot(&key)?;
        let operation = Operation::Get(GetRequest { key, options: None });
        let Reply::Get(reply) = self.call(slot, LANE_SMALL, operation).await? else {
            return Err(Error::internal("the reply does not fit the request"));
        };
        if !reply.found {
            return Ok(None);
        }
        let version = Version(reply.version);
        self.engine.saw(version);
        Ok(Some(Value {
            bytes: reply.value,
            version,
        }))
    }

    /// Reads many keys, in the order given. Each read is linearizable; together they are not a
    /// snapshot.
    pub async fn multi_get(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Value>>, Error> {
        multi_get::multi_get(self, keys).await
    }

    /// Reads a range or a prefix in key order, over all groups, page by page.
    pub fn scan(&self, options: ScanOptions) -> Scan {
        Scan::new(self.clone(), options)
    }

    /// Takes no new calls, lets those in progress end, and closes all connections.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// What this client has done so far.
    pub fn stats(&self) -> ClientStats {
        self.engine.wires.counters.read()
    }

    pub(crate) fn deadline_from_now(&self) -> atoll_env::Instant {
        self.engine.wires.env.clock.now() + self.deadline
    }

    async fn write_one(&self, slot: SlotId, op: WriteOp) -> Result<Version, Error> {
        match self.write(slot, vec![op], Vec::new()).await? {
            Committed::Done(version) => Ok(version),
            Committed::Conflict { .. } => Err(Error::internal("a guard failed in a write without guards")),
        }
    }

    pub(crate) async fn write(
        &self,
        slot: SlotId,
        ops: Vec<WriteOp>,
        guards: Vec<Guard>,
    ) -> Result<Committed, Error> {
        let bytes: usize = ops.iter().map(|op| op.key.len() + op.value.len()).sum();
        let lane = if bytes > LARGE_BYTES {
            LANE_LARGE
        } else {
            LANE_SMALL
        };
        let request = WriteRequest {
            ops,
            guards,
            session: None,
            after: 0,
        };
        let Reply::Write(reply) = self.call(slot, lane, Operation::Write(request)).await? else {
            // Whatever it answered, it may have written.
            return Err(Error::new(
                crate::ErrorKind::Unknown,
                "the reply does not fit the request",
            ));
        };
        Ok(self.committed(&reply))
    }

    fn committed(&self, reply: &WriteReply) -> Committed {
        self.engine.saw(Version(reply.version));
        if reply.applied {
            return Committed::Done(Version(reply.version));
        }
        Committed::Conflict {
            guard: reply.failed_guard as usize,
            actual: present(reply.version),
        }
    }

    async fn call(&self, slot: SlotId, lane: u8, operation: Operation) -> Result<Reply, Error> {
        let deadline = self.deadline_from_now();
        let job = Job {
            route: Route::Slot(slot),
            lane,
            operation,
            deadline,
        };
        self.engine.run(job).await.map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::Moved => Error::internal("a call by slot follows the slot"),
        })
    }
}

/// Checks the key's bounds and finds its slot.
pub(crate) fn checked_slot(key: &[u8]) -> Result<SlotId, Error> {
    Key::check(key).map_err(|error| Error::invalid(error.to_string()))?;
    Ok(slot_of(key))
}

pub(crate) fn put_op(key: Bytes, value: Bytes) -> Result<(SlotId, WriteOp), Error> {
    let slot = checked_slot(&key)?;
    if value.len() > VALUE_BYTES_MAX {
        let message = format!(
            "the value has {} bytes; at most {VALUE_BYTES_MAX} are allowed",
            value.len()
        );
        return Err(Error::invalid(message));
    }
    Ok((
        slot,
        WriteOp {
            kind: write_op::Kind::Put.into(),
            key,
            value,
            ..WriteOp::default()
        },
    ))
}

pub(crate) fn delete_op(key: Bytes) -> Result<(SlotId, WriteOp), Error> {
    let slot = checked_slot(&key)?;
    Ok((
        slot,
        WriteOp {
            kind: write_op::Kind::Delete.into(),
            key,
            ..WriteOp::default()
        },
    ))
}

pub(crate) fn version_guard(key: Bytes, expected: Option<Version>) -> Guard {
    Guard {
        key,
        end: Bytes::new(),
        version: expected.unwrap_or_default().0,
    }
}
