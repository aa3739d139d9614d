//! The thread that reads and writes snapshots.

use std::io;

use atoll_env::{Spawn, watch};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

/// Work that waits, at most; who brings more waits itself.
const JOBS_MAX: usize = 64;

type Job = atoll_env::BoxFuture<'static, ()>;

/// The thread that reads and writes snapshots, one piece of work after the other, so that a long merge does not hold
/// them up, nor they it. A piece of work once begun comes to its end, whether or not anybody still waits for it.
pub(crate) struct SnapshotThread {
    /// None once it is closing.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    ended: watch::Receiver<bool>,
}

impl SnapshotThread {
    pub(crate) fn start(spawn: &Spawn) -> Self {
        let (jobs, mut waiting) = mpsc::channel::<Job>(JOBS_MAX);
        let (end, ended) = watch::channel(false);
        spawn.dedicated("storage-snapshot", async move {
            while let Some(job) = waiting.recv().await {
                job.await;
            }
            end.send_replace(true);
        });
        Self {
            jobs: Mutex::new(Some(jobs)),
            ended,
        }
    }

    /// Has the thread do this, and waits for what comes of it. An error means that it is not done, or not to its end: the store was closed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        let (tell, told) = oneshot::channel();
        let job = Box::pin(async move {
            // Nobody may be waiting any more.
            drop(tell.send(work.await));
        });
        let jobs = self.jobs.lock().clone().ok_or_else(closed)?;
        jobs.send(job).await.map_err(|_| closed())?;
        drop(jobs);
        told.await.map_err(|_| closed())
    }

    /// Lets what was handed in come to its end, and the thread with it.
    pub(crate) async fn close(&self) {
        self.jobs.lock().take();
        let mut ended = self.ended.clone();
        // An error means that the thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

fn closed() -> io::Error {
    io::Error::other("the store is closed")
}
