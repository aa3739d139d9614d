//! One stream to one node: the pending calls and the tasks that serve them.

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

use super::call::Call;
use super::table::Calls;
use super::{Failure, Reply, Wires};
use crate::stats::{Counters, count};

/// Deadlines are noticed at most this late.
const SWEEP: Duration = Duration::from_millis(20);

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
    calls: Calls,
    /// Of the writer, while it waits for requests.
    writer: Option<Waker>,
    /// Of the sweeper, while it waits.
    sweeper: Option<Waker>,
    /// When the sweeper will look at the deadlines next.
    sweep_at: Instant,
    /// It should do so at once.
    sweep_now: bool,
    /// When the last frame arrived.
    heard: Instant,
    closed: Option<Arc<str>>,
    tasks: Vec<Task<()>>,
    /// Of those who wait for the last call to end.
    idle: Vec<Waker>,
}

impl Connection {
    /// Starts opening a stream. Calls may be made at once; they wait in the outbox.
    pub(super) fn dial(wires: &Wires, address: &Arc<str>, lane: u8) -> Arc<Self> {
        let connection = Arc::new(Self {
            state: Mutex::default(),
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
        let mut state = self.state.lock();
        if let Some(reason) = &state.closed {
            return Err(Failure::NotSent(Arc::clone(reason)));
        }
        let id = state.calls.begin(item, since, deadline)?;
        let writer = state.writer.take();
        let sweeper = state.poke_sweeper(deadline);
        drop(state);
        for waker in [writer, sweeper].into_iter().flatten() {
            waker.wake();
        }
        Ok(Call::new(self, id))
    }

    /// Polls a call's reply; a call that is ready has left the table.
    pub(super) fn poll_reply(&self, id: u64, waker: &Waker) -> Poll<Result<Reply, Failure>> {
        let mut state = self.state.lock();
        let polled = state.calls.poll(id, waker);
        let idle = state.idle_wakers();
        drop(state);
        idle.into_iter().for_each(Waker::wake);
        polled
    }

    /// Gives up a call's place. A request that has not been written never will be.
    pub(super) fn forget(&self, id: u64) {
        let mut state = self.state.lock();
        state.calls.remove(id);
        let idle = state.idle_wakers();
        drop(state);
        idle.into_iter().for_each(Waker::wake);
    }

    async fn write(self: Arc<Self>, sender: LinkSender) {
        loop {
            let company = poll_fn(|context| self.poll_queued(context)).await;
            if company {
                // Callers that were woken by the same reply frame get their next requests in first.
                tokio::task::yield_now().await;
            }
            let taken = self.state.lock().calls.outbox.take();
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
        if state.calls.outbox.is_empty() {
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
            let reply = item.result.unwrap_or_else(empty_reply);
            wakers.extend(state.calls.complete(item.id, reply)?);
        }
        wakers.extend(state.idle_wakers());
        Ok(())
    }

    /// Ends the connection: every pending call fails, all tasks stop.
    pub(crate) fn close(&self, reason: &str) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return;
        }
        let reason: Arc<str> = reason.into();
        state.closed = Some(Arc::clone(&reason));
        self.closed.store(true, Ordering::Release);
        let mut wakers = state.calls.fail_all(&reason);
        wakers.extend(state.idle_wakers());
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
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
        let mut state = self.state.lock();
        let heard = state.heard;
        let expired = state.calls.expire(now, heard);
        let next = expired.next.map(|at| at.max(now + SWEEP));
        let idle = state.idle_wakers();
        state.sweep_at = next.unwrap_or(Instant::from_nanos(u64::MAX));
        drop(state);
        expired.wakers.into_iter().chain(idle).for_each(Waker::wake);
        if expired.silent {
            self.close("the link is silent");
        }
        next
    }

    /// Waits until no call waits for a reply.
    pub(crate) async fn idle(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if state.calls.unanswered() == 0 {
                return Poll::Ready(());
            }
            state.idle.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl State {
    /// Whom to wake if no call waits for a reply any more.
    fn idle_wakers(&mut self) -> Vec<Waker> {
        if self.calls.unanswered() == 0 {
            std::mem::take(&mut self.idle)
        } else {
            Vec::new()
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

/// Stands for a reply of a kind this client does not know.
fn empty_reply() -> Reply {
    Reply::Error(ErrorDetail {
        kind: error_detail::Kind::Internal.into(),
        message: "the server sent a reply without a result".to_owned(),
        ..ErrorDetail::default()
    })
}
