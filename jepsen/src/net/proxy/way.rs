//! One direction between two parties, shared by all connections that carry messages that way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::watch::{self, Closed};
use atoll_env::{Clock, Instant};
use parking_lot::Mutex;

use super::condition::Condition;

/// Between two drips.
const DRIP_PAUSE: Duration = Duration::from_millis(10);
/// Bytes of one drip.
const DRIP_BYTES: usize = 32;
/// A narrow way is filled in pieces that take this long.
const PIECE: Duration = Duration::from_millis(20);

/// A direction as its owner sees it. When this is dropped, all connections of the way end.
pub(super) struct Way {
    condition: watch::Sender<Condition>,
    taken: Arc<Mutex<Instant>>,
}

/// A direction as a connection sees it.
#[derive(Clone)]
pub(super) struct Course {
    condition: watch::Receiver<Condition>,
    /// Until when a narrow way is busy with what was sent.
    taken: Arc<Mutex<Instant>>,
}

/// What became of bytes that were to be sent.
pub(super) enum Passed {
    /// So many of them went.
    Sent(usize),
    /// None yet; look again then.
    Wait(Instant),
    /// The condition does not let any pass.
    Barred,
}

impl Way {
    pub(super) fn new() -> Self {
        Self {
            condition: watch::Sender::new(Condition::default()),
            taken: Arc::default(),
        }
    }

    /// From when this returns, no byte passes against the new condition.
    pub(super) fn set(&self, condition: Condition) {
        self.condition.send_if_modified(|current| {
            let differs = *current != condition;
            *current = condition;
            differs
        });
    }

    pub(super) fn course(&self) -> Course {
        Course {
            condition: self.condition.subscribe(),
            taken: Arc::clone(&self.taken),
        }
    }
}

impl Course {
    /// For a new connection: what is the case now is not news to it.
    pub(super) fn fresh(&self) -> Self {
        let mut fresh = self.clone();
        drop(fresh.condition.borrow_and_update());
        fresh
    }

    /// How it is now.
    pub(super) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Waits until it is another than last seen here.
    pub(super) async fn changed(&mut self) -> Result<Condition, Closed> {
        self.condition.changed().await?;
        Ok(self.condition())
    }

    /// Waits until the way is no more.
    pub(super) async fn closed(mut self) {
        while self.condition.changed().await.is_ok() {}
    }

    /// Sends what may be sent now of `bytes`, with `send`, which must not wait. The condition cannot
    /// change meanwhile.
    pub(super) fn pass(
        &self,
        clock: &Clock,
        bytes: &[u8],
        send: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<Passed> {
        let condition = self.condition.borrow();
        if condition.blackhole || condition.reset {
            return Ok(Passed::Barred);
        }
        let mut piece = bytes.len();
        if condition.drip {
            piece = piece.min(DRIP_BYTES);
        }
        let Some(rate) = condition.bandwidth else {
            return send(bytes.get(..piece).unwrap_or(bytes)).map(Passed::Sent);
        };
        let mut taken = self.taken.lock();
        let now = clock.now();
        if *taken > now {
            return Ok(Passed::Wait(*taken));
        }
        let share = rate.saturating_mul(PIECE.as_millis() as u64) / 1000;
        let piece = piece.min(usize::try_from(share).unwrap_or(usize::MAX).max(1));
        let sent = send(bytes.get(..piece).unwrap_or(bytes))?;
        *taken = now + Duration::from_nanos((sent as u64).saturating_mul(1_000_000_000) / rate);
        Ok(Passed::Sent(sent))
    }

    /// The pause after bytes were sent.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.condition.borrow().drip.then_some(DRIP_PAUSE)
    }
}
