//! How much of each value file is still needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::Manifest;
use crate::run::Run;

/// Sets what of each value file is alive and what is dead, from what these runs, all of the manifest's, point at. A
/// value whose row is in two runs counts twice until they are merged, so a file may seem more alive than it is, never
/// less; the two numbers together are always all values in the file.
pub(in crate::store) fn count_references(manifest: &mut Manifest, runs: &[Arc<Run>]) {
    let mut references: BTreeMap<u32, u64> = BTreeMap::new();
    for (number, bytes) in runs.iter().flat_map(|run| &run.summary().file_bytes) {
        let count = references.entry(*number).or_default();
        *count = count.saturating_add(*bytes);
    }
    for file in &mut manifest.value_files {
        let all = file.live_bytes.saturating_add(file.dead_bytes);
        let live = references.get(&file.number).copied().unwrap_or(0);
        file.live_bytes = live.min(all);
        file.dead_bytes = all - file.live_bytes;
    }
}
