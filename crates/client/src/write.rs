//! The writing half of [`Client`].

use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::write_op::Kind;
use atoll_proto::v1::{Guard, Misfit, WriteOp, WriteReply, WriteRequest};
use atoll_types::limits::BATCH_OPS_MAX;
use atoll_types::{SlotId, Version};
use bytes::Bytes;

use crate::batch::Batch;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::model::{Cas, Committed, present};
use crate::multi_put;
use crate::ops::{self, Op};
use crate::pipe::{LANE_LARGE, LANE_SMALL, LARGE_BYTES, Reply};

/// Writes are done when they are on the disks of a majority. A dropped future gives a write up: it may
/// still happen.
impl Client {
    /// Stores a value.
    pub async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Version, Error> {
        self.write_one(ops::put(key.into(), value.into())).await
    }

    /// Removes a key, which need not exist.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<Version, Error> {
        self.write_one(ops::delete(key.into())).await
    }

    /// Stores a value if the key has the expected version; `None`: if the key does not exist.
    ///
    /// ```no_run
    /// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
    /// use atoll_client::Cas;
    ///
    /// let held = client.get("lock").await?;
    /// match client.compare_and_set("lock", held.map(|value| value.version), "mine").await? {
    ///     Cas::Done(version) => println!("taken, as version {version}"),
    ///     Cas::Conflict { actual } => println!("somebody was faster: {actual:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn compare_and_set(
        &self,
        key: impl Into<Bytes>,
        expected: Option<Version>,
        value: impl Into<Bytes>,
    ) -> Result<Cas, Error> {
        let key = key.into();
        let guard = ops::version_guard(key.clone(), expected);
        let (slot, op) = ops::put(key, value.into())?;
        match self.write(slot, vec![op], vec![guard]).await? {
            Committed::Done(version) => Ok(Cas::Done(version)),
            Committed::Conflict { actual, .. } => Ok(Cas::Conflict { actual }),
        }
    }

    /// Adds to the number stored at a key and gives the sum. An absent key counts as 0; `by` may be
    /// negative. Numbers are stored in decimal (`42`), so other programs can read and put them.
    ///
    /// A stored value that is no such number, or a sum beyond 64 bits, is
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and nothing is changed.
    ///
    /// ```no_run
    /// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
    /// let visits = client.increment("visits:2026-11-21", 1).await?;
    /// println!("visitor number {visits}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn increment(&self, key: impl Into<Bytes>, by: i64) -> Result<i64, Error> {
        self.compute(ops::number(Kind::Increment, key.into(), by)).await
    }

    /// Stores a number if it is below the one stored, or if the key is absent; gives the number stored
    /// then. Errors as for [`Client::increment`].
    pub async fn store_min(&self, key: impl Into<Bytes>, number: i64) -> Result<i64, Error> {
        self.compute(ops::number(Kind::Min, key.into(), number)).await
    }

    /// Stores a number if it is above the one stored, or if the key is absent; gives the number stored
    /// then. Errors as for [`Client::increment`].
    pub async fn store_max(&self, key: impl Into<Bytes>, number: i64) -> Result<i64, Error> {
        self.compute(ops::number(Kind::Max, key.into(), number)).await
    }

    /// Puts bytes behind those stored at a key and gives the new length. An absent key counts as empty.
    /// A value that would become longer than 1 MiB is
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and nothing is changed.
    pub async fn append(&self, key: impl Into<Bytes>, bytes: impl Into<Bytes>) -> Result<u64, Error> {
        let length = self.compute(ops::append(key.into(), bytes.into())).await?;
        u64::try_from(length).map_err(|_| Error::internal("the reply names a negative length"))
    }

    /// Removes all keys from `start`, included, to `end`, not included, and gives their number. Both
    /// bounds begin with the same complete `{tag}`, so that the range is in one slot.
    ///
    /// Done in pages of 4,096 keys, each of which is removed at once; the deadline holds for each page.
    /// If a later page fails, the error is [`ErrorKind::Unknown`](crate::ErrorKind::Unknown) and says
    /// how many keys are gone. Repeating the call goes on where it stopped.
    ///
    /// ```no_run
    /// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
    /// // ';' is the character after ':', so this is everything that begins with "cart:{7}:".
    /// let removed = client.delete_range("cart:{7}:", "cart:{7};").await?;
    /// println!("{removed} keys removed");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_range(&self, start: impl Into<Bytes>, end: impl Into<Bytes>) -> Result<u64, Error> {
        let op = ops::delete_range(start.into(), end.into(), 0)?;
        let mut removed = 0;
        loop {
            let count = match self.compute(Ok(op.clone())).await {
                Ok(count) => u64::try_from(count).unwrap_or(0),
                Err(error) if removed == 0 => return Err(error),
                Err(error) => {
                    let message = format!("{removed} keys of the range were removed; then: {error}");
                    return Err(Error::new(ErrorKind::Unknown, message));
                }
            };
            removed += count;
            // A page that is not full was the last one.
            if count < BATCH_OPS_MAX as u64 {
                return Ok(removed);
            }
        }
    }

    /// Stores many values, each by itself: one that fails says nothing about the others. The answers
    /// are in the order given, and the deadline holds for each. If a key occurs twice, either value may
    /// be the one that stays.
    ///
    /// ```no_run
    /// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
    /// let rows = vec![("a".into(), "1".into()), ("b".into(), "2".into())];
    /// for outcome in client.multi_put(rows).await {
    ///     println!("{}", outcome?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn multi_put(&self, rows: Vec<(Bytes, Bytes)>) -> Vec<Result<Version, Error>> {
        multi_put::multi_put(self, rows).await
    }

    /// Starts a list of writes that are done all or none.
    pub fn batch(&self) -> Batch {
        Batch::new(self.clone())
    }

    async fn write_one(&self, op: Op) -> Result<Version, Error> {
        let (slot, op) = op?;
        match self.write(slot, vec![op], Vec::new()).await? {
            Committed::Done(version) => Ok(version),
            Committed::Conflict { .. } => Err(Error::internal("a guard failed in a write without guards")),
        }
    }

    /// A write whose answer is a number.
    async fn compute(&self, op: Op) -> Result<i64, Error> {
        let (slot, op) = op?;
        let key = op.key.clone();
        let reply = self.send_write(slot, vec![op], Vec::new()).await?;
        if reply.misfit() != Misfit::None {
            return Err(ops::misfit(reply.misfit(), Some(&key)));
        }
        self.engine.saw(Version(reply.version));
        reply
            .number
            .filter(|_| reply.applied)
            .ok_or_else(|| Error::new(ErrorKind::Unknown, "the reply does not say what is stored now"))
    }

    pub(crate) async fn write(
        &self,
        slot: SlotId,
        ops: Vec<WriteOp>,
        guards: Vec<Guard>,
    ) -> Result<Committed, Error> {
        // Needed only if an operation turns out not to fit.
        let keys: Vec<Bytes> = if ops.iter().any(ops::computes) {
            ops.iter().map(|op| op.key.clone()).collect()
        } else {
            Vec::new()
        };
        let reply = self.send_write(slot, ops, guards).await?;
        if reply.misfit() != Misfit::None {
            return Err(ops::misfit(reply.misfit(), keys.get(reply.misfit_op as usize)));
        }
        self.engine.saw(Version(reply.version));
        if reply.applied {
            return Ok(Committed::Done(Version(reply.version)));
        }
        Ok(Committed::Conflict {
            guard: reply.failed_guard as usize,
            actual: present(reply.version),
        })
    }

    async fn send_write(
        &self,
        slot: SlotId,
        ops: Vec<WriteOp>,
        guards: Vec<Guard>,
    ) -> Result<WriteReply, Error> {
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
        match self.call(slot, lane, Operation::Write(request)).await? {
            Reply::Write(reply) => Ok(reply),
            // Whatever it answered, it may have written.
            _ => Err(Error::new(
                ErrorKind::Unknown,
                "the reply does not fit the request",
            )),
        }
    }
}
