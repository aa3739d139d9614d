//! Several writes, all or none.

use atoll_placement::slot_of;
use atoll_proto::v1::write_op::Kind;
use atoll_proto::v1::{Guard, WriteOp};
use atoll_types::limits::{BATCH_BYTES_MAX, BATCH_GUARDS_MAX, BATCH_OPS_MAX};
use atoll_types::{Key, SlotId, Version};
use bytes::Bytes;

use crate::client::Client;
use crate::error::Error;
use crate::model::Committed;
use crate::ops::{self, Op, checked_slot, version_guard};

/// Writes that are done all or none, behind guards. All keys must be in one slot, which keys with the
/// same `{tag}` always are: `order:{7}:head` and `order:{7}:lines`.
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    client: Client,
    slot: Option<SlotId>,
    ops: Vec<WriteOp>,
    guards: Vec<Guard>,
    bytes: usize,
    /// The first thing that was wrong; told by [`Batch::commit`].
    error: Option<Error>,
}

impl Batch {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            slot: None,
            ops: Vec::new(),
            guards: Vec::new(),
            bytes: 0,
            error: None,
        }
    }

    /// Stores a value.
    pub fn put(self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.op(ops::put(key.into(), value.into()))
    }

    /// Removes a key, which need not exist.
    pub fn delete(self, key: impl Into<Bytes>) -> Self {
        self.op(ops::delete(key.into()))
    }

    /// Adds to the number stored at a key. See [`Client::increment`]. An operation that does not fit
    /// what is stored fails the whole batch with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    pub fn increment(self, key: impl Into<Bytes>, by: i64) -> Self {
        self.op(ops::number(Kind::Increment, key.into(), by))
    }

    /// Stores a number if it is below the one stored. See [`Client::store_min`].
    pub fn store_min(self, key: impl Into<Bytes>, number: i64) -> Self {
        self.op(ops::number(Kind::Min, key.into(), number))
    }

    /// Stores a number if it is above the one stored. See [`Client::store_max`].
    pub fn store_max(self, key: impl Into<Bytes>, number: i64) -> Self {
        self.op(ops::number(Kind::Max, key.into(), number))
    }

    /// Puts bytes behind those stored at a key. See [`Client::append`].
    pub fn append(self, key: impl Into<Bytes>, bytes: impl Into<Bytes>) -> Self {
        self.op(ops::append(key.into(), bytes.into()))
    }

    /// Removes the first `limit` keys of a range within the batch's `{tag}`: 1 to 4,096 for all ranges
    /// of the batch together. [`Client::delete_range`] removes all.
    pub fn delete_range(self, start: impl Into<Bytes>, end: impl Into<Bytes>, limit: u32) -> Self {
        let op = if (1..=BATCH_OPS_MAX).contains(&(limit as usize)) {
            ops::delete_range(start.into(), end.into(), limit)
        } else {
            let message = format!("a range in a batch removes 1 to {BATCH_OPS_MAX} keys, not {limit}");
            Err(Error::invalid(message))
        };
        self.op(op)
    }

    /// Guard: the key has this version; `None`: the key does not exist.
    pub fn expect_version(self, key: impl Into<Bytes>, expected: Option<Version>) -> Self {
        let key = key.into();
        self.guard(checked_slot(&key), version_guard(key, expected))
    }

    /// Guard: no key in `start..end` was written after `newest`. The range must stay within one
    /// `{tag}`, since the guard sees only the batch's own group.
    pub fn expect_range_unchanged(
        self,
        start: impl Into<Bytes>,
        end: impl Into<Bytes>,
        newest: Version,
    ) -> Self {
        let (key, end) = (start.into(), end.into());
        let slot = match (Key::check(&key), key < end) {
            (Err(error), _) => Err(Error::invalid(error.to_string())),
            (Ok(()), false) => Err(Error::invalid(
                "the guarded range is empty: its end is not above its start",
            )),
            (Ok(()), true) => Ok(slot_of(&key)),
        };
        self.guard(
            slot,
            Guard {
                key,
                end,
                version: newest.0,
            },
        )
    }

    /// Does it. The batch as a whole is applied at one version, or not at all.
    pub async fn commit(self) -> Result<Committed, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let (ops, guards) = (self.ops.len(), self.guards.len());
        if ops > BATCH_OPS_MAX || guards > BATCH_GUARDS_MAX || self.bytes > BATCH_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the batch has {ops} operations, {guards} guards and {} bytes; at most {BATCH_OPS_MAX}, \
                 {BATCH_GUARDS_MAX} and {BATCH_BYTES_MAX} are allowed",
                self.bytes
            )));
        }
        let slot = self.slot.ok_or_else(|| Error::invalid("the batch is empty"))?;
        self.client.write(slot, self.ops, self.guards).await
    }

    fn op(mut self, op: Op) -> Self {
        match op {
            Ok((slot, op)) => {
                self.bytes = self
                    .bytes
                    .saturating_add(op.key.len() + op.value.len() + op.end.len());
                self.join(slot, &op.key.clone());
                self.ops.push(op);
            }
            Err(error) => self.fail(error),
        }
        self
    }

    fn guard(mut self, slot: Result<SlotId, Error>, guard: Guard) -> Self {
        match slot {
            Ok(slot) => {
                self.bytes = self.bytes.saturating_add(guard.key.len() + guard.end.len());
                self.join(slot, &guard.key.clone());
                self.guards.push(guard);
            }
            Err(error) => self.fail(error),
        }
        self
    }

    fn join(&mut self, slot: SlotId, key: &[u8]) {
        let expected = *self.slot.get_or_insert(slot);
        if expected != slot {
            self.fail(Error::invalid(format!(
                "key \"{}\" is in slot {slot}, the batch in slot {expected}; keys of one batch need the same \
                 {{tag}} in their names, as in order:{{7}}:head and order:{{7}}:lines",
                key.escape_ascii()
            )));
        }
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}
