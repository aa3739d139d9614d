//! What clients do while things break.
//!
//! A [`Workload`] uses keys of its own, so that several can run side by side. It asks one thing after the other
//! through a [`Worker`], which notes every question and answer in the [`Recorder`]; the judge reads nothing else.
//! Every value is written once, so that whoever reads it knows which write it saw. Keys of registers rotate: one is
//! used a couple of hundred times and then another, so that the search for an order stays small.
//!
//! Workers rest between operations, so that all together make the rate that was asked for. After the faults are
//! healed, [`Workload::finish`] reads everything once more: what was acknowledged must be there.

mod answer;
mod append;
pub(crate) mod bank;
mod counter;
mod driver;
mod keys;
mod levels;
mod raw;
mod recorder;
mod register;
mod scan;
mod set;
mod single;
mod worker;

use std::sync::Arc;

use atoll_env::{BoxFuture, Instant};
use futures_util::future::join_all;

pub use driver::{Addresses, Driver, Plan};
pub use recorder::{Notes, Recorder, Tally};
pub use worker::Worker;

/// Something that clients do.
pub trait Workload: Send + Sync {
    /// Its name, as given on the command line.
    fn name(&self) -> &'static str;

    /// What it does and what would be found by it, for people: one sentence.
    fn about(&self) -> &'static str;

    /// One of several workers, with a number of its own.
    fn worker(&self, driver: &Driver, number: u32) -> Worker {
        driver.worker(number)
    }

    /// Asks for one thing, or for a few that belong together. Returns when the answer is there, at most a call's
    /// deadline later.
    fn act<'a>(&'a self, driver: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()>;

    /// Reads everything once more. The workers are done and nothing is broken any more.
    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()>;
}

/// All workloads, new.
fn all() -> Vec<Arc<dyn Workload>> {
    vec![
        Arc::new(register::Register::default()),
        Arc::new(set::Set::default()),
        Arc::new(counter::Counter::default()),
        Arc::new(levels::Levels::default()),
        Arc::new(scan::Scan::default()),
        Arc::new(bank::Bank::default()),
        Arc::new(append::Append::default()),
        Arc::new(raw::Raw::default()),
    ]
}

/// The workloads of these names, in this order, each once; `all` is all of them. The error is for people.
pub fn workloads(names: &[String]) -> Result<Vec<Arc<dyn Workload>>, String> {
    let every = all();
    if names.iter().any(|name| name == "all") {
        return Ok(every);
    }
    let mut found: Vec<Arc<dyn Workload>> = Vec::new();
    for name in names {
        let Some(workload) = every.iter().find(|workload| workload.name() == name) else {
            let known: Vec<&str> = every.iter().map(|workload| workload.name()).collect();
            let known = known.join(", ");
            return Err(format!(
                "there is no workload {name:?}; there are {known}, and all"
            ));
        };
        if !found.iter().any(|one| one.name() == name) {
            found.push(Arc::clone(workload));
        }
    }
    if found.is_empty() {
        return Err("name at least one workload".to_owned());
    }
    Ok(found)
}

/// Runs workloads side by side until the time comes: workers are dealt to them in turn, and each workload has at
/// least one. Returns when all answers are there.
pub async fn run(driver: &Arc<Driver>, workloads: &[Arc<dyn Workload>], until: Instant) {
    let workers = (driver.workers() as usize).max(workloads.len());
    let tasks = (0..)
        .zip(workloads.iter().cycle().take(workers))
        .map(|(number, workload)| {
            let (driver, workload) = (Arc::clone(driver), Arc::clone(workload));
            let spawn = driver.env().spawn.clone();
            spawn.spawn(async move {
                let mut worker = workload.worker(&driver, number);
                while worker.next(until).await {
                    workload.act(&driver, &mut worker).await;
                }
            })
        });
    // Collected first: a lazy iterator would start one after the other.
    let tasks = tasks.collect::<Vec<_>>();
    join_all(tasks).await;
}

/// Lets each workload read everything once more.
pub async fn finish(driver: &Driver, workloads: &[Arc<dyn Workload>]) {
    for workload in workloads {
        workload.finish(driver).await;
    }
}
