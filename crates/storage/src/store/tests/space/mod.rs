//! Space comes back: values leave old segments and half-dead value files, and what nothing needs any more is really taken
//! away, while everything stays readable.

mod backlog;
mod crash;
mod faults;
mod held;
mod history;
mod model;
mod packed;
mod room;
mod rot;
mod scans;
mod spares;
mod steps;
mod threads;
mod veil;

use super::model::{History, KEYS, Model, Op, key};
use super::process::{Process, cold_disk, play_until_frozen, simulate, slow_disk};
use super::world::{Node, OPTIONS, group_dir};
use crate::store::StoreOptions;
use veil::Veil;

/// Three segments' worth of journal, and value files of a few values.
const TIGHT: StoreOptions = StoreOptions {
    journal_budget: 96 * 1024,
    value_file_bytes: 24 * 1024,
    ..OPTIONS
};

/// Every value of every key.
fn all(len: usize) -> Op {
    Op::Put {
        first: 0,
        count: KEYS,
        len,
    }
}

impl Node {
    /// Takes away every segment that no row needs.
    fn veil(&self, veil: &Veil) {
        let newest = self.journal.ends().map_or(0, |ends| ends.newest);
        let low = self.store.low_water().unwrap_or(newest);
        veil.hide(low.min(newest));
    }

    fn value_numbers(&self) -> Vec<u32> {
        let layers = self.group.index().layers();
        layers.below.values().keys().copied().collect()
    }
}
