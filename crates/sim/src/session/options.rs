//! What can be chosen about a run.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scenario::Profile;

/// How long, and how to look at it. Everything else comes from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which runs to draw from.
    pub profile: Profile,
    /// Simulated time with faults, as planned.
    pub length: Duration,
    /// Heal already then, if that is before: up to there the run is the same.
    pub until: Option<Duration>,
    /// Steps of the plan to leave out.
    pub without: BTreeSet<usize>,
    /// Keep the trace's text in the report.
    pub keep_trace: bool,
    /// And in it every fact that replicas tell.
    pub keep_facts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Profile::Swarm,
            length: Duration::from_secs(60),
            until: None,
            without: BTreeSet::new(),
            keep_trace: false,
            keep_facts: false,
        }
    }
}

impl Options {
    /// Twenty seconds of [`Profile::Smoke`].
    pub fn smoke() -> Self {
        Self {
            profile: Profile::Smoke,
            length: Duration::from_secs(20),
            ..Self::default()
        }
    }

    /// Until when there are faults.
    pub(crate) fn chaos(&self) -> Duration {
        self.until.map_or(self.length, |until| until.min(self.length))
    }
}
