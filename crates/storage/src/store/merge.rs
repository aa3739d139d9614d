//! From several runs to one.

use std::io;
use std::sync::Arc;

use atoll_env::trouble;
use atoll_types::{Mutant, Version, mutant};

use super::flush::entry_of;
use super::group::GroupStore;
use super::plan::to_merge;
use crate::index::{Ask, Below, Layers, Missed};
use crate::journal::ReadError;
use crate::manifest::{GroupFolder, Manifest};
use crate::run::{RowValue, Run, RunValue, RunWriter};

/// Rows read at a time.
const PAGE_ROWS: usize = 1024;

impl GroupStore {
    /// Merges the newest runs while there are many. After an error nothing has changed, as with a flush.
    pub(super) async fn merge(&self) -> io::Result<()> {
        let mut folder = self.0.folder.lock().await;
        loop {
            let below = self.0.index.layers().below.clone();
            let lens = self.lens_to_merge(&below);
            let Some(count) = to_merge(&lens) else {
                return Ok(());
            };
            let (inputs, older) = below.runs().split_at(count.min(below.runs().len()));
            let run = self.merged(&mut folder, inputs, older.is_empty()).await?;
            trouble::pause("storage: a merged run is published, no manifest names it").await;
            let manifest = manifest_with(&folder, &run, inputs.len());
            folder.commit(manifest).await?;
            trouble::sometimes("runs were merged");
            let runs: Vec<_> = std::iter::once(run).chain(older.iter().cloned()).collect();
            self.0.index.replace(|layers| Layers {
                active: layers.active.clone(),
                frozen: layers.frozen.clone(),
                below: Below::new(runs),
            });
            drop(below);
            folder.collect_garbage()?;
        }
    }

    /// Lengths of the runs that can be merged, newest first: those above any rotten one. Were that one tried again and
    /// again, runs would get too many for checkpoints to go on.
    fn lens_to_merge(&self, below: &Below) -> Vec<u64> {
        let rotten = self.0.rotten.lock();
        let sound = below
            .runs()
            .iter()
            .take_while(|run| !rotten.contains(&run.identity().number));
        sound.map(|run| run.summary().file_len).collect()
    }

    /// Why an input could not be read, remembered: what a disk refuses it mostly goes on refusing, and were the same runs tried
    /// again and again, they would get too many. The next start tries anew.
    fn unread(&self, inputs: &Below, missed: Missed) -> io::Error {
        let mut rotten = self.0.rotten.lock();
        match &missed {
            Missed::Failed(ReadError::Run { run, .. }) => drop(rotten.insert(*run)),
            // Which of them it was is not said.
            _ => rotten.extend(inputs.runs().iter().map(|run| run.identity().number)),
        }
        io::Error::other(missed)
    }

    /// One run with the newest row of every key; without deletions if nothing older could come back.
    async fn merged(
        &self,
        folder: &mut GroupFolder,
        inputs: &[Arc<Run>],
        oldest: bool,
    ) -> io::Result<Arc<Run>> {
        let new = folder.create_run().await?;
        let identity = self.run_identity(new.number());
        let salt = self.0.node.env.rng.bits64();
        let rows = inputs.iter().map(|run| run.summary().entries as usize).sum();
        let mut writer = RunWriter::create(new.file(), identity, salt, rows);
        let inputs = Below::new(inputs.to_vec());
        // Only the oldest run has nothing below that a deletion hides.
        let keep_deletions = !oldest && !mutant::is(Mutant::DeletionDroppedEarly);
        let mut from = Vec::new();
        loop {
            let page = inputs
                .raw_page((&from, &[]), ASK)
                .map_err(|missed| self.unread(&inputs, missed))?;
            let stays = |value: &RunValue| *value != RunValue::Tombstone || keep_deletions;
            for (key, version, value) in page.rows.iter().filter(|row| stays(&row.2)) {
                writer.add(key, *version, RowValue::from(value)).await?;
            }
            match page.rows.into_iter().next_back() {
                Some((last, ..)) if !page.complete => from = [&last[..], &[0]].concat(),
                _ => break,
            }
        }
        let covers = inputs.runs().first().map(|newest| newest.summary().covers);
        writer.finish(covers.unwrap_or_default()).await?;
        let file = folder.publish(new).await?;
        let run = Run::open(file, identity, self.0.node.cache.clone()).map_err(io::Error::other)?;
        Ok(Arc::new(run))
    }
}

const ASK: Ask = Ask {
    reverse: false,
    at: Version(u64::MAX),
    most: PAGE_ROWS,
    wait: true,
    // They are read once and gone soon.
    keep: false,
};

/// The last manifest, with one run in the place of its newest ones.
fn manifest_with(folder: &GroupFolder, run: &Run, inputs: usize) -> Manifest {
    let mut manifest = folder.manifest().cloned().unwrap_or_default();
    manifest
        .runs
        .splice(..inputs.min(manifest.runs.len()), [entry_of(run)]);
    manifest
}
