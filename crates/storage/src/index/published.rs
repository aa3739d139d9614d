//! The point readers see, and the points older views still hold.

use atoll_types::Version;

/// What of older versions is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Nobody has said it since the group was opened or a snapshot was installed. Its files may have history: nothing of it
    /// may be dropped, as nobody knows how much of it is needed.
    Unsaid,
    /// Nothing.
    #[default]
    Newest,
    /// What is seen at this version or above.
    Above(Version),
}

/// What whoever writes rows anew may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    /// Versions that were replaced at this one or before are of no use. Without history: all that were replaced.
    pub(crate) keep: Version,
    /// The lowest version that can be read at afterwards.
    pub(crate) least: Version,
}

impl Horizon {
    /// Only the newest version of each key stays; nobody says what can be read afterwards.
    pub(crate) const NEWEST_ONLY: Self = Self {
        keep: Version(u64::MAX),
        least: Version::ZERO,
    };
}

#[derive(Default)]
pub(crate) struct Published {
    pub(crate) version: Version,
    pub(crate) applied_index: u64,
    pub(crate) keeping: Keeping,
    /// How many views hold each version, ascending. Mostly one or two versions are held, so this is never allocated anew.
    pins: Vec<(Version, usize)>,
}

impl Published {
    /// A point without anybody holding it.
    pub(crate) fn at(version: Version, applied_index: u64) -> Self {
        Self {
            version,
            applied_index,
            keeping: Keeping::Unsaid,
            pins: Vec::new(),
        }
    }

    /// The same point, held by nobody.
    pub(crate) fn continued(&self) -> Self {
        Self {
            keeping: self.keeping,
            ..Self::at(self.version, self.applied_index)
        }
    }

    /// What of older versions may be dropped.
    pub(crate) fn horizon(&self) -> Horizon {
        let (keep, least) = match self.keeping {
            Keeping::Unsaid => (Version::ZERO, Version::ZERO),
            Keeping::Newest => (Version(u64::MAX), self.version),
            Keeping::Above(horizon) => (horizon, horizon),
        };
        Horizon { keep, least }
    }

    /// True if it is known how much of history is kept.
    pub(crate) fn is_said(&self) -> bool {
        self.keeping != Keeping::Unsaid
    }

    /// The lowest version that can be read at, by what was said.
    pub(crate) fn readable_from(&self) -> Version {
        match self.keeping {
            Keeping::Unsaid | Keeping::Newest => self.version,
            Keeping::Above(horizon) => horizon,
        }
    }

    pub(crate) fn pin(&mut self) {
        self.pin_again(self.version);
    }

    /// Holds a version that is held already.
    pub(crate) fn pin_again(&mut self, version: Version) {
        match self.pin_of(version) {
            Ok(at) => {
                if let Some((_, count)) = self.pins.get_mut(at) {
                    *count += 1;
                }
            }
            Err(at) => self.pins.insert(at, (version, 1)),
        }
    }

    pub(crate) fn unpin(&mut self, version: Version) {
        let at = self.pin_of(version).expect("a view unpins what it pinned");
        let Some((_, count)) = self.pins.get_mut(at) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.pins.remove(at);
        }
    }

    /// Where a version stands among those that are held, or would stand.
    fn pin_of(&self, version: Version) -> Result<usize, usize> {
        self.pins.binary_search_by_key(&version, |(held, _)| *held)
    }

    pub(crate) fn is_pinned(&self) -> bool {
        !self.pins.is_empty()
    }

    /// Every version some reader may still ask for, but for the published one.
    pub(crate) fn older_pins(&self) -> Vec<Version> {
        let older = self.pins.iter().map(|(version, _)| *version);
        older.take_while(|version| *version < self.version).collect()
    }
}
