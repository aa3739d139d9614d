//! What to do next: which runs to merge, and what to move out of where meanwhile.
//!
//! All of it is arithmetic over what manifests say, so that it can be tested without a disk. In this order: runs are
//! merged when they are many; values leave segments of the journal that are beyond its budget; value files that are
//! half dead are written anew. A merge always takes neighbours, and puts its output where they were.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::index::LOST;
use crate::journal::Ends;
use crate::store::progress::WorkKind;

/// Runs of a group from which on the newest ones are merged.
const RUNS_MANY: usize = 4;
/// Runs of a group from which on some are merged whatever their sizes.
const RUNS_TOO_MANY: usize = 12;
/// A run takes part if it is at most so many times as long as all newer ones together.
const RATIO: u64 = 2;

/// How many of the newest runs to merge into one; `None`: leave them as they are. Lengths are in bytes, newest
/// first.
///
/// Tiered: a run is rewritten only together with as many newer bytes as half of its own, so that a row is
/// copied a number of times that grows with the logarithm of the rows.
pub(crate) fn to_merge(lens: &[u64]) -> Option<usize> {
    if lens.len() < RUNS_MANY {
        return None;
    }
    let mut together = 0_u64;
    let mut count = 0;
    for len in lens {
        if count > 0 && *len > together.saturating_mul(RATIO) {
            break;
        }
        together = together.saturating_add(*len);
        count += 1;
    }
    match count {
        // The newest alone; waiting longer would make every read look into more and more of them.
        0 | 1 => (lens.len() >= RUNS_TOO_MANY).then_some(RUNS_MANY),
        count => Some(count),
    }
}

/// Value files that are less than this part of the largest allowed are small.
const SMALL_PART: u64 = 4;
/// Small value files from which on they become one.
const SMALL_MANY: usize = 8;

/// Bytes of values read one by one for which nothing is moved yet.
const SCATTERED_MIN: u64 = 16 * 1024 * 1024;

/// What a run means for the plan.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct RunShape {
    /// Bytes of the file.
    pub(in crate::store) len: u64,
    /// Rows in it, removed ones included.
    pub(in crate::store) rows: u64,
    /// Rows that say that a key is gone.
    pub(in crate::store) removed: u64,
    /// It cannot be read whole, so no merge takes it.
    pub(in crate::store) rotten: bool,
    /// Segments that its values stand in, ascending, without those that a disk refuses to read.
    pub(in crate::store) segments: Vec<u32>,
    /// Value files that its values stand in.
    pub(in crate::store) files: BTreeSet<u32>,
}

/// What a value file means for the plan.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct FileShape {
    pub(in crate::store) number: u32,
    pub(in crate::store) live: u64,
    pub(in crate::store) dead: u64,
}

/// A group.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Shape {
    /// Newest first.
    pub(in crate::store) runs: Vec<RunShape>,
    /// Value files that can be read.
    pub(in crate::store) files: Vec<FileShape>,
    /// The least bytes of a value file that is not small.
    pub(in crate::store) file_bytes: u64,
}

/// Up to where segments are to be emptied; 0: none is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Need {
    /// Older segments are the reason for a merge.
    pub(in crate::store) evacuate: u32,
    /// Older segments are emptied by a merge that is done anyway, so that its output is not merged soon for their sake.
    pub(in crate::store) ahead: u32,
    /// There is hardly room left: whatever may give some is done.
    pub(in crate::store) urgent: bool,
    /// Writes outrun merges: old segments are emptied before anything else is done.
    pub(in crate::store) behind: bool,
}

/// How urgent a plan is: the least first. Whether it waits for evacuations, because these lag behind; then by its kind.
pub(in crate::store) type Urgency = (bool, WorkKind, u32);

/// A merge to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Plan {
    pub(in crate::store) kind: WorkKind,
    /// Which runs, counted from the newest.
    pub(in crate::store) runs: Range<usize>,
    /// Values leave segments older than this.
    pub(in crate::store) before: u32,
    /// And these value files.
    pub(in crate::store) victims: BTreeSet<u32>,
}

impl Need {
    /// For a journal of so many bytes that should have at most `budget`.
    pub(in crate::store) fn of(ends: Option<Ends>, bytes: u64, budget: u64) -> Self {
        let over = ends.filter(|_| bytes > budget);
        Self {
            evacuate: over.map_or(0, |ends| first_kept(ends, bytes, budget - budget / 4)),
            ahead: ends.map_or(0, |ends| first_kept(ends, bytes, budget / 2)),
            urgent: false,
            behind: false,
        }
    }

