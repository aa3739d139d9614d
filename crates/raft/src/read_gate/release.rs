//! The second half of a read index round: the reads run once this replica has applied that far.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, watch};
use atoll_types::{Mutant, mutant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Read, ReadPoint, answer};
use crate::ReadError;

/// Generations that wait for their index at a time; more hold up the next round, so that an apply that
/// stands still does not gather reads without end.
const GENERATIONS_MAX: usize = 32;
/// How long reads wait for apply before they are told to try elsewhere.
const APPLY_LIMIT: Duration = Duration::from_secs(2);

/// Generations of reads that wait for apply.
pub(super) struct Releases {
    env: Env,
    applied: watch::Receiver<u64>,
    room: Arc<Semaphore>,
}

impl Releases {
    /// `applied` is one more than the last entry applied.
    pub(super) fn new(env: Env, applied: watch::Receiver<u64>) -> Self {
        let room = Arc::new(Semaphore::new(GENERATIONS_MAX));
        Self { env, applied, room }
    }

    /// The last entry applied.
    pub(super) fn applied_index(&self) -> u64 {
        self.applied.borrow().saturating_sub(1)
    }

    /// Runs `reads` once `index` is applied here: at once if it is, else from a task of its own.
    pub(super) async fn release(&self, reads: Vec<Read>, index: u64) {
        if reads.is_empty() {
            return;
        }
        let next = *self.applied.borrow();
        if next > index || mutant::is(Mutant::ReadBeforeApply) {
            return answer(reads, &Ok(point(next)));
        }
        // The semaphore is never closed.
        let permit = self.room.clone().acquire_owned().await.ok();
        let waiting = wait(self.env.clone(), self.applied.clone(), reads, index, permit);
        self.env.spawn.spawn(waiting);
    }
}

fn point(next: u64) -> ReadPoint {
    ReadPoint {
        applied_index: next.saturating_sub(1),
    }
}

async fn wait(
    env: Env,
    mut applied: watch::Receiver<u64>,
    reads: Vec<Read>,
    index: u64,
    permit: Option<OwnedSemaphorePermit>,
) {
    let reached = env
        .clock
        .timeout(APPLY_LIMIT, applied.wait_for(|next| *next > index))
        .await;
    let reached = match reached {
        Ok(Ok(next)) => Ok(point(*next)),
        Ok(Err(_)) => Err(ReadError::Stopped),
        Err(_) => Err(ReadError::Unavailable(format!(
            "entry {index} is not applied here yet"
        ))),
    };
    answer(reads, &reached);
    drop(permit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::vfs::MemVfs;
    use atoll_env::{Clock, Halt, Rng, Spawn};
    use parking_lot::Mutex;

    type Seen = Arc<Mutex<Vec<(u8, Result<ReadPoint, ReadError>)>>>;

    fn env() -> Env {
        let net = atoll_env::net::MemNet::new(atoll_env::net::MemNetOptions::default());
        Env {
            net: Arc::new(net.node("n", Spawn::tokio())),
            clock: Clock::simulated(1.0, 0),
            rng: Rng::seeded(1),
            spawn: Spawn::tokio(),
            vfs: Arc::new(MemVfs::default()),
            halt: Halt::abort(),
        }
    }

    fn read(name: u8, seen: &Seen) -> Vec<Read> {
        let seen = seen.clone();
        vec![Box::new(move |point| seen.lock().push((name, point)))]
    }

    /// Lets paused time pass until so many reads were answered, but not for ever.
    async fn until(seen: &Seen, count: usize) {
        let clock = Clock::simulated(1.0, 0);
        for _ in 0..10_000 {
            if seen.lock().len() >= count {
                return;
            }
            clock.sleep(Duration::from_millis(1)).await;
        }
        panic!("{} answers, not {count}", seen.lock().len());
    }

    #[tokio::test(start_paused = true)]
    async fn reads_that_wait_for_apply_hold_up_nobody() {
        let (sender, applied) = watch::channel(6);
        let (releases, seen) = (Releases::new(env(), applied), Seen::default());
        releases.release(read(1, &seen), 9).await;
        // A later round with a lower index, as after a change of leader, does not wait for the first.
        releases.release(read(2, &seen), 5).await;
        assert_eq!(*seen.lock(), [(2, Ok(ReadPoint { applied_index: 5 }))]);
        sender.send_replace(9);
        releases.release(read(3, &seen), 8).await;
        sender.send_replace(10);
        until(&seen, 3).await;
        let order: Vec<u8> = seen.lock().iter().map(|(name, _)| *name).collect();
        assert_eq!(order, [2, 3, 1]);
        assert_eq!(seen.lock().last(), Some(&(1, Ok(ReadPoint { applied_index: 9 }))));
    }

    #[tokio::test(start_paused = true)]
    async fn apply_that_stands_still_is_an_answer_in_the_end_and_gathers_no_more_than_its_bound() {
        let (_sender, applied) = watch::channel(1);
        let (releases, seen) = (Releases::new(env(), applied), Seen::default());
        let clock = Clock::simulated(1.0, 0);
        let began = clock.now();
        for _ in 0..GENERATIONS_MAX {
            releases.release(read(1, &seen), 5).await;
        }
        assert_eq!(clock.now(), began);
        releases.release(read(2, &seen), 5).await;
        assert!(clock.now() >= began + APPLY_LIMIT, "the round waits for room");
        until(&seen, GENERATIONS_MAX + 1).await;
        assert!(
            seen.lock()
                .iter()
                .all(|(_, point)| matches!(point, Err(ReadError::Unavailable(_))))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_replica_answers() {
        let (sender, applied) = watch::channel(1);
        let (releases, seen) = (Releases::new(env(), applied), Seen::default());
        releases.release(read(1, &seen), 5).await;
        drop(sender);
        until(&seen, 1).await;
        assert_eq!(*seen.lock(), [(1, Err(ReadError::Stopped))]);
    }
}
