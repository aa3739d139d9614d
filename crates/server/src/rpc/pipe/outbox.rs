//! Replies on their way out of one pipe.

use std::collections::VecDeque;
use std::sync::Arc;

use atoll_proto::v1;
use atoll_types::limits::{PIPE_BYTES_MAX, PIPE_OPS_MAX};
use bytes::Bytes;
use parking_lot::Mutex;
use prost::encoding::message;
use tokio::sync::Notify;

use crate::rpc::convert;
use crate::rpc::error::Locate;
use crate::rpc::kv::Traffic;
use crate::shard::{Delivery, Failure, RETRY_AFTER_MS, Replies, Reply};

/// A frame is sent on once it has this many bytes.
const FRAME_BYTES: usize = 64 * 1024;
/// The field number of `PipeReply.items`.
const ITEMS_FIELD: u32 = 1;

/// Where the groups leave replies and the pipe's task finds them, encoded already: each is appended
/// as one more element of a `PipeReply`, so frames need no list of messages in between.
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    wake: Notify,
    places: Arc<dyn Locate>,
    traffic: Arc<Traffic>,
}

#[derive(Default)]
struct Inner {
    /// Full frames.
    ready: VecDeque<Vec<u8>>,
    /// The frame being filled.
    open: Vec<u8>,
    /// Bytes in both.
    bytes: usize,
    pending_ops: usize,
    pending_bytes: usize,
    /// Nobody is there to read replies any more.
    closed: bool,
}

impl Outbox {
    /// An empty one. Redirects are looked up in `places`, refusals counted in `traffic`.
    pub(crate) fn new(places: Arc<dyn Locate>, traffic: Arc<Traffic>) -> Self {
        Self {
            inner: Mutex::default(),
            wake: Notify::new(),
            places,
            traffic,
        }
    }

    /// Counts operations that will get a reply each.
    pub(crate) fn expect(&self, ops: usize, bytes: usize) {
        let mut inner = self.inner.lock();
        inner.pending_ops += ops;
        inner.pending_bytes += bytes;
    }

    /// True while more operations may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        let inner = self.inner.lock();
        inner.pending_ops < PIPE_OPS_MAX && inner.pending_bytes < PIPE_BYTES_MAX
    }

    /// True if every operation has its reply and every reply has been taken to be sent.
    pub(crate) fn is_settled(&self) -> bool {
        let inner = self.inner.lock();
        inner.pending_ops == 0 && inner.bytes == 0
    }

    /// True if a whole frame waits.
    pub(crate) fn has_full_frame(&self) -> bool {
        !self.inner.lock().ready.is_empty()
    }

    /// The next frame to send: a full one, else what there is.
    pub(crate) fn next_frame(&self) -> Option<Bytes> {
        let mut inner = self.inner.lock();
        let frame = match inner.ready.pop_front() {
            Some(frame) => frame,
            None if inner.open.is_empty() => return None,
            None => std::mem::take(&mut inner.open),
        };
        inner.bytes -= frame.len();
        Some(Bytes::from(frame))
    }

    /// Waits until replies came after the last wait.
    pub(crate) async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Forgets replies, present and future: the other end is gone.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.ready.clear();
        inner.open = Vec::new();
        inner.bytes = 0;
    }
}

impl Inner {
    fn append(&mut self, delivery: Delivery, places: &dyn Locate, traffic: &Traffic) {
        self.pending_ops = self.pending_ops.saturating_sub(1);
        self.pending_bytes = self.pending_bytes.saturating_sub(delivery.cost as usize);
        if self.closed {
            return;
        }
        let result = convert::result(self.bounded(delivery.reply), places);
        if let v1::pipe_reply_item::Result::Error(detail) = &result {
            traffic.refused(detail.kind());
        }
        let item = v1::PipeReplyItem {
            id: delivery.id,
            result: Some(result),
        };
        let before = self.open.len();
        message::encode(ITEMS_FIELD, &item, &mut self.open);
        self.bytes += self.open.len() - before;
        if self.open.len() >= FRAME_BYTES {
            let fresh = Vec::with_capacity(FRAME_BYTES);
            self.ready.push_back(std::mem::replace(&mut self.open, fresh));
        }
    }

