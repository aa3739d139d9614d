//! The pending calls of one connection and their requests.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use atoll_env::Instant;
use atoll_proto::v1::PipeRequestItem;
use slab::Slab;

use super::outbox::{Outbox, Position};
use super::{Failure, Reply};

/// Calls pending on one connection. An id keeps the table index in its low 16 bits.
const CALLS_MAX: usize = u16::MAX as usize;
/// Bytes waiting to be written to one connection.
const QUEUED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A link that stayed silent for at least this long while a call waited until its end is given up.
const SILENCE: Duration = Duration::from_secs(1);

/// The pending calls. Plain data: whom to wake is given back, so that it can be done without the lock.
///
/// A call stands here from [`Calls::begin`] until its future has taken the reply or was dropped. Its
/// reply is set once and never changes.
#[derive(Default)]
pub(super) struct Calls {
    slots: Slab<Pending>,
    /// How many of them have no reply.
    unanswered: usize,
    /// Tells apart calls that use the same index one after the other.
    serial: u32,
    pub(super) outbox: Outbox,
}

struct Pending {
    serial: u32,
    /// `None` once the request was cut out of the outbox.
    position: Option<Position>,
    since: Instant,
    deadline: Instant,
    waker: Option<Waker>,
    reply: Option<Result<Reply, Failure>>,
}

/// What a look at the deadlines found.
#[derive(Default)]
pub(super) struct Expired {
    pub(super) wakers: Vec<Waker>,
    /// A call waited long for a reply and nothing at all has come since it began.
    pub(super) silent: bool,
    /// The nearest deadline of those that go on.
    pub(super) next: Option<Instant>,
}

impl Calls {
    /// Number of pending calls.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Calls that have no reply. One that has a reply may stand here for as long as its caller likes.
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Enters a call and queues its request, whose id is chosen here.
    pub(super) fn begin(
        &mut self,
        item: &mut PipeRequestItem,
        since: Instant,
        deadline: Instant,
    ) -> Result<u64, Failure> {
        if self.slots.len() >= CALLS_MAX || self.outbox.bytes() >= QUEUED_BYTES_MAX {
            return Err(Failure::Full);
        }
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        self.unanswered += 1;
        let slot = self.slots.vacant_entry();
        item.id = (u64::from(serial) << 16) | slot.key() as u64;
        let position = Some(self.outbox.push(item));
        slot.insert(Pending {
            serial,
            position,
            since,
            deadline,
            waker: None,
            reply: None,
        });
        Ok(item.id)
    }

    /// Polls a call's reply. A call that is ready has left the table.
    pub(super) fn poll(&mut self, id: u64, waker: &Waker) -> Poll<Result<Reply, Failure>> {
        let pending = self
            .find(id)
            .expect("a call that has not ended stands in the table");
        if let Some(reply) = pending.reply.take() {
            self.slots.remove(index(id));
            return Poll::Ready(reply);
        }
        match &mut pending.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    }

    /// Takes a call out. A request that has not been written never will be.
    pub(super) fn remove(&mut self, id: u64) {
        if self.find(id).is_some() {
            let mut pending = self.slots.remove(index(id));
            self.unanswered -= usize::from(pending.reply.is_none());
            pending.withdraw(&mut self.outbox);
        }
    }

    /// Sets a call's reply and gives its waker. Replies to calls that have ended are ignored; one to a
    /// request that was never sent shows that the other end is broken.
    pub(super) fn complete(&mut self, id: u64, reply: Reply) -> Result<Option<Waker>, &'static str> {
        let pending = self.slots.get_mut(index(id)).filter(|pending| pending.is(id));
        match pending.filter(|pending| pending.reply.is_none()) {
            None => Ok(None),
            Some(pending) if pending.is_sent(&self.outbox) => {
                pending.reply = Some(Ok(reply));
                self.unanswered -= 1;
                Ok(pending.waker.take())
            }
            Some(_) => Err("a reply to a request that was not sent"),
        }
    }

    /// Fails every call that has no reply.
    pub(super) fn fail_all(&mut self, reason: &Arc<str>) -> Vec<Waker> {
        let outbox = &self.outbox;
        let unanswered = self
            .slots
            .iter_mut()
            .filter(|(_, pending)| pending.reply.is_none());
        let wakers = unanswered.filter_map(|(_, pending)| {
            let failure = if pending.is_sent(outbox) {
                Failure::Lost
            } else {
                Failure::NotSent
            };
            pending.reply = Some(Err(failure(Arc::clone(reason))));
            pending.waker.take()
        });
        let wakers = wakers.collect();
        self.unanswered = 0;
        wakers
    }

    /// Ends every call whose deadline has passed. `heard`: when the last frame arrived.
    pub(super) fn expire(&mut self, now: Instant, heard: Instant) -> Expired {
        let mut expired = Expired::default();
        let outbox = &mut self.outbox;
        for (_, pending) in self
            .slots
            .iter_mut()
            .filter(|(_, pending)| pending.reply.is_none())
        {
            if pending.deadline > now {
                let next = expired.next.get_or_insert(pending.deadline);
                *next = pending.deadline.min(*next);
                continue;
            }
            let sent = pending.is_sent(outbox);
            pending.withdraw(outbox);
            expired.silent |= sent && heard <= pending.since && now.since(pending.since) >= SILENCE;
            pending.reply = Some(Err(Failure::TimedOut { sent }));
            self.unanswered -= 1;
            expired.wakers.extend(pending.waker.take());
        }
        expired
    }

    fn find(&mut self, id: u64) -> Option<&mut Pending> {
        self.slots.get_mut(index(id)).filter(|pending| pending.is(id))
    }
}

impl Pending {
    fn is(&self, id: u64) -> bool {
        u64::from(self.serial) == id >> 16
    }

    fn is_sent(&self, outbox: &Outbox) -> bool {
        self.position
            .as_ref()
            .is_some_and(|position| outbox.is_taken(position))
    }

    /// Cuts an unsent request out of the outbox, once.
    fn withdraw(&mut self, outbox: &mut Outbox) {
        if let Some(position) = self.position.take() {
            outbox.withdraw(&position);
        }
    }
}

fn index(id: u64) -> usize {
    (id & 0xffff) as usize
}
