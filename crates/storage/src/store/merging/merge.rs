//! From several runs to one, with the values that are to leave their places.
//!
//! The folder is locked only to create, publish and commit, so that a checkpoint of the same group never waits for a
//! merge. What a merge began with is looked for again before it commits: checkpoints put runs above it meanwhile, and
//! if the runs themselves are gone, because a snapshot was installed, so is the reason for the merge.

use std::io;
use std::sync::Arc;

use atoll_env::trouble;
use atoll_types::{Mutant, Version, mutant};

use crate::index::{Below, Layers, Missed, RawRow, Versions};
use crate::journal::{Journal, ReadError};
use crate::manifest::{GroupFolder, RunEntry};
use crate::run::{RowValue, Run, RunValue, SPACE_USER};
use crate::store::files::NewRun;
use crate::store::flush::entry_of;
use crate::store::group::GroupStore;
use crate::store::merging::accounts::count_references;
use crate::store::merging::evacuate::Evacuation;
use crate::store::merging::filing::PublishedValues;
use crate::store::merging::rate::Rate;
use crate::store::merging::work::Work;
use crate::store::progress::{Running, WorkKind};

/// What a row takes in a run beside its key and what of its value stands there, about.
const ROW_BYTES: usize = 24;

/// What a merge has written.
struct Output {
    run: Arc<Run>,
    values: Vec<PublishedValues>,
    horizon: Version,
}

/// Where rows go.
struct Sink<'a> {
    run: NewRun,
    values: Evacuation<'a>,
    rate: Rate,
    running: &'a Running<'a>,
}

impl Sink<'_> {
    async fn add(&mut self, (key, version, value): RawRow, journal: &Journal) -> io::Result<()> {
        let (before, moved) = (self.run.writer.bytes(), self.values.moved);
        let value = self.values.place(&key, version, value).await?;
        self.run.writer.add(&key, version, RowValue::from(&value)).await?;
        let moved = self.values.moved - moved;
        let bytes = self.run.writer.bytes().saturating_sub(before) + moved;
        self.running.add(bytes);
        // What was moved was read, too; the rows themselves were counted when they were.
        self.rate.take(bytes + moved, journal).await;
        Ok(())
    }

    /// A row of this key was read, whatever becomes of it: a merge that drops most of them would neither be held up nor let
    /// others have their turn if only what it writes counted.
    async fn note_read(&mut self, key: &[u8], needed: Option<&RawRow>, journal: &Journal) {
        let inline = match needed {
            Some((_, _, RunValue::Inline { bytes, .. })) => bytes.len(),
            _ => 0,
        };
        self.rate
            .take((ROW_BYTES + key.len() + inline) as u64, journal)
            .await;
    }
}

impl GroupStore {
    /// Merges. After an error nothing has changed but the folder's numbers, as with a flush.
    pub(in crate::store) async fn merge(&self, work: Work) -> io::Result<()> {
        let running = self.0.node.board.begin(work.plan.kind, self.0.key, work.bytes());
        let output = self.write_merged(&work, &running).await?;
        trouble::pause("storage: a merged run is published, no manifest names it").await;
        let mut folder = self.0.folder.lock().await;
        self.put_in_force(&mut folder, &work, output).await
    }

    /// The manifest and the layers, with the output in the place of its inputs.
    async fn put_in_force(
        &self,
        folder: &mut GroupFolder,
        work: &Work,
        Output {
            run,
            values: new,
            horizon,
        }: Output,
    ) -> io::Result<()> {
        let below = self.0.index.layers().below.clone();
        let mut manifest = folder.manifest().cloned().unwrap_or_default();
        let Some(at) = place_of(work.inputs(), &manifest.runs, &below) else {
            tracing::info!(group = %self.0.key, "what was being merged was replaced meanwhile");
            return Ok(());
        };
        let places = at..at + work.inputs().len();
        manifest.runs.splice(places.clone(), [entry_of(&run)]);
        manifest.value_files.extend(new.iter().map(|new| new.entry));
        self.note_left(&work.plan, run.summary());
        let mut runs = below.runs().to_vec();
        runs.splice(places, [run]);
        count_references(&mut manifest, &runs);
        let horizon = below.horizon().max(horizon);
        manifest.horizon = horizon;
        folder.commit(manifest).await?;
        trouble::sometimes("runs were merged");
        if !new.is_empty() {
            trouble::sometimes("values were moved");
        }
        let mut values = below.values().clone();
        values.extend(new.into_iter().map(|new| (new.entry.number, new.file)));
        self.0.index.replace(|layers| Layers {
            active: layers.active.clone(),
            frozen: layers.frozen.clone(),
            below: match work.plan.kind {
                WorkKind::Evacuate => Below::new(runs, values, horizon),
                _ => below.instead(runs, values, horizon),
            },
        });
        self.remember_named();
        Ok(())
    }