    /// For a group of which scans have read so many bytes of values one by one from the journal, where so many (`values`) stand in
    /// segments before the newest. Read in order they are many times as fast, but moving them writes so much (`written`): them, and
    /// the runs that point to them. So they are moved once as many bytes were read one by one as moving writes: then it costs at most about what it would have cost to do so at
    /// once, whatever is scanned later, and nothing where nobody scans.
    pub(in crate::store) fn for_scans(
        self,
        newest: u32,
        scattered: u64,
        (values, written): (u64, u64),
    ) -> Self {
        if values == 0 || scattered < written.max(SCATTERED_MIN) {
            return self;
        }
        Self {
            evacuate: self.evacuate.max(newest),
            ahead: self.ahead.max(newest),
            ..self
        }
    }

    /// Segments up to this one are to be emptied besides, because it is rotten.
    pub(in crate::store) fn and_rotten(self, rotten: u32, ends: Option<Ends>) -> Self {
        let newest = ends.map_or(0, |ends| ends.newest);
        let before = if rotten == 0 {
            0
        } else {
            rotten.saturating_add(1).min(newest)
        };
        Self {
            evacuate: self.evacuate.max(before),
            ahead: self.ahead.max(before),
            ..self
        }
    }

    /// When there is hardly room left: all segments but the newest are to be emptied.
    pub(in crate::store) fn urgent(ends: Option<Ends>) -> Self {
        let newest = ends.map_or(0, |ends| ends.newest);
        Self {
            evacuate: newest,
            ahead: newest,
            urgent: true,
            behind: false,
        }
    }
}

/// The oldest segment that stays if about so many bytes do; 0 if all do.
fn first_kept(ends: Ends, bytes: u64, keep: u64) -> u32 {
    if bytes <= keep {
        return 0;
    }
    let Ends { oldest, newest } = ends;
    let segments = u64::from(newest.saturating_sub(oldest)) + 1;
    let beyond = (bytes - keep).div_ceil((bytes / segments).max(1));
    let beyond = u32::try_from(beyond).unwrap_or(u32::MAX);
    // The newest is being written to.
    oldest.saturating_add(beyond).min(newest)
}

impl Shape {
    /// What to do next for this group.
    pub(in crate::store) fn plan(&self, need: Need) -> Option<Plan> {
        // Runs must not get too many for it, or the evacuations themselves would be what nobody keeps up with.
        let first = need.behind && self.runs.len() < RUNS_TOO_MANY;
        let first = if first { self.evacuation(need) } else { None };
        first
            .or_else(|| self.cleaning(need))
            .or_else(|| self.tiered(need))
            .or_else(|| self.evacuation(need))
            .or_else(|| self.collection(need))
    }

    /// The lowest segment that a value stands in.
    fn lowest(&self) -> Option<u32> {
        let segments = self.runs.iter().filter_map(RunShape::lowest);
        segments.min()
    }

    /// How urgent a plan is, the least first: by kind, and of evacuations the one from the oldest segment.
    pub(in crate::store) fn urgency(&self, plan: &Plan, need: Need) -> Urgency {
        let segment = match plan.kind {
            WorkKind::Evacuate => self.lowest().unwrap_or(u32::MAX),
            // The group with the most runs: those of one that always comes last would get too many.
            WorkKind::Merge => u32::MAX - self.runs.len() as u32,
            WorkKind::Flush | WorkKind::Collect => 0,
        };
        let waits = !(need.behind && plan.kind == WorkKind::Evacuate);
        (waits, plan.kind, segment)
    }

    /// All runs, if that lets go of removed rows that are half of all, or of any when there is hardly room.
    fn cleaning(&self, need: Need) -> Option<Plan> {
        let sum = |of: fn(&RunShape) -> u64| self.runs.iter().map(of).sum::<u64>();
        let (rows, removed) = (sum(|run| run.rows), sum(|run| run.removed));
        let worth_it = if need.urgent {
            rows > 0
        } else {
            removed > 0 && removed >= rows / 2
        };
        let sound = !self.runs.iter().any(|run| run.rotten);
        (self.runs.len() > 1 && sound && worth_it)
            .then(|| self.with_victims(WorkKind::Merge, 0..self.runs.len(), need.ahead))
    }

    fn tiered(&self, need: Need) -> Option<Plan> {
        // Those above any rotten one. Were that one tried again and again, runs would get too many for checkpoints to go on.
        let sound = self.runs.iter().take_while(|run| !run.rotten);
        let lens: Vec<u64> = sound.map(|run| run.len).collect();
        let runs = 0..to_merge(&lens)?;
        Some(self.with_victims(WorkKind::Merge, runs, need.ahead))
    }

