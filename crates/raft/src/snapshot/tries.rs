//! What is remembered from one try to send a follower its snapshot to the next.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Clock, Instant};
use atoll_types::ReplicaId;
use tokio::sync::OwnedSemaphorePermit;

use super::SendError;
use super::board::{Board, Served};

/// The first and the longest wait after a try that failed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
/// The same after one that will fail again unless much changes: there is no room over there, or it holds back too much here.
/// Each costs a chunk at least, and may cost a whole snapshot.
const LONG_PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5 * 60));

/// A place among those that a node sends at once.
pub(crate) struct Turn {
    /// `None`: given back, as others can go on meanwhile.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// From the moment on when it was waited for.
    _served: Served,
}

impl Turn {
    pub(super) fn new(permit: OwnedSemaphorePermit, served: Served) -> Self {
        Self {
            permit: Some(permit),
            _served: served,
        }
    }
}

/// All tries to bring one follower up under one leadership, until one gets through.
pub(crate) struct Tries {
    to: ReplicaId,
    board: Arc<Board>,
    /// Kept while the position is asked for anew: see [`Sender::send`](super::Sender::send).
    pub(super) turn: Option<Turn>,
    /// How often in a row it was.
    pub(super) asked: u32,
    failed: Option<Failed>,
}

/// The last try.
struct Failed {
    at: Instant,
    pause: Duration,
    long: bool,
}

impl Tries {
    pub(crate) fn new(to: ReplicaId, board: &Arc<Board>) -> Self {
        Self {
            to,
            board: Arc::clone(board),
            turn: None,
            asked: 0,
            failed: None,
        }
    }

    /// Notes how a try ended.
    pub(super) fn note<T>(&mut self, result: &Result<T, SendError>, now: Instant) {
        let Err(error) = result else {
            self.failed = None;
            self.board.set_trouble(self.to, None);
            return;
        };
        self.board.set_trouble(self.to, Some(error.to_string()));
        let long = error.lasts();
        let (first, most) = if long { LONG_PAUSES } else { PAUSES };
        let before = self.failed.as_ref().filter(|failed| failed.long == long);
        self.failed = Some(Failed {
            at: now,
            pause: before.map_or(first, |failed| (failed.pause * 2).min(most)),
            long,
        });
    }

    /// Waits until there may be another try: longer after each, and no longer than until a node is back if that may help.
    pub(super) async fn pause(&self, clock: &Clock) {
        let Some(failed) = &self.failed else { return };
        let until = failed.at + failed.pause;
        tokio::select! {
            biased;
            () = clock.sleep_until(until) => {}
            () = self.board.back.notified(), if !failed.long => {}
        }
    }
}

/// Whoever sends is gone, and nobody would know whether it still holds.
impl Drop for Tries {
    fn drop(&mut self) {
        self.board.set_trouble(self.to, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries() -> Tries {
        Tries::new(ReplicaId(3), &Arc::default())
    }

    fn waits(tries: &mut Tries, error: fn() -> SendError, clock: &Clock) -> Duration {
        let now = clock.now();
        tries.note::<()>(&Err(error()), now);
        tries.failed.as_ref().unwrap().pause
    }

    #[tokio::test(start_paused = true)]
    async fn each_try_that_fails_is_followed_by_a_longer_wait_up_to_a_bound() {
        let clock = Clock::simulated(1.0, 0);
        let mut tries = tries();
        let lost = || SendError::Stalled("lost".to_owned());
        let full = || SendError::NoRoom("full".to_owned());
        let waited: Vec<_> = (0..10).map(|_| waits(&mut tries, lost, &clock)).collect();
        assert_eq!(waited.first(), Some(&PAUSES.0));
        assert!(
            waited
                .windows(2)
                .all(|pair| pair[1] == (pair[0] * 2).min(PAUSES.1))
        );
        assert_eq!(waited.last(), Some(&PAUSES.1));
        let waited: Vec<_> = (0..10).map(|_| waits(&mut tries, full, &clock)).collect();
        assert_eq!(
            (waited.first(), waited.last()),
            (Some(&LONG_PAUSES.0), Some(&LONG_PAUSES.1))
        );
        assert_eq!(tries.board.troubles()[0].0, ReplicaId(3));
        tries.note(&Ok(()), clock.now());
        assert!(tries.failed.is_none() && tries.board.troubles().is_empty());
        assert_eq!(waits(&mut tries, full, &clock), LONG_PAUSES.0);
    }

    /// How long is waited after five tries in vain and this one, if the node is back after a moment.
    async fn waited(last: SendError, clock: &Clock) -> Duration {
        let mut tries = tries();
        for _ in 0..5 {
            tries.note::<()>(&Err(SendError::Stalled("lost".to_owned())), clock.now());
        }
        tries.note::<()>(&Err(last), clock.now());
        let (start, board) = (clock.now(), Arc::clone(&tries.board));
        let back = async {
            clock.sleep(Duration::from_millis(10)).await;
            board.back.notify_waiters();
        };
        tokio::join!(tries.pause(clock), back);
        clock.now().since(start)
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_back_ends_a_wait_unless_that_is_for_room() {
        let clock = Clock::simulated(1.0, 0);
        let lost = waited(SendError::Stalled("lost".to_owned()), &clock).await;
        assert!(lost < Duration::from_millis(100), "{lost:?}");
        let full = waited(SendError::NoRoom("full".to_owned()), &clock).await;
        assert!(full >= LONG_PAUSES.0, "{full:?}");
    }
}
