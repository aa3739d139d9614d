//! What to do next: which runs to merge, and what to move out of where meanwhile.
//!
//! All of it is arithmetic over what manifests say, so that it can be tested without a disk. In this order: runs are
//! merged when they are many, and written anew when much of them is history that has passed; values leave segments of the journal
//! that are beyond its budget; value files with much in them that is dead are written anew ([`super::garbage`]). A merge always takes
//! neighbours, and puts its output where they were.

use std::collections::BTreeSet;
use std::ops::Range;

use super::garbage::{FileShape, Garbage, SMALL_MANY, dead, small};
use crate::index::LOST;
use crate::journal::Ends;
use crate::store::progress::WorkKind;

/// Runs of a group from which on the newest ones are merged.
const RUNS_MANY: usize = 4;
/// Runs of a group from which on some are merged whatever their sizes.
const RUNS_TOO_MANY: usize = 12;
/// Runs of a group from which on they are merged before anything else is done: each read looks into all of them, so they must
/// stay bounded also while writes outrun merges.
const RUNS_AT_MOST: usize = 64;
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

/// A run is written anew when this part of its rows is history that has passed.
const HISTORY_PART: u64 = 4;
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
    /// Older versions of keys that are in it too, if no reader needs any of them any more.
    pub(in crate::store) replaced: u64,
    /// It cannot be read whole, so no merge takes it.
    pub(in crate::store) rotten: bool,
    /// Segments that its values stand in, ascending, without those that a disk refuses to read.
    pub(in crate::store) segments: Vec<u32>,
    /// Value files that its values stand in.
    pub(in crate::store) files: BTreeSet<u32>,
}