    /// Why an input could not be read, remembered: what a disk refuses it mostly goes on refusing, and were the same runs tried
    /// again and again, they would get too many. They are tried again after a while.
    fn unread(&self, inputs: &[Arc<Run>], missed: Missed) -> io::Error {
        let (mut rotten, now) = (self.0.rotten.lock(), self.now());
        match &missed {
            Missed::Failed(ReadError::Run { run, .. }) => rotten.add(*run, now),
            // Which of them it was is not said.
            _ => inputs
                .iter()
                .for_each(|run| rotten.add(run.identity().number, now)),
        }
        io::Error::other(missed)
    }

    /// One run with the newest row of every key, and those that history needs; without deletions if nothing older could come
    /// back.
    async fn write_merged(&self, work: &Work, running: &Running<'_>) -> io::Result<Output> {
        let node = &self.0.node;
        let inputs = work.inputs();
        let rows = inputs.iter().map(|run| run.summary().entries).sum::<u64>();
        let mut sink = Sink {
            run: self.create_run(rows as usize).await?,
            values: Evacuation::new(self, &work.below, &work.plan),
            rate: Rate::new(
                &node.env.clock,
                node.options.maintenance_rate,
                &node.backlog,
                &node.journal,
            ),
            running,
        };
        // Only the oldest run has nothing below that a deletion hides.
        let oldest = work.plan.runs.end == work.below.runs().len();
        let keep_deletions = !oldest && !mutant::is(Mutant::DeletionDroppedEarly);
        // Behind the inputs: what they lack was dropped at this horizon or before.
        let horizon = self.0.index.horizon();
        let unread = |missed| self.unread(inputs, missed);
        let mut versions = Versions::begin(inputs, None, horizon.keep).map_err(unread)?;
        while let Some(row) = versions.next().map_err(unread)? {
            self.go_on()?;
            sink.note_read(versions.key(), row.as_ref(), &node.journal).await;
            // A deletion above the horizon is a part of history.
            let stays =
                |row: &RawRow| row.2 != RunValue::Tombstone || keep_deletions || is_above(row, horizon.keep);
            if let Some(row) = row.filter(stays) {
                sink.add(row, &node.journal).await?;
            }
        }
        let Sink { run, values, .. } = sink;
        if values.lost > 0 {
            tracing::error!(group = %self.0.key, values = values.lost, "values were given up in a merge");
        }
        // Before the run that points into them.
        let values = values.finish().await?;
        let covers = inputs.first().map(|newest| newest.summary().covers);
        trouble::pause("storage: values are moved, the run that points at them is not published").await;
        Ok(Output {
            run: self.publish_run(run, covers.unwrap_or_default()).await?,
            values,
            horizon: horizon.least,
        })
    }

    /// An error if the node stops: a merge may be begun again at any time.
    fn go_on(&self) -> io::Result<()> {
        if self.0.node.is_closing() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    }
}

/// Versions of rows of the system are none of a group's.
fn is_above((key, version, _): &RawRow, horizon: Version) -> bool {
    key.first() == Some(&SPACE_USER) && *version > horizon
}

/// Where the runs stand now, one after the other, in the manifest and in what is in force.
fn place_of(inputs: &[Arc<Run>], named: &[RunEntry], below: &Below) -> Option<usize> {
    let numbers = |runs: &[Arc<Run>]| -> Vec<u64> { runs.iter().map(|run| run.identity().number).collect() };
    let (inputs, in_force) = (numbers(inputs), numbers(below.runs()));
    debug_assert!(named.iter().map(|run| run.number).eq(in_force.iter().copied()));
    in_force.windows(inputs.len()).position(|some| *some == inputs)
}
