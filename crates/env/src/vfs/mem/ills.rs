//! What is wrong with a disk: single faults that were ordered, and rates.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{DiskFaults, DiskTrouble, Fault};
use crate::Rng;

/// Orders, rates, and the count of what came of them.
#[derive(Clone, Default)]
pub(super) struct Ills {
    planned: Vec<(Fault, String)>,
    pub(super) trouble: DiskTrouble,
    pub(super) counted: DiskFaults,
}

fn strikes(per_million: u64, rng: &Rng) -> bool {
    per_million > 0 && rng.below(1_000_000) < per_million
}

impl Ills {
    pub(super) fn plan(&mut self, fault: Fault, path: &str) {
        self.planned.push((fault, path.to_owned()));
    }

    pub(super) fn forget_planned(&mut self) {
        self.planned.clear();
    }

    /// The error of an operation that fails now.
    pub(super) fn fault(&mut self, fault: Fault, path: &Path, rng: &Rng) -> Option<io::Error> {
        let (rate, count) = match fault {
            Fault::Read => (self.trouble.read_errors, &mut self.counted.read_errors),
            Fault::Write => (self.trouble.write_errors, &mut self.counted.write_errors),
            Fault::Sync => (self.trouble.sync_errors, &mut self.counted.sync_errors),
        };
        let planned = self
            .planned
            .iter()
            .position(|(kind, part)| *kind == fault && path.to_string_lossy().contains(part.as_str()));
        match planned {
            Some(planned) => drop(self.planned.remove(planned)),
            None if strikes(rate, rng) => {}
            None => return None,
        }
        *count += 1;
        Some(io::Error::other(format!(
            "{}: simulated I/O error ({fault:?})",
            path.display()
        )))
    }

    pub(super) fn misdirects(&self, rng: &Rng) -> bool {
        strikes(self.trouble.misdirected, rng)
    }

    pub(super) fn stall(&mut self, rng: &Rng) -> Duration {
        if !strikes(self.trouble.stalls, rng) {
            return Duration::ZERO;
        }
        self.counted.stalls += 1;
        let range = &self.trouble.stall;
        let spread = range.end.saturating_sub(range.start);
        range.start + Duration::from_nanos(rng.below(spread.as_nanos() as u64))
    }
}
