//! What of the disk is still needed, and who holds it.
//!
//! Whether a segment of the journal or a value file may go is asked of everybody who can still read it: logs, rows of runs and memories
//! in force, views that live (`index/living`), and the manifests of groups that nobody has open (`named`). What one reader alone
//! holds back is in `held`, what merges could give back in `backlog`, and how much they may write in `room`; that they write less where
//! that proved too much, in `cramped`. Files of segments that went are kept to be used again, as many as there is room for (`spares`).
//!
//! Nothing that can be read is let go (`store/tests/space`: a model, crashes at every operation, readers beside it).

pub(in crate::store) mod backlog;
mod cramped;
pub(in crate::store) mod held;
mod named;
pub(in crate::store) mod room;
mod spares;

pub(in crate::store) use cramped::Cramped;
pub(in crate::store) use named::Named;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use atoll_env::trouble;
use atoll_types::{GroupKey, Mutant, mutant};
use parking_lot::Mutex;

use crate::index::{Below, Layers, Reach};
use crate::manifest::{Manifest, ValueFileEntry};
use crate::run::Run;
use crate::store::group::GroupStore;
use crate::store::maintenance::{Shared, Store};
use crate::store::merging::evacuate::Refused;
use crate::store::merging::work::Work;
use crate::store::planner::{FileShape, Need, RunShape, Shape, Urgency, file_bytes_wanted};
use crate::store::thread::Retry;

/// What is known of a group's space, and of the work on it, besides its files.
pub(in crate::store) struct Space {
    /// Of the journal's newest segment when the first entry was applied that no checkpoint has; or [`NOTHING`], or
    /// [`OPENED`].
    since: AtomicU32,
    /// Rows or entries that no checkpoint has hold back segments that should go.
    pressed: AtomicBool,
    /// Where values are left for a while.
    pub(in crate::store) refused: Mutex<Refused>,
    pub(in crate::store) named: Arc<Named>,
    /// The last merge did not come to its end.
    pub(in crate::store) retry: Mutex<Option<Retry>>,
    /// What is not needed could not be let go of.
    pub(in crate::store) tidy_retry: Mutex<Option<Retry>>,
    pub(in crate::store) cramped: Mutex<Cramped>,
}

impl Space {
    pub(in crate::store) fn new() -> Self {
        Self {
            since: AtomicU32::new(OPENED),
            pressed: AtomicBool::new(false),
            refused: Mutex::default(),
            named: Arc::default(),
            retry: Mutex::default(),
            tidy_retry: Mutex::default(),
            cramped: Mutex::default(),
        }
    }

    /// A checkpoint begins.
    pub(in crate::store) fn note_frozen(&self) {
        self.since.store(NOTHING, Ordering::Relaxed);
        self.pressed.store(false, Ordering::Relaxed);
    }
}

/// Nothing was applied since the last checkpoint.
const NOTHING: u32 = 0;
/// Nothing was applied since the group was opened; what comes first may stand in any segment.
const OPENED: u32 = u32::MAX;
/// No segment is older.
const OLDEST: u32 = 1;

impl Store {
    /// The lowest segment of the journal that any row of a group points into which was opened here: every row that can be
    /// read, now or later, by anybody; of groups that are not open any more or could not be opened, the rows of their last
    /// manifest. `Some(0)` if that cannot be read, so that nobody knows. `None`: no row points into the journal.
    ///
    /// It does not know of entries that are not applied, nor of those that a start would apply again. So to free
    /// segments: let every group of the node be opened first; ask all logs for their oldest segment *first*, then this;
    /// free what is below both.
    pub fn low_water(&self) -> Option<u32> {
        let known = self.0.known().into_iter();
        let needed = known.filter_map(|(group, named)| match group {
            Some(group) => group.oldest_segment(),
            None => named.get(),
        });
        needed.min()
    }

    /// Lets segments of the journal go that nobody needs any more. Frees nothing while a group in it was not opened here yet, as
    /// what its rows point into is not known; nor while one is in quarantine: its bytes may be the last ones there are.
    /// Has the maintenance thread let go of value files that no row points into, also while no merge comes to its end.
    ///
    /// Waits for the disk. Returns the oldest segment there is then.
    pub async fn reclaim(&self) -> io::Result<u32> {
        self.0.tidy.notify_one();
        self.0.limit_spares().await?;
        let freed = self.free_segments().await;
        self.0.look_at_backlog();
        freed
    }

    async fn free_segments(&self) -> io::Result<u32> {
        let journal = &self.0.journal;
        let oldest = journal.ends().map_or(0, |ends| ends.oldest);
        if !self.0.may_free() {
            return Ok(oldest);
        }
        // The logs first. An entry may be applied, written to a run and purged from its log between the two questions: asked
        // the other way round, neither would tell of it.
        let logs = journal.needed_by_logs();
        let asked = !mutant::is(Mutant::SegmentFreedEarly);
        let rows = self.low_water().filter(|_| asked).unwrap_or(u32::MAX);
        let first = logs.min(rows);
        if first <= oldest {
            return Ok(oldest);
        }
        trouble::pause("storage: before segments are let go").await;
        let oldest = journal.free_before(first).await?;
        trouble::sometimes("segments were let go");
        Ok(oldest)
    }

