//! Many seeds, on several threads, one run per thread at a time.

mod coverage;
mod totals;

pub use coverage::{MUST_HAPPEN, missing};
pub use totals::Totals;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_env::Clock;
use parking_lot::Mutex;

use crate::session::{Options, Report, run};

/// A campaign ends after so many seeds that failed: the next ones would mostly fail likewise.
const FAILURES_MAX: usize = 5;

/// Runs every seed of a range, until the time is up if there is a limit. `told` hears of every run.
pub fn campaign(
    seeds: Range<u64>,
    limit: Option<Duration>,
    jobs: usize,
    options: &Options,
    told: impl Fn(&Report) + Sync,
) -> Totals {
    let clock = Clock::boot();
    let began = clock.now();
    let next = AtomicU64::new(seeds.start);
    let totals = Mutex::new(Totals::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let late = limit.is_some_and(|limit| clock.now().since(began) > limit);
            if seed >= seeds.end || late || totals.lock().failures.len() >= FAILURES_MAX {
                return;
            }
            let report = run(seed, options);
            told(&report);
            totals.lock().add(&report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    let mut totals = totals.into_inner();
    totals.wall = clock.now().since(began);
    totals
}
