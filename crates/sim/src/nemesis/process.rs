//! Processes end, stop and slow down.

use std::time::Duration;

use atoll_env::vfs::Crash;

use super::{Action, Planner, Who};
use crate::luck::Luck;
use crate::scenario::Fault;

pub(super) fn plan(planner: &mut Planner<'_>, luck: &Luck) {
    let scenario = planner.scenario;
    if scenario.has(Fault::Crash) {
        for at in planner.times(luck) {
            let who = Who::Node(planner.node(luck));
            planner.add(at, away(luck), Action::Crash(who, crash(luck)));
        }
    }
    if scenario.has(Fault::CrashLeader) {
        for at in planner.times(luck) {
            let who = leader(planner, luck);
            planner.add(at, away(luck), Action::Crash(who, crash(luck)));
        }
    }
    if scenario.has(Fault::Blackout) {
        let at = luck.between(planner.length_ms * 4 / 10..planner.length_ms * 7 / 10);
        let crashes = (0..scenario.nodes).map(|_| crash(luck)).collect();
        planner.add(at, luck.millis(50..1500), Action::Blackout(crashes));
    }
    if scenario.has(Fault::Pause) {
        for at in planner.times(luck) {
            let who = anybody(planner, luck);
            // Shorter and longer than every timeout.
            let lasts = luck.pick(&[100, 1500, 6000, 12_000]);
            planner.add(at, luck.millis(lasts / 2..lasts), Action::Pause(who));
        }
    }
    if scenario.has(Fault::Slow) {
        for at in planner.times(luck) {
            let who = anybody(planner, luck);
            let drag = luck.millis(1..40);
            planner.add(at, luck.millis(500..5000), Action::Slow(who, drag));
        }
    }
    if scenario.has(Fault::Shutdown) {
        for at in planner.times(luck) {
            let who = anybody(planner, luck);
            planner.add(at, luck.millis(500..6000), Action::Shutdown(who));
        }
    }
    if scenario.has(Fault::Transfer) {
        for at in planner.times(luck) {
            let group = luck.between(0..u64::from(scenario.groups) + 1);
            let to = planner.node(luck) as u64;
            planner.add(at, Duration::ZERO, Action::Transfer(group, to));
        }
    }
}

fn leader(planner: &Planner<'_>, luck: &Luck) -> Who {
    // Group 0 too.
    Who::Leader(luck.between(0..u64::from(planner.scenario.groups) + 1))
}

fn anybody(planner: &Planner<'_>, luck: &Luck) -> Who {
    if luck.percent(50) {
        leader(planner, luck)
    } else {
        Who::Node(planner.node(luck))
    }
}

fn away(luck: &Luck) -> Duration {
    luck.millis(if luck.percent(15) { 2000..15_000 } else { 20..1500 })
}

fn crash(luck: &Luck) -> Crash {
    luck.pick(&[Crash::Process, Crash::Random, Crash::Random, Crash::LoseAll])
}
