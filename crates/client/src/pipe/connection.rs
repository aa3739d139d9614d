//! One stream to one node: the table of pending calls and the tasks that serve it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atoll_env::net::{Link, LinkReceiver, LinkSender};
use atoll_env::{Clock, Instant, Task};
use atoll_proto::method;
use atoll_proto::v1::{ErrorDetail, PipeReply, PipeRequestItem, error_detail};
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use slab::Slab;

use super::call::Call;
use super::outbox::{Outbox, Position};
use super::{Failure, Reply, Wires};
use crate::stats::{Counters, count};

/// Calls pending on one connection. An id keeps the table index in its low 16 bits.
const CALLS_MAX: usize = u16::MAX as usize;
/// Bytes waiting to be written to one connection.
const QUEUED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Deadlines are noticed at most this late.
const SWEEP: Duration = Duration::from_millis(20);
/// A link that stayed silent for at least this long while a call waited until its end is given up.
const SILENCE: Duration = Duration::from_secs(1);

/// A stream to one node, being opened, open, or closed for good.
pub(crate) struct Connection {
    state: Mutex<State>,
    /// Mirrors `state.closed`, for a look without the lock.
    closed: AtomicBool,
    opened: AtomicBool,
    clock: Clock,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct State {
    calls: Slab<Pending>,
    /// Tells apart calls that use the same index one after the other.
    serial: u32,
    outbox: Outbox,
    /// Of the writer, while it waits for requests.
    writer: Option<Waker>,
    /// Of the sweeper, while it waits.
    sweeper: Option<Waker>,
    sweep_at: Instant,
    sweep_now: bool,
    /// When the last frame arrived.
    heard: Instant,
    closed: Option<Arc<str>>,
    tasks: Vec<Task<()>>,
    /// Of whoever waits for the last call to end.
    idle: Option<Waker>,
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

impl Connection {
    /// Starts opening a stream. Calls may be made at once; they wait in the outbox.
    pub(super) fn dial(wires: &Wires, address: &Arc<str>, lane: u8) -> Arc<Self> {
        let connection = Arc::new(Self {
            state: Mutex::new(State {
                sweep_at: Instant::default(),
                ..State::default()
            }),
            closed: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            clock: wires.env.clock.clone(),
            counters: Arc::clone(&wires.counters),
        });
        let opening = Arc::clone(&connection).open(wires.clone(), Arc::clone(address), lane);
        connection.keep(wires.env.spawn.spawn(opening));
        connection.keep(wires.env.spawn.spawn(Arc::clone(&connection).sweep()));
        connection
    }

    async fn open(self: Arc<Self>, wires: Wires, address: Arc<str>, lane: u8) {
        match wires
            .env
            .net
            .open(&address, method::PIPE, lane, wires.connect_timeout)
            .await
        {
            Ok(Link { sender, receiver }) => {
                count(&self.counters.links_opened);
                self.opened.store(true, Ordering::Release);
                self.keep(wires.env.spawn.spawn(Arc::clone(&self).read(receiver)));
                self.keep(wires.env.spawn.spawn(Arc::clone(&self).write(sender)));
            }
            Err(error) => self.close(&format!("{address}: {error}")),
        }
    }

    /// Ties a task's life to the connection's.
    fn keep(&self, task: Task<()>) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            task.stop();
        } else {
            state.tasks.push(task);
        }
    }

    /// True once the link is broken or closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// True if the link was open once.
    pub(crate) fn was_open(&self) -> bool {
        self.opened.load(Ordering::Acquire)
    }

