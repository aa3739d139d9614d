//! A merge to be done, and what of it fits on the disk.
//!
//! A merge needs room for its whole output before anything it replaces can go. Where there is hardly any, it would wait for room that
//! only merges can give. So what does not fit is done in parts, each a merge of its own with its own commit, and of each
//! kind the part that gives space back soonest:
//! - *Evacuation*: values leave only the oldest segments, as many as there is room for; and if the runs themselves are too long, those of
//!   one run at a time, of those that keep the oldest. A segment is freed when the last run has let go of it, so what is free then pays for the next one.
//! - *Merge*: no values are moved along the way, or fewer runs are merged, the newest first.
//! - *Collection*: one value file at a time.
//!
//! Every part leaves less to be done (fewer runs, or a run that points into fewer places), so parts come to an end. What it costs
//! is runs that are written several times, which is why nothing is done in parts that fits as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::index::{Below, LOST};
use crate::run::Run;
use crate::store::planner::Plan;
use crate::store::progress::WorkKind;
use crate::store::space::room::Room;

/// A merge to be done, and what it was planned over.
pub(in crate::store) struct Work {
    pub(in crate::store) plan: Plan,
    pub(in crate::store) below: Below,
}

impl Work {
    pub(in crate::store) fn new(plan: Plan, below: Below) -> Self {
        Self { plan, below }
    }

    /// The runs to merge, newest first.
    pub(in crate::store) fn inputs(&self) -> &[Arc<Run>] {
        self.below.runs().get(self.plan.runs.clone()).unwrap_or_default()
    }

    /// Bytes that it will read and write, about and at most: runs, and values that move.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.run_bytes() + self.moved()
    }

    fn run_bytes(&self) -> u64 {
        self.inputs().iter().map(|run| run.summary().file_len).sum()
    }

    /// Bytes of the values that it moves.
    fn moved(&self) -> u64 {
        let of = |run: &Arc<Run>| -> u64 {
            let summary = run.summary();
            let leaving = summary.journal_bytes.iter();
            let leaving = leaving.filter(|(segment, _)| *segment < self.plan.before);
            let collected = summary.file_bytes.iter();
            let collected = collected.filter(|(file, _)| self.plan.victims.contains(file));
            leaving.chain(collected).map(|(_, bytes)| bytes).sum()
        };
        self.inputs().iter().map(of).sum()
    }

    fn fits(&self, room: Room) -> bool {
        room.fits(self.run_bytes(), self.moved())
    }

    /// All of it, or the largest part that there is room for; `None`: not even for the smallest. `can_leave` says of a
    /// segment whether its values can be read, as far as is known: a part that moves nothing else would come to nothing.
    pub(in crate::store) fn within(
        self,
        room: Room,
        can_leave: impl Fn(u32) -> bool,
        is_dead: impl Fn(u32) -> bool,
    ) -> Option<Self> {
        if self.fits(room) {
            return Some(self);
        }
        match self.plan.kind {
            WorkKind::Evacuate => self.evacuation(room, &can_leave),
            WorkKind::Merge => self.fewer(room),
            WorkKind::Collect => self.one_file(room, is_dead),
            WorkKind::Flush => None,
        }
    }

    fn part(&self, runs: Range<usize>, before: u32, victims: BTreeSet<u32>) -> Self {
        let plan = Plan {
            kind: self.plan.kind,
            runs,
            before,
            victims,
        };
        Self::new(plan, self.below.clone())
    }

    /// Of all runs, or of one of those that keep the oldest segment: as long as that stays, others give nothing back.
    fn evacuation(&self, room: Room, can_leave: &impl Fn(u32) -> bool) -> Option<Self> {
        let all = self.plan.runs.clone();
        let holds = |at: usize, segment: u32| {
            let run = self.below.runs().get(at);
            run.is_some_and(|run| run.summary().journal_bytes.iter().any(|(id, _)| *id == segment))
        };
        let segments = self.inputs().iter().flat_map(|run| &run.summary().journal_bytes);
        let segments = segments
            .map(|(id, _)| *id)
            .filter(|id| *id != LOST && can_leave(*id));
        let oldest = segments.min()?;
        let one = all.clone().filter(|at| holds(*at, oldest)).map(|at| at..at + 1);
        let mut parts = std::iter::once(all).chain(one);
        parts.find_map(|runs| self.older(runs, room, can_leave))
    }

    /// Values of these runs leave the oldest segments that there is room for, at least one of them.
    fn older(&self, runs: Range<usize>, room: Room, can_leave: &impl Fn(u32) -> bool) -> Option<Self> {
        let rows = self.part(runs.clone(), 0, BTreeSet::new());
        let mut segments = BTreeMap::<u32, u64>::new();
        for (segment, bytes) in rows.inputs().iter().flat_map(|run| &run.summary().journal_bytes) {
            if *segment != LOST && *segment < self.plan.before {
                *segments.entry(*segment).or_default() += bytes;
            }
        }
        let (mut before, mut moved) = (None, 0_u64);
        for (segment, bytes) in segments {
            moved = moved.saturating_add(bytes);
            if !room.fits(rows.run_bytes(), moved) {
                break;
            }
            // What is left where it is costs nothing, and is no reason to go on.
            before = before.max(can_leave(segment).then_some(segment + 1));
        }
        before.map(|before| self.part(runs, before, BTreeSet::new()))
    }

    /// The same runs without moving values, or as many of the newest of them as there is room for. Of several at least two, as one
    /// alone would be written for nothing; one that is planned alone is so for what it lets go of, which has nothing to do with
    /// values that move.
    fn fewer(&self, room: Room) -> Option<Self> {
        let Range { start, end } = self.plan.runs;
        let least = start + self.plan.runs.len().min(2);
        let mut parts = (least..=end).rev();
        parts.find_map(|end| {
            let part = self.part(start..end, 0, BTreeSet::new());
            part.fits(room).then_some(part)
        })
    }

    /// The first value file with dead bytes that there is room for, with the runs from the first to the last that points into it.
    fn one_file(&self, room: Room, is_dead: impl Fn(u32) -> bool) -> Option<Self> {
        let victims = self.plan.victims.iter().filter(|file| is_dead(**file));
        victims.into_iter().find_map(|file| {
            let points = |run: &Arc<Run>| run.summary().file_bytes.iter().any(|(other, _)| other == file);
            let first = self.inputs().iter().position(points)?;
            let last = self.inputs().iter().rposition(points)?;
            let start = self.plan.runs.start;
            let part = self.part(start + first..start + last + 1, 0, BTreeSet::from([*file]));
            part.fits(room).then_some(part)
        })
    }
}
