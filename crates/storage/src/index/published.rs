//! The point readers see, and the points older views still hold.

use std::collections::BTreeMap;

use atoll_types::Version;

#[derive(Default)]
pub(crate) struct Published {
    pub(crate) version: Version,
    pub(crate) applied_index: u64,
    /// How many views hold each version.
    pins: BTreeMap<Version, usize>,
}

impl Published {
    /// A point without anybody holding it.
    pub(crate) fn at(version: Version, applied_index: u64) -> Self {
        Self {
            version,
            applied_index,
            pins: BTreeMap::new(),
        }
    }

    /// The same point, held by nobody.
    pub(crate) fn continued(&self) -> Self {
        Self::at(self.version, self.applied_index)
    }

    pub(crate) fn pin(&mut self) {
        *self.pins.entry(self.version).or_default() += 1;
    }

    pub(crate) fn unpin(&mut self, version: Version) {
        let count = self.pins.get_mut(&version).expect("a view unpins what it pinned");
        *count -= 1;
        if *count == 0 {
            self.pins.remove(&version);
        }
    }

    pub(crate) fn is_pinned(&self) -> bool {
        !self.pins.is_empty()
    }

    /// Every version some reader may still ask for, but for the published one.
    pub(crate) fn older_pins(&self) -> Vec<Version> {
        self.pins
            .range(..self.version)
            .map(|(version, _)| *version)
            .collect()
    }
}