    /// The reply, or, when a client reads far slower than it asks, the news that there is no room for
    /// its values. Replies without values are small and bounded by the number of operations.
    fn bounded(&self, reply: Reply) -> Reply {
        let has_values = matches!(
            reply,
            Reply::Value { .. } | Reply::Values { .. } | Reply::Page { .. }
        );
        if self.bytes < PIPE_BYTES_MAX || !has_values {
            return reply;
        }
        let what = "the replies on this pipe are not read as fast as they are asked for";
        Reply::Failed(Failure::Overloaded {
            what,
            retry_after_ms: RETRY_AFTER_MS,
        })
    }
}

impl Replies for Outbox {
    fn deliver(&self, batch: &mut Vec<Delivery>) {
        {
            let mut inner = self.inner.lock();
            if inner.open.capacity() == 0 && !inner.closed {
                inner.open.reserve(4096);
            }
            for delivery in batch.drain(..) {
                inner.append(delivery, &*self.places, &self.traffic);
            }
        }
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::error::tests::Numbered;
    use crate::shard::{Proof, ReplySlot};
    use atoll_types::{Epoch, GroupGen, GroupId, GroupKey, ReplicaId, Version};
    use prost::Message;
    use v1::error_detail::Kind;

    fn outbox() -> Arc<Outbox> {
        Arc::new(Outbox::new(Arc::new(Numbered), Arc::default()))
    }

    fn proof() -> Proof {
        let group = GroupKey::new(GroupId(3), GroupGen(2));
        Proof {
            group,
            replica: ReplicaId(4),
            applied_index: 500,
            slot_epoch: Epoch(6),
            age_ms: u64::MAX,
            version: Version(77),
        }
    }

    fn value(len: usize) -> Reply {
        Reply::Value {
            found: Some((Version(1), vec![7; len].into())),
            proof: proof(),
        }
    }

    fn items(outbox: &Outbox) -> Vec<v1::PipeReplyItem> {
        let mut items = Vec::new();
        while let Some(frame) = outbox.next_frame() {
            items.extend(v1::PipeReply::decode(frame).unwrap().items);
        }
        items
    }

    fn kinds(items: &[v1::PipeReplyItem]) -> Vec<(u64, Kind)> {
        let kind = |item: &v1::PipeReplyItem| match &item.result {
            Some(v1::pipe_reply_item::Result::Error(detail)) => (item.id, detail.kind()),
            _ => (item.id, Kind::Unspecified),
        };
        items.iter().map(kind).collect()
    }

    #[test]
    fn appended_replies_decode_as_one_message() {
        let outbox = outbox();
        outbox.expect(3, 0);
        let mut batch = vec![
            Delivery {
                id: 1,
                cost: 0,
                reply: Reply::Written {
                    version: Version(77),
                    number: None,
                    proof: proof(),
                },
            },
            Delivery {
                id: 2,
                cost: 0,
                reply: value(300),
            },
            Delivery {
                id: u64::MAX,
                cost: 0,
                reply: Reply::Failed(Failure::Deadline),
            },
        ];
        outbox.deliver(&mut batch);
        // A caller that has said its last word still gets what was replied and not yet sent.
        assert!(batch.is_empty() && !outbox.is_settled());
        let frame = outbox.next_frame().unwrap();
        assert!(outbox.is_settled());
        let reply = v1::PipeReply::decode(frame.clone()).unwrap();
        assert_eq!(reply.encode_to_vec(), frame);
        assert_eq!(
            reply.items.iter().map(|item| item.id).collect::<Vec<_>>(),
            [1, 2, u64::MAX]
        );
        let Some(v1::pipe_reply_item::Result::Write(write)) = &reply.items[0].result else {
            panic!()
        };
        assert_eq!((write.applied, write.version), (true, 77));
        let wire = write.proof.unwrap();
        assert_eq!((wire.group, wire.generation, wire.replica), (3, 2, 4));
        assert_eq!(
            (wire.applied_index, wire.slot_epoch, wire.age_ms),
            (500, 6, u64::MAX)
        );
        let Some(v1::pipe_reply_item::Result::Get(get)) = &reply.items[1].result else {
            panic!()
        };
        assert_eq!((get.found, get.value.len()), (true, 300));
        assert!(outbox.next_frame().is_none());
    }

    #[test]
    fn frames_are_cut_and_in_order() {
        let outbox = outbox();
        outbox.expect(100, 0);
        for id in 0..100 {
            outbox.deliver(&mut vec![Delivery {
                id,
                cost: 0,
                reply: value(2000),
            }]);
        }
        assert!(outbox.has_full_frame());
        let first = outbox.next_frame().unwrap();
        assert!((FRAME_BYTES..FRAME_BYTES + 2100).contains(&first.len()));
        let mut ids: Vec<u64> = v1::PipeReply::decode(first)
            .unwrap()
            .items
            .iter()
            .map(|item| item.id)
            .collect();
        ids.extend(items(&outbox).iter().map(|item| item.id));
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
        assert_eq!(outbox.inner.lock().bytes, 0);
    }

    #[test]
    fn room_is_taken_by_operations_and_bytes_and_given_back() {
        let outbox = outbox();
        outbox.expect(PIPE_OPS_MAX, 0);
        assert!(!outbox.has_room());
        outbox.deliver(&mut vec![Delivery {
            id: 1,
            cost: 0,
            reply: value(1),
        }]);
        assert!(outbox.has_room());
        for id in 2..10 {
            outbox.deliver(&mut vec![Delivery {
                id,
                cost: 0,
                reply: value(1),
            }]);
        }
        outbox.expect(1, PIPE_BYTES_MAX);
        assert!(!outbox.has_room(), "few operations, but many bytes");
        outbox.deliver(&mut vec![Delivery {
            id: 10,
            cost: PIPE_BYTES_MAX as u32,
            reply: value(1),
        }]);
        assert!(outbox.has_room());
    }

    #[test]
    fn a_client_that_does_not_read_gets_no_more_values() {
        let outbox = outbox();
        let count = PIPE_BYTES_MAX / (1 << 20) + 3;
        outbox.expect(count + 1, 0);
        for id in 0..count as u64 {
            outbox.deliver(&mut vec![Delivery {
                id,
                cost: 0,
                reply: value(1 << 20),
            }]);
        }
        let written = Reply::Written {
            version: Version(1),
            number: None,
            proof: proof(),
        };
        outbox.deliver(&mut vec![Delivery {
            id: 99,
            cost: 0,
            reply: written,
        }]);
        assert!(outbox.inner.lock().bytes < PIPE_BYTES_MAX + (2 << 20));
        let kinds = kinds(&items(&outbox));
        assert_eq!(kinds.len(), count + 1);
        assert_eq!(kinds[count - 1].1, Kind::Overloaded);
        assert_eq!(kinds[count], (99, Kind::Unspecified));
    }

    #[test]
    fn a_dropped_write_answers_with_the_certainty_it_has() {
        let outbox = outbox();
        outbox.expect(3, 0);
        drop(ReplySlot::new(outbox.clone(), 1));
        let mut proposed = ReplySlot::new(outbox.clone(), 2);
        proposed.set_proposed(true);
        drop(proposed);
        let mut given_back = ReplySlot::new(outbox.clone(), 3);
        given_back.set_proposed(true);
        given_back.set_proposed(false);
        drop(given_back);
        let expected = [
            (1, Kind::Unavailable),
            (2, Kind::UnknownOutcome),
            (3, Kind::Unavailable),
        ];
        assert_eq!(kinds(&items(&outbox)), expected);
        assert!(outbox.is_settled());
    }

    #[test]
    fn answered_slots_answer_once_and_wake_once_per_pipe() {
        let (one, other) = (outbox(), outbox());
        one.expect(3, 0);
        other.expect(1, 0);
        let slot = |outbox: &Arc<Outbox>, id| ReplySlot::new(outbox.clone(), id);
        let slots = [
            slot(&one, 1),
            slot(&one, 2),
            slot(&other, 3),
            slot(&one, 4),
            ReplySlot::ignored(),
        ];
        crate::shard::answer_all(
            slots
                .into_iter()
                .map(|slot| (slot, Reply::Failed(Failure::Stale))),
        );
        assert_eq!(
            kinds(&items(&one)),
            [(1, Kind::Stale), (2, Kind::Stale), (4, Kind::Stale)]
        );
        assert_eq!(kinds(&items(&other)), [(3, Kind::Stale)]);
        assert!(one.is_settled() && other.is_settled());
    }

    #[test]
    fn a_closed_outbox_keeps_nothing_but_its_counts() {
        let outbox = outbox();
        outbox.expect(2, 0);
        outbox.deliver(&mut vec![Delivery {
            id: 1,
            cost: 0,
            reply: value(10),
        }]);
        outbox.close();
        outbox.deliver(&mut vec![Delivery {
            id: 2,
            cost: 0,
            reply: value(10),
        }]);
        assert!(outbox.is_settled() && outbox.next_frame().is_none());
    }
}