/// A group.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Shape {
    /// Newest first.
    pub(in crate::store) runs: Vec<RunShape>,
    /// Value files that can be read.
    pub(in crate::store) files: Vec<FileShape>,
    /// Bytes that its value files should have.
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
        // While values leave it, it goes on growing.
        let over = ends.filter(|_| bytes > budget - budget / 8);
        Self {
            evacuate: over.map_or(0, |ends| first_kept(ends, bytes, budget / 8 * 5)),
            ahead: ends.map_or(0, |ends| first_kept(ends, bytes, budget / 2)),
            urgent: false,
            behind: false,
        }
    }

    /// For a group of which scans have read so many bytes of values one by one from the journal, where so many (`values`) stand in
    /// segments before the newest. Read in order they are many times as fast, but moving them writes so much (`written`): them, and
    /// the runs that point to them. So they are moved once half as many bytes were read one by one as moving writes, because a value that is read
    /// alone costs at least twice what it costs in order: then moving costs at most about what was lost by not doing so at
    /// once, whatever is scanned later, and nothing where nobody scans. One scan of everything is enough. What stands in the newest segment
    /// is no reason, but goes with the others: it would be what such a scan is slow by.
    pub(in crate::store) fn for_scans(
        self,
        newest: u32,
        scattered: u64,
        (values, written): (u64, u64),
    ) -> Self {
        // With hardly any room all groups leave the oldest segments together, or none ever goes.
        if self.urgent || values == 0 || scattered < (written / 2).max(SCATTERED_MIN) {
            return self;
        }
        let all = newest.saturating_add(1);
        Self {
            evacuate: self.evacuate.max(all),
            ahead: self.ahead.max(all),
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

    /// When there is hardly room left: all segments but the newest are to be emptied, and of these as many of the oldest first as
    /// moving all that is in them needs no more than three quarters of `room` (runs are written too), but one at least. A segment goes only when all groups have left it: did one of
    /// them move all that it has, the others would find no room left, and nothing would ever go.
    pub(in crate::store) fn urgent(ends: Option<Ends>, bytes: u64, room: u64) -> Self {
        let before = ends.map_or(0, |ends| {
            let segments = u64::from(ends.newest.saturating_sub(ends.oldest)) + 1;
            let fit = ((room - room / 4) / (bytes / segments).max(1)).max(1);
            let before = ends.oldest.saturating_add(u32::try_from(fit).unwrap_or(u32::MAX));
            before.min(ends.newest)
        });
        Self {
            evacuate: before,
            ahead: before,
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
    /// What is to be done for this group, the first thing first. Each is a plan of its own: a later one is for when there is no
    /// room for those before.
    pub(in crate::store) fn plans(&self, need: Need) -> Vec<Plan> {
        // Runs must not get too many for it, or the evacuations themselves would be what nobody keeps up with.
        let first = need.behind && self.runs.len() < RUNS_TOO_MANY;
        let first = if first { self.evacuation(need) } else { None };
        let second = if first.is_none() {
            self.evacuation(need)
        } else {
            None
        };
        let plans = [
            first,
            self.cleaning(need),
            self.tiered(need),
            self.forgetting(need),
            second,
            self.collection(need),
        ];
        let plans = plans.into_iter().flatten();
        if need.urgent {
            return plans.filter_map(|plan| self.alone(plan)).collect();
        }
        plans.collect()
    }

    /// The same with as little as possible done besides, as all of it together may not fit: of value files only one with
    /// much that is dead, and that only if they are what it is about. `None` if nothing is left.
    fn alone(&self, mut plan: Plan) -> Option<Plan> {
        let collects = plan.kind == WorkKind::Collect;
        let dead = dead(&self.files, Garbage::URGENT);
        let live = |number: &u32| {
            let file = self.files.iter().find(|file| file.number == *number);
            file.map_or(0, |file| file.live)
        };
        plan.victims.retain(|file| collects && dead.contains(file));
        plan.victims = plan
            .victims
            .iter()
            .copied()
            .min_by_key(live)
            .into_iter()
            .collect();
        (!collects || !plan.victims.is_empty()).then_some(plan)
    }

    /// True if values in this segment can be moved, as far as is known.
    pub(in crate::store) fn can_leave(&self, segment: u32) -> bool {
        self.runs.iter().any(|run| run.segments.contains(&segment))
    }

    /// True if something is dead in this value file.
    pub(in crate::store) fn has_dead(&self, number: u32) -> bool {
        let mut files = self.files.iter();
        files.any(|file| file.number == number && file.dead > 0)
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
        let many = plan.kind == WorkKind::Merge && self.runs.len() >= RUNS_AT_MOST;
        let waits = !(many || need.behind && plan.kind == WorkKind::Evacuate);
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
            .then(|| self.with_victims(WorkKind::Merge, 0..self.runs.len(), (need.ahead, need.urgent)))
    }

    /// The newest run of which a part is history that has passed: nothing else would let go of it where nobody writes.
    fn forgetting(&self, need: Need) -> Option<Plan> {
        let much = |run: &RunShape| run.replaced >= (run.rows / HISTORY_PART).max(1);
        let passed = |run: &RunShape| !run.rotten && run.replaced > 0 && (need.urgent || much(run));
        let first = self.runs.iter().position(passed)?;
        Some(self.with_victims(WorkKind::Merge, first..first + 1, (need.ahead, need.urgent)))
    }

    fn tiered(&self, need: Need) -> Option<Plan> {
        // Those above any rotten one. Were that one tried again and again, runs would get too many for checkpoints to go on.
        let sound = self.runs.iter().take_while(|run| !run.rotten);
        let lens: Vec<u64> = sound.map(|run| run.len).collect();
        let runs = 0..to_merge(&lens)?;
        Some(self.with_victims(WorkKind::Merge, runs, (need.ahead, need.urgent)))
    }

    /// All runs that point into old segments, from the newest to the oldest of them, as far as none between is rotten.
    fn evacuation(&self, need: Need) -> Option<Plan> {
        let old = |run: &RunShape| !run.rotten && run.lowest().is_some_and(|id| id < need.evacuate);
        let runs = self.span(old)?;
        let before = need.evacuate.max(need.ahead);
        Some(self.with_victims(WorkKind::Evacuate, runs, (before, need.urgent)))
    }

    /// All runs that point into a value file with much that is dead, or into small ones of which there are many.
    fn collection(&self, need: Need) -> Option<Plan> {
        let garbage = if need.urgent {
            Garbage::URGENT
        } else {
            Garbage::ALONE
        };
        let dead = dead(&self.files, garbage);
        let mut runs = dead.iter().filter_map(|number| self.refering(*number));
        let runs = runs.next().or_else(|| self.small_together())?;
        Some(self.with_victims(WorkKind::Collect, runs, (need.ahead, need.urgent)))
    }

    /// The runs that point into any small value file, if these can become fewer: it takes all of them at once.
    fn small_together(&self) -> Option<Range<usize>> {
        let small = small(&self.files, self.file_bytes);
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

    /// A merge also empties the value files to go that nothing but its runs points into: nothing else would free them.
    fn with_victims(&self, kind: WorkKind, runs: Range<usize>, (before, urgent): (u32, bool)) -> Plan {
        let garbage = if urgent { Garbage::URGENT } else { Garbage::ALONG };
        let mut victims = dead(&self.files, garbage);
        victims.extend(small(&self.files, self.file_bytes));
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

    impl Shape {
        /// What is done if there is room.
        fn plan(&self, need: Need) -> Option<Plan> {
            self.plans(need).into_iter().next()
        }
    }

    fn run(len: u64, segments: &[u32], files: &[u32]) -> RunShape {
        RunShape {
            len,
            rows: 100,
            removed: 0,
            replaced: 0,
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
    fn when_there_is_hardly_room_as_many_segments_are_left_as_fit_and_one_at_least() {
        let ends = Ends {
            oldest: 3,
            newest: 12,
        };
        let before = |room| Need::urgent(Some(ends), 1000, room).evacuate;
        assert_eq!(
            [0, 100, 267, 400, 1200, u64::MAX].map(before),
            [4, 4, 5, 6, 12, 12]
        );
        assert_eq!(Need::urgent(None, 0, 0).evacuate, 0);
    }

    #[test]
    fn when_there_is_hardly_room_files_are_emptied_one_by_one_and_last() {
        let need = Need::urgent(
            Some(Ends {
                oldest: 3,
                newest: 12,
            }),
            1000,
            400,
        );
        let files = [file(1, 40, 50), file(2, 30, 50), file(3, 400, 10)];
        let group = shape(&[run(10, &[4, 7], &[1, 2, 3])], &files);
        assert_eq!(group.plan(need), Some(plan(WorkKind::Evacuate, 0..1, 6, &[])));
        let group = shape(&[run(10, &[7], &[1, 2, 3])], &files);
        assert_eq!(group.plan(need), Some(plan(WorkKind::Collect, 0..1, 6, &[2])));
        let small: Vec<_> = (1..20).map(|number| file(number, 10, 1)).collect();
        let numbers: Vec<_> = (1..20).collect();
        let group = shape(&[run(10, &[7], &numbers)], &small);
        assert_eq!(group.plan(need), None);
        assert!(group.plan(Need::default()).is_some());
    }

    #[test]
    fn scans_have_values_moved_once_they_read_half_as_many_one_by_one() {
        const MIB: u64 = 1 << 20;
        let none = Need::default();
        assert_eq!(none.for_scans(9, 49 * MIB, (10 * MIB, 100 * MIB)), none);
        let moved = none.for_scans(9, 50 * MIB, (10 * MIB, 100 * MIB));
        assert_eq!((moved.evacuate, moved.ahead, moved.urgent), (10, 10, false));
        assert_eq!(none.for_scans(9, 15 * MIB, (1, 1)), none, "too little to care");
        assert_eq!(
            none.for_scans(9, u64::MAX, (0, 0)),
            none,
            "there is nothing to move"
        );
        let urgent = Need { urgent: true, ..NEED };
        assert_eq!(urgent.for_scans(20, u64::MAX, (MIB, MIB)), urgent);
        let more = NEED.for_scans(9, 100 * MIB, (MIB, MIB));
        assert_eq!(more, NEED, "nothing is asked for less");
        let group = shape(&[run(10, &[], &[]), run(10, &[8, 9], &[])], &[]);
        assert_eq!(group.plan(moved), Some(plan(WorkKind::Evacuate, 1..2, 10, &[])));
        let group = shape(&[run(10, &[9], &[]), run(10, &[8], &[])], &[]);
        let all = Some(plan(WorkKind::Evacuate, 0..2, 10, &[]));
        assert_eq!(group.plan(moved), all, "the newest segment with the others");
        let done = shape(&[run(10, &[], &[]), run(10, &[], &[1])], &[]);
        assert_eq!(done.plan(moved), None);
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
        assert_eq!(need(1000, 1142), (0, 10), "seven eighths are not exceeded");
        assert_eq!(need(1000, 1000), (9, 10));
        assert_eq!(need(1000, 800), (10, 11), "down to five eighths");
        assert_eq!(need(1000, 1), (14, 14));
        assert_eq!(Need::of(None, 1000, 1), Need::default());
        assert_eq!(need(3, 1), (8, 8), "bytes that are fewer than segments");
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
        let far_too_many = shape(&vec![run(1, &[3], &[]); RUNS_AT_MOST], &[]);
        let first = far_too_many.plan(behind).unwrap();
        assert_eq!(first.kind, WorkKind::Merge);
        assert!(far_too_many.urgency(&first, behind) < many.urgency(&evacuated, behind));
        let too_many = shape(&vec![run(1, &[3], &[]); RUNS_TOO_MANY], &[]);
        assert_eq!(too_many.plan(behind).unwrap().kind, WorkKind::Merge);
    }

    #[test]
    fn a_value_file_with_much_that_is_dead_goes_if_all_who_point_into_it_are_merged() {
        let runs = [run(1, &[], &[]), run(50, &[], &[7]), run(5000, &[], &[7, 8])];
        let files = [file(7, 500, 800), file(8, 600, 50), file(9, 0, 700)];
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

    #[test]
    fn history_that_has_passed_goes_also_where_nobody_writes() {
        let mut group = shape(&[run(10, &[], &[]), run(1000, &[], &[]), run(5, &[], &[])], &[]);
        assert_eq!(group.plan(NEED), None);
        group.runs[1].replaced = 24;
        assert_eq!(group.plan(NEED), None, "too little of it");
        group.runs[1].replaced = 25;
        assert_eq!(group.plan(NEED), Some(plan(WorkKind::Merge, 1..2, 12, &[])));
        group.runs[1].rotten = true;
        assert_eq!(group.plan(NEED), None);
    }
}
