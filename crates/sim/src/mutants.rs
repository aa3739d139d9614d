//! Looks for deliberate bugs ([`Mutant`]) with ordinary runs: if the simulator does not find them, it
//! would not find the accidental ones either.

use std::ops::Range;
use std::time::Duration;

use atoll_types::{Mutant, mutant};

use crate::session::{Options, run};

/// What became of one search.
#[derive(Clone, Debug, Default)]
pub struct Hunt {
    /// The first seed that showed it, and what was wrong.
    pub found: Option<(u64, String)>,
    /// Runs, the one that showed it included.
    pub runs: u64,
    /// Simulated time of all of them.
    pub simulated: Duration,
}

/// Wakes one bug and runs seeds until something is found to be wrong. `told` hears of every seed before
/// its run.
pub fn hunt(planted: Mutant, seeds: Range<u64>, options: &Options, told: impl Fn(u64)) -> Hunt {
    let mut hunt = Hunt::default();
    mutant::wake(Some(planted));
    for seed in seeds {
        told(seed);
        let report = run(seed, options);
        hunt.runs += 1;
        hunt.simulated += Duration::from_millis(report.simulated_ms);
        if let Some(violation) = report.violations.into_iter().next() {
            hunt.found = Some((seed, violation));
            break;
        }
    }
    mutant::wake(None);
    hunt
}

/// The bug of this name.
pub fn named(name: &str) -> Option<Mutant> {
    Mutant::named(name)
}
