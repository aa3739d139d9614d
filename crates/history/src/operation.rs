//! An invocation and its completion, put together.

use std::fmt;

use crate::event::{Call, Level, Origin, Outcome};

/// One operation of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub process: u32,
    /// The key.
    pub key: String,
    /// What was asked for.
    pub call: Call,
    /// When it was asked for.
    pub invoked: Point,
    /// When the answer was there; `None` if the history ends before.
    pub completed: Option<Point>,
    /// The answer; [`Outcome::Unknown`] if there is none.
    pub outcome: Outcome,
    /// What is known about who answered.
    pub origin: Origin,
}

/// A moment of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The index of the event.
    pub index: u64,
    /// Its time in nanoseconds.
    pub time_ns: u64,
}

impl Operation {
    /// The index of the event before which it took effect, if it did. An operation of unknown
    /// outcome may take effect after its completion was noted, so it never ends: `u64::MAX`.
    pub fn ended(&self) -> u64 {
        let completed = self.completed.filter(|_| self.outcome != Outcome::Unknown);
        completed.map_or(u64::MAX, |point| point.index)
    }

    /// Whether it may have changed something.
    pub fn may_have_written(&self) -> bool {
        let happened = matches!(
            self.outcome,
            Outcome::Written { .. } | Outcome::Added(_) | Outcome::Done { .. } | Outcome::Unknown
        );
        self.call.is_write() && happened
    }

    /// Whether its answer, if it has one, must be up to date: writes that were answered are, and
    /// so are conflicts and linearizable reads.
    pub(crate) fn is_linearizable(&self) -> bool {
        self.call.level().is_none_or(|level| level == Level::Linearizable)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.invoked.index)?;
        match self.completed {
            Some(point) => write!(f, "-{}]", point.index)?,
            None => write!(f, "-]")?,
        }
        write!(
            f,
            " process {}: {:?} => {:?}",
            self.process, self.call, self.outcome
        )
    }
}
