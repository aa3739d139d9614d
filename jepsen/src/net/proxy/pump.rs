//! The bytes of one connection in one direction.

use std::collections::VecDeque;
use std::io;

use atoll_env::watch;
use atoll_env::{Clock, Instant, Rng};
use bytes::{Buf, Bytes, BytesMut};
use rustix::net::Shutdown;
use tokio::net::TcpStream;

use super::condition::Condition;
use super::way::{Course, Passed};

/// Read at once.
const CHUNK: usize = 32 * 1024;
/// Held back by delays and narrow ways; more is left with the sender.
const QUEUE_BYTES: usize = 256 * 1024;

/// The connection must end, at both sides, without order.
#[derive(Debug)]
pub(super) struct Broken;

/// How many of the two ends of a connection have sent their last.
pub(super) type Ends = watch::Sender<u8>;

/// Moves what one end sends to the other.
///
/// The death of an end is news like any other: the other end learns of it only through the pump that reads from the dead one,
/// so that a direction which is cut does not tell of it either.
pub(super) struct Pump<'a> {
    source: &'a TcpStream,
    sink: &'a TcpStream,
    course: Course,
    clock: &'a Clock,
    rng: &'a Rng,
    ends: &'a Ends,
    both_ended: watch::Receiver<u8>,
    buffer: BytesMut,
    queue: VecDeque<Piece>,
    queued: usize,
    /// Nothing goes before.
    not_before: Instant,
    source_end: Option<End>,
    sink_gone: bool,
    /// Something was swallowed: what follows must never arrive.
    holed: bool,
}

/// What was read at once.
struct Piece {
    bytes: Bytes,
    arrived: Instant,
    /// Its part of the jitter, from 0 to 1.
    luck: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Orderly,
    Broken,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        (source, sink): (&'a TcpStream, &'a TcpStream),
        course: Course,
        (clock, rng): (&'a Clock, &'a Rng),
        ends: &'a Ends,
    ) -> Self {
        Self {
            source,
            sink,
            course,
            clock,
            rng,
            ends,
            both_ended: ends.subscribe(),
            buffer: BytesMut::new(),
            queue: VecDeque::new(),
            queued: 0,
            not_before: Instant::default(),
            source_end: None,
            sink_gone: false,
            holed: false,
        }
    }

    /// Until the source has ended in order and everything has passed, or there is nobody left to care.
    pub(super) async fn run(mut self) -> Result<(), Broken> {
        loop {
            let condition = self.course.condition();
            self.heed(condition)?;
            if let Some(end) = self.source_end
                && self.queue.is_empty()
                && !condition.blackhole
            {
                return self.finish(end);
            }
            let may_read = self.source_end.is_none() && self.queued < QUEUE_BYTES;
            let unheard = self.source_end.is_some() && condition.blackhole;
            let ready = self.ready(condition);
            let due = ready.is_none_or(|ready| ready <= self.clock.now());
            tokio::select! {
                biased;
                changed = self.course.changed() => {
                    // Everybody's connections end when this begins, those that come later when they are used.
                    if changed.map_err(|_| Broken)?.reset {
                        return Err(Broken);
                    }
                }
                () = both(&mut self.both_ended), if unheard => return Ok(()),
                _ = self.sink.writable(), if ready.is_some() && due => self.write(),
                () = self.clock.sleep_until(ready.unwrap_or_default()), if !due => {}
                _ = self.source.readable(), if may_read => self.read(),
            }
        }
    }

    fn heed(&mut self, condition: Condition) -> Result<(), Broken> {
        if condition.blackhole {
            self.holed |= !self.queue.is_empty() || self.source_end.is_some();
            self.discard();
            return Ok(());
        }
        if self.holed || condition.reset && !self.queue.is_empty() {
            return Err(Broken);
        }
        Ok(())
    }

    /// When the next bytes may go; `None` if there are none.
    fn ready(&self, condition: Condition) -> Option<Instant> {
        let front = self.queue.front()?;
        let due = front.arrived + condition.delay + condition.jitter.mul_f64(front.luck);
        Some(due.max(self.not_before))
    }

    fn read(&mut self) {
        self.buffer.reserve(CHUNK);
        match self.source.try_read_buf(&mut self.buffer) {
            Ok(0) => self.source_ended(End::Orderly),
            // Read on: whoever cannot be written to may still say why.
            Ok(_) if self.sink_gone => self.buffer.clear(),
            Ok(count) => {
                self.queued += count;
                self.queue.push_back(Piece {
                    bytes: self.buffer.split().freeze(),
                    arrived: self.clock.now(),
                    luck: self.rng.fraction(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.source_ended(End::Broken),
        }
    }

    fn source_ended(&mut self, end: End) {
        self.source_end = Some(end);
        self.ends.send_modify(|ended| *ended += 1);
    }

    fn write(&mut self) {
        let Some(front) = self.queue.front_mut() else {
            return;
        };
        let sink = self.sink;
        let passed = self
            .course
            .pass(self.clock, &front.bytes, |bytes| sink.try_write(bytes));
        match passed {
            Ok(Passed::Sent(count)) => {
                self.queued -= count;
                front.bytes.advance(count);
                if front.bytes.is_empty() {
                    self.queue.pop_front();
                }
                if let Some(pause) = self.course.pause() {
                    self.not_before = self.clock.now() + pause;
                }
            }
            Ok(Passed::Wait(until)) => self.not_before = until,
            // The next look at the condition says what follows.
            Ok(Passed::Barred) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.sink_gone = true;
                self.discard();
            }
        }
    }

    fn discard(&mut self) {
        self.queue.clear();
        self.queued = 0;
    }

    fn finish(&self, end: End) -> Result<(), Broken> {
        if end == End::Broken {
            return Err(Broken);
        }
        // A sink that is gone needs not be told.
        let _ = rustix::net::shutdown(self.sink, Shutdown::Write);
        Ok(())
    }
}

async fn both(ended: &mut watch::Receiver<u8>) {
    drop(ended.wait_for(|ended| *ended == 2).await);
}
