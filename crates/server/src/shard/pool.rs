//! The bounded pool for reads that wait for a disk (D19).

use std::collections::VecDeque;
use std::sync::Arc;

use atoll_env::Spawn;
use parking_lot::Mutex;

/// Cold reads running at once on one node.
const RUNNING_MAX: usize = 4;
/// Cold reads waiting; beyond them a read is shed.
const QUEUED_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// Runs blocking reads, a few at a time, for all shards of a node.
#[derive(Clone)]
pub(crate) struct ReadPool {
    spawn: Spawn,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: usize,
}

impl ReadPool {
    /// An idle pool; it costs nothing until a read is cold.
    pub(crate) fn new(spawn: Spawn) -> Self {
        Self {
            spawn,
            queue: Arc::default(),
        }
    }

    /// Queues a job, or gives it back when the queue is full.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        {
            let mut queue = self.queue.lock();
            if queue.jobs.len() >= QUEUED_MAX {
                return Err(job);
            }
            queue.jobs.push_back(job);
            if queue.running >= RUNNING_MAX {
                return Ok(());
            }
            queue.running += 1;
        }
        let pool = self.clone();
        // Ends by itself when the queue is empty.
        drop(self.spawn.spawn(async move { pool.work().await }));
        Ok(())
    }

    /// True if a job waits for a worker.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.queue.lock().jobs.is_empty()
    }

    /// Queues the rest of a job, which a worker is just running and ends now. There is always room: the
    /// worker's next job leaves.
    pub(crate) fn queue_again(&self, job: Job) {
        self.queue.lock().jobs.push_back(job);
    }

    async fn work(self) {
        while let Some(job) = self.next() {
            self.spawn.blocking(job).await;
        }
    }

    /// The next job; without one the calling worker counts as ended, under the same lock, so that a
    /// job queued a moment later starts another.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        let job = queue.jobs.pop_front();
        if job.is_none() {
            queue.running -= 1;
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn the_rest_of_a_long_job_comes_after_those_that_wait() {
        let pool = ReadPool::new(Spawn::tokio());
        let (sender, mut receiver) = mpsc::channel(3);
        // As if all workers were busy, so that both jobs wait for the one that is run below.
        pool.queue.lock().running = RUNNING_MAX;
        let tell = |name: &'static str| {
            let sender = sender.clone();
            move || sender.try_send(name).unwrap()
        };
        let (rest, again, part) = (tell("rest"), pool.clone(), tell("part"));
        let long: Job = Box::new(move || {
            part();
            assert!(again.has_waiting());
            again.queue_again(Box::new(rest));
        });
        let short: Job = Box::new(tell("short"));
        for job in [long, short] {
            pool.submit(job).ok().unwrap();
        }
        pool.clone().work().await;
        assert_eq!(receiver.recv().await, Some("part"));
        assert_eq!(receiver.recv().await, Some("short"));
        assert_eq!(receiver.recv().await, Some("rest"));
    }

    #[tokio::test]
    async fn runs_everything_and_sheds_beyond_its_bound() {
        let pool = ReadPool::new(Spawn::tokio());
        let (sender, mut receiver) = mpsc::channel(QUEUED_MAX + RUNNING_MAX);
        let gate = Arc::new(parking_lot::RwLock::new(()));
        let closed = gate.write();
        let wait_and_tell = |sender: mpsc::Sender<()>, gate: Arc<parking_lot::RwLock<()>>| {
            let _open = gate.read();
            sender.try_send(()).unwrap();
        };
        let job = || -> Job {
            let (sender, gate) = (sender.clone(), gate.clone());
            Box::new(move || wait_and_tell(sender, gate))
        };
        let taken = std::iter::repeat_with(job)
            .map_while(|job| pool.submit(job).ok())
            .count();
        assert!((QUEUED_MAX..=QUEUED_MAX + RUNNING_MAX).contains(&taken));
        drop(closed);
        for _ in 0..taken {
            receiver.recv().await.unwrap();
        }
    }
}