    /// Groups whose next checkpoint should be now, also if no entry comes: see [`GroupStore::wants_checkpoint_for_space`].
    pub fn groups_that_hold_space(&self) -> BTreeSet<GroupKey> {
        let groups = self.0.open_groups().into_iter();
        let pressed = groups.filter(GroupStore::wants_checkpoint_for_space);
        pressed.map(|group| group.0.key).collect()
    }

    /// Says whether there is hardly room left. While there is, everything that may give some is done: all rows are written to
    /// files, all runs of a group become one, values leave all segments but the newest.
    pub fn set_urgent(&self, urgent: bool) {
        self.0.urgent.store(urgent, Ordering::Relaxed);
    }

    /// Has the maintenance thread look for work: whether segments may go depends on what others write, too.
    pub fn look(&self) {
        self.0.look_soon();
    }

    /// Segments and value files that values are left in because the disk does not read them, and runs that are not merged for that
    /// reason. They hold back space until they can be read, or their replica is made anew.
    pub fn avoided(&self) -> usize {
        let groups = self.0.open_groups();
        groups.iter().map(GroupStore::avoided).sum()
    }

    /// Bytes of the runs and value files of all open groups.
    pub fn disk_bytes(&self) -> u64 {
        let groups = self.0.open_groups();
        groups.iter().map(GroupStore::disk_bytes).sum()
    }
}

impl Shared {
    /// True if it is known what of the journal is needed, and all of it is to be trusted.
    pub(in crate::store) fn may_free(&self) -> bool {
        let journal = &self.journal;
        journal.quarantined().is_empty() && self.knows(&journal.groups())
    }

    /// Up to where the journal is to be emptied now.
    pub(in crate::store) fn need(&self) -> Need {
        self.look_at_backlog();
        if self.urgent.load(Ordering::Relaxed) {
            return Need::urgent(
                self.journal.ends(),
                self.journal.used_bytes(),
                self.room_as_known().bytes(),
            );
        }
        let (ends, budget) = (self.journal.ends(), self.options.journal_budget);
        let need = Need::of(ends, self.journal.used_bytes(), budget);
        Need {
            behind: self.backlog.is_behind(&self.journal),
            ..need.and_rotten(self.journal.rotten(), ends)
        }
    }
}

impl GroupStore {
    /// The lowest segment of the journal that a row of this group points into which anybody can read, now or later.
    pub fn oldest_segment(&self) -> Option<u32> {
        self.0.index.reach().segment
    }

    /// True if the journal has more than it should, and its oldest segments cannot go because this group was not
    /// written to its files for long: its next checkpoint should be now, also if no entry comes.
    pub fn wants_checkpoint_for_space(&self) -> bool {
        self.0.space.pressed.load(Ordering::Relaxed) && !self.0.busy.load(Ordering::Acquire)
    }

    /// Bytes of the group's runs and value files.
    pub fn disk_bytes(&self) -> u64 {
        let layers = self.0.index.layers();
        let runs = layers.below.runs().iter().map(|run| run.summary().file_len);
        let values = layers.below.values().values().map(|file| file.file_len());
        runs.sum::<u64>() + values.sum::<u64>()
    }

    fn avoided(&self) -> usize {
        let now = self.now();
        let refused = self.0.space.refused.lock();
        let left = refused.segments.count(now) + refused.files.count(now);
        drop(refused);
        left + self.0.rotten.lock().count(now)
    }

    /// How many value files the group has.
    pub fn value_files(&self) -> usize {
        self.0.index.layers().below.values().len()
    }

