//! The faults of a run, decided before it begins: a list of steps that can be read, repeated, and
//! shortened one by one when a failure is to be understood.
//!
//! A step has a beginning and, if what it does can be undone, a length. Steps overlap freely; what
//! keeps a run meaningful (an undamaged majority, no second crash of a node that is down) is for the
//! world to see to when it takes a step.

mod disk;
mod network;
mod process;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use atoll_env::vfs::{Crash, DiskTrouble};

use crate::luck::Luck;
use crate::scenario::Scenario;

/// Whom a step hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A node.
    Node(usize),
    /// Whichever node leads this data group then.
    Leader(u64),
}

/// From one name to another.
pub type Direction = (String, String);

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process ends; the next one starts when the step ends.
    Crash(Who, Crash),
    /// All processes end in the same instant; each starts again some time before the step ends.
    Blackout(Vec<Crash>),
    /// The process stops, and goes on when the step ends.
    Pause(Who),
    /// Every step of every task of the process waits for up to this.
    Slow(Who, Duration),
    /// The process ends in order, as long as the step lasts; the next one starts then.
    Shutdown(Who),
    /// The group's leader is asked to hand over to the replica on this node.
    Transfer(u64, u64),
    /// Nothing gets through in these directions.
    Cut(Vec<Direction>),
    /// Frames in these directions take this long.
    SlowLinks(Vec<Direction>, Range<Duration>),
    /// The connections between these break, now.
    Break(Vec<Direction>),
    /// The disk misbehaves.
    Disk(usize, DiskTrouble),
    /// So many bytes are free on the disk.
    Fill(usize, u64),
    /// So many bits of the node's files flip.
    Flip(usize, u64),
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number in the plan: how to leave it out of a run.
    pub number: usize,
    /// When it begins.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What is done.
    pub action: Action,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            at,
            lasts,
            action,
        } = self;
        write!(f, "#{number} at {at:?} for {lasts:?}: {action:?}")
    }
}

/// All steps of a run of this length, in order of their beginning.
pub fn plan(seed: u64, scenario: &Scenario, length: Duration) -> Vec<Step> {
    let mut planner = Planner {
        scenario,
        length_ms: length.as_millis() as u64,
        steps: Vec::new(),
    };
    process::plan(&mut planner, &Luck::new(seed, "processes"));
    network::plan(&mut planner, &Luck::new(seed, "links"));
    disk::plan(&mut planner, &Luck::new(seed, "disks"));
    let mut steps = planner.steps;
    // Stable: what was planned first is done first.
    steps.sort_by_key(|step| step.at);
    for (number, step) in steps.iter_mut().enumerate() {
        step.number = number;
    }
    steps
}

struct Planner<'a> {
    scenario: &'a Scenario,
    length_ms: u64,
    steps: Vec<Step>,
}

impl Planner<'_> {
    /// When something that happens now and then does.
    fn times(&self, luck: &Luck) -> Vec<u64> {
        let gap = self.scenario.gap_ms.min(self.length_ms / 3).max(2);
        let mut at = luck.between(0..gap);
        let mut times = Vec::new();
        while at < self.length_ms {
            times.push(at);
            at += luck.between(gap / 2..gap + gap / 2);
        }
        times
    }

    fn add(&mut self, at_ms: u64, lasts: Duration, action: Action) {
        self.steps.push(Step {
            number: 0,
            at: Duration::from_millis(at_ms),
            lasts,
            action,
        });
    }

    fn node(&self, luck: &Luck) -> usize {
        1 + luck.between(0..self.scenario.nodes as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Profile;

    #[test]
    fn plans_are_in_order_numbered_and_within_the_run() {
        for seed in 0..200 {
            let scenario = Scenario::draw(seed, Profile::Swarm);
            let steps = plan(seed, &scenario, Duration::from_secs(60));
            assert!(steps.is_sorted_by_key(|step| step.at));
            for (number, step) in steps.iter().enumerate() {
                assert!(
                    step.number == number && step.at < Duration::from_secs(60),
                    "{step}"
                );
            }
            assert_eq!(steps, plan(seed, &scenario, Duration::from_secs(60)));
        }
    }

    #[test]
    fn every_smoke_plan_has_crashes_a_blackout_and_cuts() {
        for seed in 0..100 {
            let scenario = Scenario::draw(seed, Profile::Smoke);
            let steps = plan(seed, &scenario, Duration::from_secs(10));
            let count = |is: fn(&Action) -> bool| steps.iter().filter(|step| is(&step.action)).count();
            assert!(
                count(|action| matches!(action, Action::Crash(..))) >= 2,
                "seed {seed}"
            );
            assert_eq!(count(|action| matches!(action, Action::Blackout(..))), 1);
            assert!(count(|action| matches!(action, Action::Cut(..))) >= 2);
        }
    }
}
