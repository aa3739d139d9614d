//! One frame's operations, sorted by group, so that each group is spoken to once per frame.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Instant;
use atoll_kv::Command;
use atoll_placement::ShardMap;
use atoll_proto::v1;
use atoll_types::GroupId;
use rustc_hash::FxHashMap;

use super::outbox::Outbox;
use crate::rpc::convert::{self, Request};
use crate::rpc::kv::{Serving, route};
use crate::shard::{
    DEADLINE_DEFAULT, Delivery, Failure, ReadBatch, ReadItem, Replies, Reply, ReplySlot, Shard, WriteItem,
};

/// Sorts; [`Sorter::hand_over`] gives everything to its group.
pub(crate) struct Sorter<'a> {
    serving: &'a Serving,
    outbox: &'a Arc<Outbox>,
    map: Arc<ShardMap>,
    now: Instant,
    /// In the order of first appearance, which keeps runs repeatable.
    buckets: Vec<Bucket>,
    by_group: FxHashMap<GroupId, usize>,
    refused: Vec<Delivery>,
    ops: usize,
    bytes: usize,
}

struct Bucket {
    shard: Result<Arc<Shard>, Failure>,
    writes: Vec<WriteItem>,
    reads: Vec<ReadItem>,
}

impl<'a> Sorter<'a> {
    /// For one frame, read now.
    pub(crate) fn new(serving: &'a Serving, outbox: &'a Arc<Outbox>) -> Self {
        Self {
            serving,
            outbox,
            map: serving.directory.map(),
            now: serving.env.clock.now(),
            buckets: Vec::new(),
            by_group: FxHashMap::default(),
            refused: Vec::new(),
            ops: 0,
            bytes: 0,
        }
    }

    /// Takes one operation; whatever is wrong with it becomes its reply.
    pub(crate) fn take(&mut self, item: v1::PipeRequestItem) {
        self.ops += 1;
        let v1::PipeRequestItem {
            id,
            deadline_ms,
            group,
            operation,
        } = item;
        let sorted = match operation {
            Some(operation) => convert::operation(operation),
            None => Err(Failure::Invalid(
                "the item has no operation that this version knows".into(),
            )),
        };
        let placed = sorted.and_then(|(named, request)| {
            let hint = if group == 0 { named } else { GroupId(group) };
            let group = route(&self.map, hint, &request)?;
            self.place(group, id, deadline_ms, request)
        });
        if let Err(failure) = placed {
            self.refused.push(Delivery {
                id,
                cost: 0,
                reply: Reply::Failed(failure),
            });
        }
    }

    fn place(&mut self, group: GroupId, id: u64, deadline_ms: u32, request: Request) -> Result<(), Failure> {
        let deadline = self.now + patience(deadline_ms);
        let position = self.bucket(group);
        let bucket = self
            .buckets
            .get_mut(position)
            .expect("bucket() returns a position inside");
        if let Err(failure) = &bucket.shard {
            return Err(failure.clone());
        }
        let command = match request {
            Request::Read(read) => {
                let item = read.item(id, deadline, group);
                self.bytes += item.cost as usize;
                bucket.reads.push(item);
                return Ok(());
            }
            Request::Write(command) => command,
            Request::OpenSession(client, version) => Command::open_session(client, version),
        };
        let item = WriteItem::new(command, deadline, ReplySlot::new(self.outbox.clone(), id));
        self.bytes += item.bytes();
        bucket.writes.push(item);
        Ok(())
    }

    fn bucket(&mut self, group: GroupId) -> usize {
        if let Some(&position) = self.by_group.get(&group) {
            return position;
        }
        let shard = self.serving.shard(&self.map, group);
        self.buckets.push(Bucket {
            shard,
            writes: Vec::new(),
            reads: Vec::new(),
        });
        self.by_group.insert(group, self.buckets.len() - 1);
        self.buckets.len() - 1
    }

    /// Gives each group its operations, and the refusals to the pipe.
    pub(crate) fn hand_over(mut self) {
        self.outbox.expect(self.ops, self.bytes);
        if !self.refused.is_empty() {
            self.outbox.deliver(&mut self.refused);
        }
        for bucket in self.buckets {
            let Ok(shard) = bucket.shard else { continue };
            if !bucket.writes.is_empty() {
                shard.submit_writes(bucket.writes);
            }
            if !bucket.reads.is_empty() {
                shard.submit_reads(ReadBatch::new(bucket.reads, self.outbox.clone()));
            }
        }
    }
}

/// What the caller gives the operation; 0: the default.
pub(crate) fn patience(deadline_ms: u32) -> Duration {
    match deadline_ms {
        0 => DEADLINE_DEFAULT,
        millis => Duration::from_millis(u64::from(millis)),
    }
}