    /// Notes that an entry was applied that no checkpoint has.
    pub(in crate::store) fn note_unflushed(&self) {
        let since = &self.0.space.since;
        match since.load(Ordering::Relaxed) {
            NOTHING => {
                let newest = self.0.node.journal.ends().map_or(OLDEST, |ends| ends.newest);
                since.store(newest, Ordering::Relaxed);
            }
            OPENED => since.store(OLDEST, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Finds out whether rows or entries that no checkpoint has hold back segments that should go.
    pub(in crate::store) fn press(&self, need: Need) {
        let active = self.0.index.layers().active.clone();
        let rows = active.tree.read().reach().segment;
        let since = self.0.space.since.load(Ordering::Relaxed);
        let entries = (since != NOTHING && since != OPENED).then_some(since);
        let oldest = rows.into_iter().chain(entries).min();
        let pressed = oldest.is_some_and(|segment| need.urgent || segment < need.evacuate);
        self.0.space.pressed.store(pressed, Ordering::Relaxed);
    }

    /// What to do next for this group, with how urgent it is: the first of what is to be done that there is room for, if only for a
    /// part of it.
    pub(in crate::store) async fn work(&self, need: Need) -> Option<(Urgency, Work)> {
        let (below, files) = {
            let folder = self.0.folder.lock().await;
            let files = folder.manifest().map(|manifest| manifest.value_files.clone());
            (self.0.index.layers().below.clone(), files.unwrap_or_default())
        };
        let need = self.need_of_scans(&below, need);
        let shape = self.shape(&below, &files);
        let plans = shape.plans(need);
        let Some(first) = plans.first() else {
            *self.0.space.retry.lock() = None;
            return None;
        };
        let room = self.room_to_plan();
        for plan in &plans {
            let urgency = shape.urgency(plan, need);
            let work = Work::new(plan.clone(), below.clone());
            if let Some(part) = work.within(
                room,
                |segment| shape.can_leave(segment),
                |file| shape.has_dead(file),
            ) {
                self.note_room();
                return Some((urgency, part));
            }
        }
        self.put_off_for_room(&Work::new(first.clone(), below), room);
        None
    }

    /// The same, or more: values that scans have read one by one from the journal often enough are put in order.
    fn need_of_scans(&self, below: &Below, need: Need) -> Need {
        let newest = self.0.node.journal.ends().map_or(0, |ends| ends.newest);
        let old = |run: &Arc<Run>| -> u64 {
            let values = run.summary().journal_bytes.iter();
            let old = values.filter(|(segment, _)| *segment < newest);
            old.map(|(_, bytes)| bytes).sum()
        };
        // The runs themselves are written anew too, from the first to the last that has such values.
        let has_old = |run: &Arc<Run>| old(run) > 0;
        let runs = below.runs();
        let first = runs.iter().position(has_old).unwrap_or(0);
        let last = runs.iter().rposition(has_old).map_or(0, |last| last + 1);
        let span = runs.get(first..last).unwrap_or_default();
        let values: u64 = span.iter().map(old).sum();
        let together: u64 = span.iter().map(|run| run.summary().file_len).sum();
        need.for_scans(
            newest,
            below.scattered(),
            (values, values.saturating_add(together)),
        )
    }

    /// Bytes that a value file should have.
    pub(in crate::store) fn value_file_bytes(&self, below: &Below) -> u64 {
        let all = below.values().values().map(|file| file.file_len());
        file_bytes_wanted(all.sum(), self.0.node.options.value_file_bytes)
    }

    fn shape(&self, below: &Below, files: &[ValueFileEntry]) -> Shape {
        let refused = self.0.space.refused.lock();
        let (rotten, now) = (self.0.rotten.lock(), self.now());
        let horizon = self.0.index.horizon().keep;
        let run = |run: &Arc<Run>| {
            let summary = run.summary();
            let segments = summary.journal_bytes.iter().map(|(id, _)| *id);
            RunShape {
                len: summary.file_len,
                rows: summary.entries,
                // Those above the horizon are kept.
                removed: if summary.max_version <= horizon {
                    summary.tombstones
                } else {
                    0
                },
                replaced: if summary.replaced_until <= horizon {
                    summary.replaced
                } else {
                    0
                },
                rotten: rotten.has(&run.identity().number, now),
                segments: segments.filter(|id| !refused.segments.has(id, now)).collect(),
                files: summary.file_bytes.iter().map(|(number, _)| *number).collect(),
            }
        };
        let sound = files.iter().filter(|file| !refused.files.has(&file.number, now));
        Shape {
            runs: below.runs().iter().map(run).collect(),
            files: sound
                .map(|file| FileShape {
                    number: file.number,
                    live: file.live_bytes,
                    dead: file.dead_bytes,
                })
                .collect(),
            file_bytes: self.value_file_bytes(below),
        }
    }

    /// Lets go of value files that no row points into any more, neither in a run nor in memory. Returns how many.
    pub(in crate::store) async fn drop_value_files(&self) -> io::Result<usize> {
        let mut folder = self.0.folder.lock().await;
        let Some(manifest) = folder.manifest() else {
            return Ok(0);
        };
        let careless = mutant::is(Mutant::ValueFileDroppedEarly);
        let dead = |file: &&ValueFileEntry| file.live_bytes == 0 || careless && file.dead_bytes > 0;
        let unreferenced = manifest.value_files.iter().filter(dead);
        let unreferenced: BTreeSet<u32> = unreferenced.map(|file| file.number).collect();
        if unreferenced.is_empty() {
            return Ok(0);
        }
        // Rows in memory may still have pieces there, and a later checkpoint would name the file again.
        let needed = if careless {
            BTreeSet::new()
        } else {
            self.0.index.reach().files
        };
        let gone: BTreeSet<u32> = unreferenced.difference(&needed).copied().collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let mut manifest: Manifest = manifest.clone();
        manifest.value_files.retain(|file| !gone.contains(&file.number));
        folder.commit(manifest).await?;
        self.0.index.replace(|layers| {
            let mut values = layers.below.values().clone();
            values.retain(|number, _| !gone.contains(number));
            Layers {
                active: layers.active.clone(),
                frozen: layers.frozen.clone(),
                below: {
                    let below = &layers.below;
                    below.instead(below.runs().to_vec(), values, below.horizon())
                },
            }
        });
        Ok(gone.len())
    }

    /// Remembers what the manifest in force needs, for when nobody has the group open.
    pub(in crate::store) fn remember_named(&self) {
        let mut reach = Reach::default();
        self.0.index.layers().below.add_reach(&mut reach);
        self.0.space.named.set(reach.segment);
    }
}
