//! What manifests need of the journal, remembered for groups that nobody has open.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::index::LOST;
use crate::manifest::Manifest;

/// The oldest segment that a manifest's runs point into, as it is remembered while nobody has the group open.
pub(in crate::store) struct Named(AtomicU32);

impl Named {
    /// Nothing is known, so everything is needed.
    const UNKNOWN: u32 = 0;
    /// No run points into any.
    const NONE: u32 = u32::MAX;

    /// A manifest that is about to be committed needs this one too.
    pub(in crate::store) fn lower(&self, segment: Option<u32>) {
        self.0.fetch_min(segment.unwrap_or(Self::NONE), Ordering::AcqRel);
    }

    /// Remembers what a manifest needs of a group that may not be opened over it.
    pub(in crate::store) fn set_by(&self, manifest: &Manifest) {
        let segments = manifest.runs.iter().flat_map(|run| run.journal_bytes.iter());
        let segments = segments.map(|(segment, _)| *segment);
        self.set(segments.filter(|segment| *segment != LOST).min());
    }

    pub(super) fn set(&self, segment: Option<u32>) {
        self.0.store(segment.unwrap_or(Self::NONE), Ordering::Release);
    }

    pub(in crate::store) fn get(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Acquire)).filter(|segment| *segment != Self::NONE)
    }
}

impl Default for Named {
    fn default() -> Self {
        Self(AtomicU32::new(Self::UNKNOWN))
    }
}
