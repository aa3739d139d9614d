//! What answers say about versions, for the checkers that take versions as the order of writes.
//!
//! An answer that the key is absent carries no version, but some removal must have left it so, or
//! nothing was ever stored. Which one, nobody tells; so such an answer is taken as the *oldest* removal
//! that does not contradict what is already known. If even the answer with this choice is wrong, it
//! is wrong with every choice, because what is known only ever asks for newer ones.

use crate::event::Outcome;
use crate::operation::Operation;

/// What an operation shows of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// That it had this version.
    Version(u64),
    /// That it did not exist.
    Absent,
    /// Nothing.
    Nothing,
    /// Something, but the version is missing.
    Unversioned,
}

/// What a write's own answer or a read's shows.
pub(super) fn sighting(operation: &Operation) -> Sighting {
    let version = match &operation.outcome {
        Outcome::Written { version } => *version,
        Outcome::Read(Some(seen)) => seen.version,
        Outcome::Conflict { actual: 0 } | Outcome::Read(None) => return Sighting::Absent,
        Outcome::Conflict { actual } => Some(*actual),
        _ => return Sighting::Nothing,
    };
    version.map_or(Sighting::Unversioned, Sighting::Version)
}

/// The removals of one key.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Version and invocation, by version, with the earliest invocation from here on.
    known: Vec<(u64, u64, u64)>,
    /// The earliest invocation of a removal whose version nobody was told.
    unknown: Option<u64>,
}

impl Removals {
    pub(super) fn new(operations: &[&Operation]) -> Self {
        let mut removals = Self::default();
        let possible = |operation: &&&Operation| operation.call.removes() && operation.may_have_written();
        for operation in operations.iter().filter(possible) {
            let invoked = operation.invoked.index;
            match sighting(operation) {
                Sighting::Version(version) => removals.known.push((version, invoked, invoked)),
                _ => removals.unknown = Some(removals.unknown.map_or(invoked, |first| first.min(invoked))),
            }
        }
        removals.known.sort_unstable();
        let mut earliest = u64::MAX;
        for (_, invoked, from_here) in removals.known.iter_mut().rev() {
            earliest = earliest.min(*invoked);
            *from_here = earliest;
        }
        removals
    }

    /// The oldest version, not below `floor`, at which the key can have been absent for somebody
    /// whose answer was there at the event `before`; 0 if nothing was stored yet.
    pub(super) fn oldest(&self, floor: u64, before: u64) -> Option<u64> {
        if floor == 0 || self.unknown.is_some_and(|invoked| invoked < before) {
            return Some(floor);
        }
        let from = self.known.partition_point(|(version, ..)| *version < floor);
        let later = self.known.get(from..).unwrap_or_default();
        if later.first().is_none_or(|(.., earliest)| *earliest >= before) {
            return None;
        }
        let found = later.iter().find(|(_, invoked, _)| *invoked < before);
        found.map(|(version, ..)| *version)
    }

    /// Whether a removal with this version is known.
    pub(super) fn has(&self, version: u64) -> bool {
        self.known
            .binary_search_by_key(&version, |(version, ..)| *version)
            .is_ok()
    }

    /// Whether a removal of unknown version was invoked before an event.
    pub(super) fn perhaps_before(&self, event: u64) -> bool {
        self.unknown.is_some_and(|invoked| invoked < event)
    }
}