    /// Queues a request. `item.id` is chosen here. The call ends at `deadline` if there is no reply
    /// by then; `since` is now.
    pub(crate) fn start(
        self: Arc<Self>,
        item: &mut PipeRequestItem,
        since: Instant,
        deadline: Instant,
    ) -> Result<Call, Failure> {
        let mut locked = self.state.lock();
        let state = &mut *locked;
        if let Some(reason) = &state.closed {
            return Err(Failure::NotSent(Arc::clone(reason)));
        }
        if state.calls.len() >= CALLS_MAX || state.outbox.bytes() >= QUEUED_BYTES_MAX {
            return Err(Failure::Full);
        }
        state.serial = state.serial.wrapping_add(1);
        let entry = state.calls.vacant_entry();
        item.id = (u64::from(state.serial) << 16) | entry.key() as u64;
        let position = state.outbox.push(item);
        entry.insert(Pending {
            serial: state.serial,
            position: Some(position),
            since,
            deadline,
            waker: None,
            reply: None,
        });
        let writer = state.writer.take();
        let sweeper = state.poke_sweeper(deadline);
        drop(locked);
        for waker in [writer, sweeper].into_iter().flatten() {
            waker.wake();
        }
        Ok(Call::new(self, item.id))
    }

    /// Polls a call's reply; a call that is ready is taken out of the table.
    pub(super) fn poll_reply(&self, id: u64, waker: &Waker) -> Poll<Result<Reply, Failure>> {
        let mut state = self.state.lock();
        let pending = state
            .pending(id)
            .expect("a call that has not ended stands in the table");
        match pending.reply.take() {
            Some(reply) => {
                let idle = state.remove(id);
                drop(state);
                wake_all(idle);
                Poll::Ready(reply)
            }
            None => {
                match &mut pending.waker {
                    Some(known) => known.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Gives up a call's place. A request that has not been written never will be.
    pub(super) fn forget(&self, id: u64) {
        let idle = self.state.lock().remove(id);
        wake_all(idle);
    }

    async fn write(self: Arc<Self>, sender: LinkSender) {
        loop {
            let company = poll_fn(|context| self.poll_queued(context)).await;
            if company {
                // Callers that were woken by the same reply frame get their next requests in first.
                tokio::task::yield_now().await;
            }
            let taken = self.state.lock().outbox.take();
            let Some((frame, operations)) = taken else {
                continue;
            };
            count(&self.counters.frames_sent);
            self.counters
                .operations_sent
                .fetch_add(operations as u64, Ordering::Relaxed);
            if !sender.send(frame).await {
                self.close("the link broke");
                return;
            }
        }
    }

    /// Ready when there is something to write; true if other calls are pending too.
    fn poll_queued(&self, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.state.lock();
        if state.outbox.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.calls.len() > 1)
    }

    async fn read(self: Arc<Self>, mut receiver: LinkReceiver) {
        let mut wakers = Vec::new();
        loop {
            let delivered = match receiver.recv().await {
                Some(Ok(frame)) => self.deliver(frame, &mut wakers),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("the other end closed the link".to_owned()),
            };
            // Woken without the lock: a woken caller's first step is to take it.
            wakers.drain(..).for_each(Waker::wake);
            if let Err(reason) = delivered {
                self.close(&reason);
                return;
            }
        }
    }

    fn deliver(&self, frame: Bytes, wakers: &mut Vec<Waker>) -> Result<(), String> {
        let frame = PipeReply::decode(frame).map_err(|error| format!("a reply cannot be read: {error}"))?;
        count(&self.counters.frames_received);
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.heard = now;
        for item in frame.items {
            let State { calls, outbox, .. } = &mut *state;
            let Some(pending) = find(calls, item.id) else {
                continue;
            };
            if pending.reply.is_none() {
                if !pending.is_sent(outbox) {
                    return Err("a reply to a request that was not sent".to_owned());
                }
                pending.reply = Some(Ok(item.result.unwrap_or_else(empty_reply)));
                wakers.extend(pending.waker.take());
            }
        }
        Ok(())
    }

    /// Ends the connection: every pending call fails, all tasks stop.
    pub(crate) fn close(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        let mut wakers = Vec::new();
        let tasks = {
            let mut locked = self.state.lock();
            let state = &mut *locked;
            if state.closed.is_some() {
                return;
            }
            state.closed = Some(Arc::clone(&reason));
            self.closed.store(true, Ordering::Release);
            for (_, pending) in &mut state.calls {
                if pending.reply.is_none() {
                    let failure = if pending.is_sent(&state.outbox) {
                        Failure::Lost
                    } else {
                        Failure::NotSent
                    };
                    pending.reply = Some(Err(failure(Arc::clone(&reason))));
                    wakers.extend(pending.waker.take());
                }
            }
            std::mem::take(&mut state.tasks)
        };
        count(&self.counters.links_lost);
        wakers.into_iter().for_each(Waker::wake);
        for task in tasks {
            task.stop();
        }
    }

    /// Ends calls whose deadline passes. Sleeps until the nearest one, not in ticks.
    async fn sweep(self: Arc<Self>) {
        loop {
            let poked = poll_fn(|context| self.poll_poked(context));
            match self.expire() {
                None => poked.await,
                Some(at) => tokio::select! {
                    biased;
                    () = poked => {}
                    () = self.clock.sleep_until(at) => {}
                },
            }
        }
    }

    fn poll_poked(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.sweep_now) {
            return Poll::Ready(());
        }
        state.sweeper = Some(context.waker().clone());
        Poll::Pending
    }

    /// Ends what is due; when to look again, if anything is pending.
    fn expire(&self) -> Option<Instant> {
        let now = self.clock.now();
        let mut wakers = Vec::new();
        let mut silent = false;
        let next = {
            let mut locked = self.state.lock();
            let State {
                calls,
                outbox,
                heard,
                sweep_at,
                ..
            } = &mut *locked;
            let mut next = None;
            for (_, pending) in calls.iter_mut().filter(|(_, pending)| pending.reply.is_none()) {
                if pending.deadline > now {
                    next = Some(next.map_or(pending.deadline, |at: Instant| at.min(pending.deadline)));
                    continue;
                }
                let sent = pending.is_sent(outbox);
                pending.withdraw(outbox);
                silent |= sent && *heard < pending.since && now.since(pending.since) >= SILENCE;
                pending.reply = Some(Err(Failure::TimedOut { sent }));
                wakers.extend(pending.waker.take());
            }
            let next = next.map(|at| at.max(now + SWEEP));
            *sweep_at = next.unwrap_or(Instant::from_nanos(u64::MAX));
            next
        };
        wakers.into_iter().for_each(Waker::wake);
        if silent {
            self.close("the link is silent");
        }
        next
    }

    /// Waits until no call is pending.
    pub(crate) async fn idle(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if state.calls.is_empty() {
                return Poll::Ready(());
            }
            state.idle = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl State {
    fn pending(&mut self, id: u64) -> Option<&mut Pending> {
        find(&mut self.calls, id)
    }

    /// Removes a call; gives whom to wake if it was the last.
    fn remove(&mut self, id: u64) -> Option<Waker> {
        if let Some(pending) = find(&mut self.calls, id) {
            pending.withdraw(&mut self.outbox);
            self.calls.remove(index(id));
        }
        if self.calls.is_empty() {
            self.idle.take()
        } else {
            None
        }
    }

    /// Whom to wake if a deadline comes before the sweeper would look.
    fn poke_sweeper(&mut self, deadline: Instant) -> Option<Waker> {
        if deadline >= self.sweep_at {
            return None;
        }
        self.sweep_at = deadline;
        self.sweep_now = true;
        self.sweeper.take()
    }
}

impl Pending {
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

fn find(calls: &mut Slab<Pending>, id: u64) -> Option<&mut Pending> {
    calls
        .get_mut(index(id))
        .filter(|pending| u64::from(pending.serial) == id >> 16)
}

fn wake_all(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Stands for a reply of a kind this client does not know.
fn empty_reply() -> Reply {
    Reply::Error(ErrorDetail {
        kind: error_detail::Kind::Internal.into(),
        message: "the server sent a reply without a result".to_owned(),
        ..ErrorDetail::default()
    })
}
