//! Where rows point: what may not go as long as they can be read.

use std::collections::BTreeSet;

use super::joined::Piece;
use super::value::ValueRef;
use crate::journal::JournalPointer;
use crate::run::Run;

/// The segment that no journal has: a pointer into it names a value that was found rotten when it was to be moved.
/// Reading it is an error for ever, and it holds on to nothing.
pub(crate) const LOST: u32 = 0;

/// The oldest segment of the journal and the value files that some rows point into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// None: they point into no segment.
    pub(crate) segment: Option<u32>,
    pub(crate) files: BTreeSet<u32>,
}

impl Reach {
    /// Takes in where a value, or a piece of it, stands.
    pub(crate) fn add(&mut self, value: &ValueRef) {
        match value {
            ValueRef::Inline(_) => {}
            ValueRef::Journal(pointer) => self.add_segment(pointer.segment),
            ValueRef::Filed(pointer) => self.add_file(pointer.file),
            ValueRef::Joined(joined) => joined.pieces().iter().for_each(|piece| match piece {
                Piece::Memory(_) => {}
                Piece::Journal(JournalPointer { segment, .. }) => self.add_segment(*segment),
                Piece::Filed(pointer) => self.add_file(pointer.file),
            }),
        }
    }

    /// Takes in where the rows of a run point.
    pub(crate) fn add_run(&mut self, run: &Run) {
        let summary = run.summary();
        let segments = summary.journal_bytes.iter().map(|(id, _)| *id);
        segments.for_each(|id| self.add_segment(id));
        let files = summary.file_bytes.iter().map(|(number, _)| *number);
        files.for_each(|number| self.add_file(number));
    }

    /// Takes in what other rows need.
    pub(crate) fn join(&mut self, other: &Self) {
        other.segment.into_iter().for_each(|id| self.add_segment(id));
        self.files.extend(&other.files);
    }

    fn add_segment(&mut self, id: u32) {
        if id != LOST {
            self.segment = Some(self.segment.map_or(id, |lowest| lowest.min(id)));
        }
    }

    fn add_file(&mut self, number: u32) {
        // Nearly always there already, and then nothing is allocated.
        self.files.insert(number);
    }
}