    /// All runs that point into old segments, from the newest to the oldest of them, as far as none between is rotten.
    fn evacuation(&self, need: Need) -> Option<Plan> {
        let old = |run: &RunShape| !run.rotten && run.lowest().is_some_and(|id| id < need.evacuate);
        let runs = self.span(old)?;
        Some(self.with_victims(WorkKind::Evacuate, runs, need.evacuate.max(need.ahead)))
    }

    /// All runs that point into a half-dead value file, or into small ones of which there are many.
    fn collection(&self, need: Need) -> Option<Plan> {
        let half_dead = self.half_dead();
        let mut runs = half_dead.iter().filter_map(|number| self.refering(*number));
        let runs = runs.next().or_else(|| self.small_together())?;
        Some(self.with_victims(WorkKind::Collect, runs, need.ahead))
    }

    /// The runs that point into any small value file, if these can become fewer: it takes all of them at once.
    fn small_together(&self) -> Option<Range<usize>> {
        let small = self.small();
        let refering: Vec<_> = small.iter().filter_map(|file| self.refering(*file)).collect();
        if refering.len() < SMALL_MANY {
            return None;
        }
        let first = refering.iter().map(|runs| runs.start).min()?;
        let end = refering.iter().map(|runs| runs.end).max()?;
        let rotten = self.runs.get(first..end)?.iter().any(|run| run.rotten);
        (!rotten).then_some(first..end)
    }

    /// From the first to the last run that this is true of, cut off before a rotten one.
    fn span(&self, of: impl Fn(&RunShape) -> bool) -> Option<Range<usize>> {
        let first = self.runs.iter().position(&of)?;
        let sound = self.runs.iter().skip(first).take_while(|run| !run.rotten);
        let last = sound.enumerate().filter(|(_, run)| of(run)).last()?.0;
        Some(first..first + last + 1)
    }

    /// The runs from the first to the last that points into a value file, if all can be merged.
    fn refering(&self, file: u32) -> Option<Range<usize>> {
        let points = |run: &RunShape| run.files.contains(&file);
        let first = self.runs.iter().position(points)?;
        let last = self.runs.iter().rposition(points)?;
        let runs = first..last + 1;
        let rotten = self.runs.get(runs.clone())?.iter().any(|run| run.rotten);
        (!rotten).then_some(runs)
    }

    fn half_dead(&self) -> BTreeSet<u32> {
        let half_dead = |file: &&FileShape| file.live > 0 && file.dead >= file.live;
        self.files
            .iter()
            .filter(half_dead)
            .map(|file| file.number)
            .collect()
    }

    /// Small value files, if they are many.
    fn small(&self) -> BTreeSet<u32> {
        let small = |file: &&FileShape| file.live > 0 && file.live + file.dead < self.file_bytes / SMALL_PART;
        let small: BTreeSet<u32> = self.files.iter().filter(small).map(|file| file.number).collect();
        if small.len() < SMALL_MANY {
            BTreeSet::new()
        } else {
            small
        }
    }

    /// A merge also empties the value files to go that nothing but its runs points into: nothing else would free them.
    fn with_victims(&self, kind: WorkKind, runs: Range<usize>, before: u32) -> Plan {
        let mut victims = self.half_dead();
        victims.extend(self.small());
        victims.retain(|file| {
            let refering = self.refering(*file);
            refering.is_some_and(|refering| refering.start >= runs.start && refering.end <= runs.end)
        });
        Plan {
            kind,
            runs,
            before,
            victims,
        }
    }
}

