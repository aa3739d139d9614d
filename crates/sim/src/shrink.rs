//! Makes a failing run smaller: fewer seconds first, then fewer steps.
//!
//! Cutting the end off changes nothing before the cut, so the shortest failing time can be searched
//! for; leaving out a step changes everything after it, so that is tried, in ever smaller portions.

use std::time::Duration;

use crate::session::{Options, run};

/// Runs to spend, at most.
const RUNS_MAX: usize = 60;
/// Finer than this, a window says nothing more.
const PRECISION: Duration = Duration::from_millis(500);

/// A smaller run of the same seed that still fails, and how many runs it took to find it.
pub fn shrink(seed: u64, options: &Options) -> (Options, usize) {
    let mut shrinker = Shrinker {
        fails: |options: &Options| !run(seed, options).violations.is_empty(),
        best: options.clone(),
        runs: 0,
    };
    shrinker.shorten();
    let steps = run(seed, &shrinker.best).steps;
    shrinker.thin_out(steps);
    (shrinker.best, shrinker.runs)
}

struct Shrinker<F> {
    fails: F,
    best: Options,
    runs: usize,
}

impl<F: Fn(&Options) -> bool> Shrinker<F> {
    fn attempt(&mut self, options: Options) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let fails = (self.fails)(&options);
        if fails {
            self.best = options;
        }
        fails
    }

    fn shorten(&mut self) {
        let (mut passes, mut fails) = (Duration::ZERO, self.best.chaos());
        while fails.saturating_sub(passes) > PRECISION {
            let middle = passes + fails.saturating_sub(passes) / 2;
            let shorter = Options {
                until: Some(middle),
                ..self.best.clone()
            };
            if self.attempt(shorter) {
                fails = middle;
            } else {
                passes = middle;
            }
        }
    }

    /// Leaves out portions of the steps, halving the portion when none can be left out.
    fn thin_out(&mut self, steps: usize) {
        let mut portion = steps.div_ceil(2);
        while portion > 0 && self.runs < RUNS_MAX {
            for first in (0..steps).step_by(portion) {
                let mut thinner = self.best.clone();
                thinner.without.extend(first..(first + portion).min(steps));
                let _ = thinner != self.best && self.attempt(thinner);
            }
            portion /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn finds_the_window_and_the_steps_that_matter() {
        // Fails once steps 3 and 17 of 20 were taken, one per second.
        let needs = |options: &Options| {
            let until = options.chaos();
            [3, 17]
                .into_iter()
                .all(|step| !options.without.contains(&step) && until > Duration::from_secs(step as u64))
        };
        let mut shrinker = Shrinker {
            fails: needs,
            best: Options::default(),
            runs: 0,
        };
        shrinker.shorten();
        shrinker.thin_out(20);
        let until = shrinker.best.chaos();
        assert!(
            until > Duration::from_secs(17) && until <= Duration::from_millis(17_500),
            "{until:?}"
        );
        let kept: BTreeSet<usize> = (0..20)
            .filter(|step| !shrinker.best.without.contains(step))
            .collect();
        assert_eq!(kept, BTreeSet::from([3, 17]));
        assert!(shrinker.runs <= RUNS_MAX);
    }
}
