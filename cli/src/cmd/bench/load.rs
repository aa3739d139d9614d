//! The workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_client::{Client, Error};
use atoll_env::{Env, Task};
use futures_util::future::{join_all, try_join_all};

use super::plan::{Operation, Plan};
use super::recorder::Recorder;
use super::target::{Outcome, Target};
use crate::failure::{Failure, Result};

/// A worker whose operation failed waits this long, so that a cluster that refuses at once is asked
/// again soon but not in a busy loop.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// What the workers share.
pub(super) struct Load {
    /// The outside world.
    pub(super) env: Env,
    /// What carries the operations.
    pub(super) target: Target,
    /// What to do.
    pub(super) plan: Plan,
    /// What happened.
    pub(super) recorder: Recorder,
}

/// Starts workers that go on until stopped.
pub(super) fn start(load: &Arc<Load>, count: usize) -> Vec<Task<()>> {
    (0..count)
        .map(|number| load.env.spawn.spawn(work(Arc::clone(load), number)))
        .collect()
}

async fn work(load: Arc<Load>, number: usize) {
    let mut random = load.plan.worker(number);
    loop {
        let operation = load.plan.draw(&mut random);
        let is_read = matches!(operation, Operation::Get(_));
        let begin = load.env.clock.now();
        let outcome = load.target.run(number, operation).await;
        let failed = matches!(outcome, Outcome::Failed(_));
        load.recorder
            .record(is_read, begin, load.env.clock.now(), outcome);
        if failed {
            load.env.clock.sleep(PAUSE_AFTER_FAILURE).await;
        }
    }
}

/// Ends the workers; their operations in flight are given up.
pub(super) async fn stop(env: &Env, workers: Vec<Task<()>>, patience: Duration) {
    for worker in &workers {
        worker.stop();
    }
    // A worker that does not end in time ends with the process.
    let _ = env.clock.timeout(patience, join_all(workers)).await;
}

/// Writes every key once.
pub(super) async fn preload(env: &Env, client: &Client, plan: &Plan, in_flight: usize) -> Result {
    let next = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..in_flight)
        .map(|number| {
            env.spawn
                .spawn(write(client.clone(), plan.clone(), Arc::clone(&next), number))
        })
        .collect();
    // Nobody stops these tasks, so each has a result.
    let ended = writers
        .into_iter()
        .map(|writer| async { writer.await.unwrap_or(Ok(())) });
    try_join_all(ended)
        .await
        .map_err(|error| Failure::from(error).during("preloading"))?;
    Ok(())
}

/// Takes key after key until none is left.
async fn write(
    client: Client,
    plan: Plan,
    next: Arc<AtomicU64>,
    number: usize,
) -> std::result::Result<(), Error> {
    let mut random = plan.worker(number);
    loop {
        let key = next.fetch_add(1, Ordering::Relaxed);
        if key >= plan.keys() {
            return Ok(());
        }
        client.put(Plan::key(key), plan.value(&mut random)).await?;
    }
}
