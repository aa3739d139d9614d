//! Disks fail operations, run full, stall; one of them spoils bytes.

use std::time::Duration;

use atoll_env::vfs::DiskTrouble;

use super::{Action, Planner};
use crate::luck::Luck;
use crate::scenario::Fault;

const PER_MILLION: u64 = 1_000_000;

pub(super) fn plan(planner: &mut Planner<'_>, luck: &Luck) {
    for fault in planner.scenario.faults.clone() {
        for at in planner.times(luck) {
            one(planner, luck, fault, at);
        }
    }
}

fn one(planner: &mut Planner<'_>, luck: &Luck, fault: Fault, at: u64) {
    let bad = planner.scenario.bad_disk;
    let spoils = planner.scenario.faults.iter().any(|fault| fault.spoils());
    // What is spoiled may only be found because more was written behind it: a disk that spoils bytes
    // does not also end the process that would write it.
    let node = Some(planner.node(luck)).filter(|node| !spoils || *node != bad);
    let lasts = luck.millis(200..3000);
    let rate = PER_MILLION / luck.pick(&[20, 100, 500]);
    let trouble = DiskTrouble::default();
    let (node, trouble) = match (fault, node) {
        (Fault::WriteErrors, Some(node)) => (
            node,
            DiskTrouble {
                write_errors: rate,
                ..trouble
            },
        ),
        (Fault::SyncErrors, Some(node)) => (
            node,
            DiskTrouble {
                sync_errors: rate,
                ..trouble
            },
        ),
        (Fault::Stalls, _) => (
            planner.node(luck),
            DiskTrouble {
                stalls: rate,
                stall: Duration::from_millis(200)..luck.millis(500..5000),
                ..trouble
            },
        ),
        (Fault::ReadErrors, _) => (
            bad,
            DiskTrouble {
                read_errors: rate,
                ..trouble
            },
        ),
        (Fault::Misdirected, _) if luck.percent(30) => (
            bad,
            DiskTrouble {
                misdirected: rate / 5,
                ..trouble
            },
        ),
        (Fault::FullDisk, Some(node)) => {
            let free = luck.pick(&[0, 3000, 100_000]);
            planner.add(at, lasts, Action::Fill(node, free));
            return;
        }
        (Fault::BitFlips, _) if luck.percent(30) => {
            planner.add(at, Duration::ZERO, Action::Flip(bad, luck.between(1..4)));
            return;
        }
        _ => return,
    };
    planner.add(at, lasts, Action::Disk(node, trouble));
}