impl RunShape {
    fn lowest(&self) -> Option<u32> {
        self.segments.iter().copied().find(|id| *id != LOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stay_few_and_each_row_is_copied_a_few_times() {
        let mut runs: Vec<u64> = Vec::new();
        let mut copied = 0;
        let flushes = 10_000;
        let mut most = 0;
        for _ in 0..flushes {
            runs.insert(0, 1);
            while let Some(count) = to_merge(&runs) {
                assert!(count > 1 && count <= runs.len());
                let merged: u64 = runs.drain(..count).sum();
                copied += merged;
                runs.insert(0, merged);
            }
            most = most.max(runs.len());
        }
        assert!(most < RUNS_TOO_MANY, "{most} runs");
        let times = copied / flushes;
        assert!((3..12).contains(&times), "every row was copied {times} times");
    }

    #[test]
    fn runs_of_falling_length_do_not_gather_for_ever() {
        let mut runs: Vec<u64> = (0..RUNS_TOO_MANY as u32).map(|level| 10_u64.pow(level)).collect();
        assert_eq!(to_merge(&runs), Some(RUNS_MANY));
        runs.pop();
        assert_eq!(to_merge(&runs), None);
        assert_eq!(to_merge(&[]), None);
        assert_eq!(to_merge(&[5, 5, 5]), None);
        assert_eq!(to_merge(&[u64::MAX; 4]), Some(4));
    }

    fn run(len: u64, segments: &[u32], files: &[u32]) -> RunShape {
        RunShape {
            len,
            rows: 100,
            removed: 0,
            rotten: false,
            segments: segments.to_vec(),
            files: files.iter().copied().collect(),
        }
    }

    fn file(number: u32, live: u64, dead: u64) -> FileShape {
        FileShape { number, live, dead }
    }

    fn shape(runs: &[RunShape], files: &[FileShape]) -> Shape {
        Shape {
            runs: runs.to_vec(),
            files: files.to_vec(),
            file_bytes: 1000,
        }
    }

    #[test]
    fn scans_have_values_moved_once_they_read_as_many_one_by_one() {
        const MIB: u64 = 1 << 20;
        let none = Need::default();
        assert_eq!(none.for_scans(9, 99 * MIB, (10 * MIB, 100 * MIB)), none);
        let moved = none.for_scans(9, 100 * MIB, (10 * MIB, 100 * MIB));
        assert_eq!((moved.evacuate, moved.ahead, moved.urgent), (9, 9, false));
        assert_eq!(none.for_scans(9, 15 * MIB, (1, 1)), none, "too little to care");
        assert_eq!(
            none.for_scans(9, u64::MAX, (0, 0)),
            none,
            "there is nothing to move"
        );
        let more = NEED.for_scans(9, 100 * MIB, (MIB, MIB));
        assert_eq!(more, NEED, "nothing is asked for less");
        let group = shape(&[run(10, &[], &[]), run(10, &[8, 9], &[])], &[]);
        assert_eq!(group.plan(moved), Some(plan(WorkKind::Evacuate, 1..2, 9, &[])));
        let done = shape(&[run(10, &[], &[]), run(10, &[9], &[1])], &[]);
        assert_eq!(done.plan(moved), None, "the newest segment stays");
    }

    const NEED: Need = Need {
        urgent: false,
        behind: false,
        evacuate: 10,
        ahead: 12,
    };

    fn plan(kind: WorkKind, runs: Range<usize>, before: u32, victims: &[u32]) -> Plan {
        Plan {
            kind,
            runs,
            before,
            victims: victims.iter().copied().collect(),
        }
    }

    #[test]
    fn runs_of_removed_rows_are_merged_whole_and_without_room_all_are() {
        let mut group = shape(&[run(10, &[], &[]), run(1000, &[], &[])], &[]);
        assert_eq!(group.plan(NEED), None);
        let all = Some(plan(WorkKind::Merge, 0..2, 12, &[]));
        group.runs[0].removed = 99;
        assert_eq!(group.plan(NEED), None, "half of all rows are 100");
        group.runs[0].removed = 100;
        assert_eq!(group.plan(NEED), all);
        group.runs[0].removed = 0;
        let urgent = Need { urgent: true, ..NEED };
        assert_eq!(group.plan(urgent), all);
        group.runs[1].rotten = true;
        assert_eq!(group.plan(urgent), None);
        group.runs.truncate(1);
        assert_eq!(group.plan(urgent), None, "one run is the end of it");
    }

    #[test]
    fn of_groups_with_many_runs_the_one_with_most_goes_first() {
        let of = |runs: usize| shape(&vec![run(1, &[], &[]); runs], &[]);
        let urgency = |group: &Shape| group.urgency(&group.plan(NEED).unwrap(), NEED);
        assert!(urgency(&of(9)) < urgency(&of(8)));
    }

    #[test]
    fn the_journal_is_emptied_from_its_oldest_end_and_never_of_its_newest_segment() {
        let ends = Some(Ends {
            oldest: 5,
            newest: 14,
        });
        assert_eq!(Need::of(ends, 1000, 2000), Need::default());
        let need = |bytes, budget| {
            let Need { evacuate, ahead, .. } = Need::of(ends, bytes, budget);
            (evacuate, ahead)
        };
        // Ten segments of 100 bytes each.
        assert_eq!(need(1000, 1500), (0, 8), "half of it is kept, at least");
        assert_eq!(need(1000, 1000), (0, 10));
        assert_eq!(need(1000, 800), (9, 11), "down to three quarters");
        assert_eq!(need(1000, 1), (14, 14));
        assert_eq!(Need::of(None, 1000, 1), Need::default());
        assert_eq!(need(3, 1), (7, 8), "bytes that are fewer than segments");
    }

    #[test]
    fn all_runs_that_point_into_old_segments_are_merged_with_what_is_between() {
        let runs = [
            run(1, &[20], &[]),
            run(10, &[0, 9], &[]),
            run(100, &[15], &[]),
            run(5000, &[3, 20], &[]),
            run(90_000, &[], &[]),
        ];
        let group = shape(&runs, &[]);
        let expected = plan(WorkKind::Evacuate, 1..4, 12, &[]);
        assert_eq!(group.plan(NEED), Some(expected.clone()));
        assert_eq!(group.urgency(&expected, NEED), (true, WorkKind::Evacuate, 3));
        assert_eq!(group.plan(Need::default()), None);
        // Nothing crosses a run that cannot be read; what is behind it has to wait.
        let mut rotten = group;
        rotten.runs[2].rotten = true;
        assert_eq!(rotten.plan(NEED), Some(plan(WorkKind::Evacuate, 1..2, 12, &[])));
        rotten.runs[1].segments.clear();
        assert_eq!(rotten.plan(NEED), Some(plan(WorkKind::Evacuate, 3..4, 12, &[])));
        rotten.runs[3].segments = vec![LOST];
        assert_eq!(rotten.plan(NEED), None, "what is lost holds nothing");
    }

    #[test]
    fn when_writes_outrun_merges_old_segments_come_first() {
        let many = shape(&vec![run(1, &[3], &[]); RUNS_MANY], &[]);
        let merged = plan(WorkKind::Merge, 0..RUNS_MANY, 12, &[]);
        assert_eq!(many.plan(NEED), Some(merged.clone()));
        let behind = Need { behind: true, ..NEED };
        let evacuated = plan(WorkKind::Evacuate, 0..RUNS_MANY, 12, &[]);
        assert_eq!(many.plan(behind), Some(evacuated.clone()));
        assert!(many.urgency(&evacuated, behind) < many.urgency(&merged, behind));
        assert!(many.urgency(&merged, NEED) < many.urgency(&evacuated, NEED));
        let too_many = shape(&vec![run(1, &[3], &[]); RUNS_TOO_MANY], &[]);
        assert_eq!(too_many.plan(behind).unwrap().kind, WorkKind::Merge);
    }

    #[test]
    fn a_half_dead_value_file_goes_if_all_who_point_into_it_are_merged() {
        let runs = [run(1, &[], &[]), run(50, &[], &[7]), run(5000, &[], &[7, 8])];
        let files = [file(7, 499, 499), file(8, 501, 499), file(9, 0, 700)];
        let group = shape(&runs, &files);
        assert_eq!(group.plan(NEED), Some(plan(WorkKind::Collect, 1..3, 12, &[7])));
        let mut rotten = group.clone();
        rotten.runs[2].rotten = true;
        assert_eq!(rotten.plan(NEED), None);
        // A merge that is done anyway takes it along, if it has all of its runs.
        let mut old = group;
        old.runs[2].segments = vec![3];
        assert_eq!(old.plan(NEED), Some(plan(WorkKind::Evacuate, 2..3, 12, &[])));
        old.runs[1].segments = vec![4];
        assert_eq!(old.plan(NEED), Some(plan(WorkKind::Evacuate, 1..3, 12, &[7])));
    }

    #[test]
    fn small_value_files_become_one_only_together() {
        let few = SMALL_MANY as u32 - 1;
        let runs = [run(1, &[], &[1, 2, 3]), run(50, &[], &[4, 5, 6, 7, 8])];
        let files: Vec<_> = (1..=few).map(|number| file(number, 200, 0)).collect();
        assert_eq!(shape(&runs, &files).plan(NEED), None);
        let files: Vec<_> = (1..=few + 1).map(|number| file(number, 200, 0)).collect();
        let all: Vec<u32> = (1..=few + 1).collect();
        let mut group = shape(&runs, &files);
        assert_eq!(group.plan(NEED), Some(plan(WorkKind::Collect, 0..2, 12, &all)));
        group.runs[1].rotten = true;
        assert_eq!(group.plan(NEED), None, "what is left would be no fewer");
    }
}
