//! One line of a history: an operation was invoked or completed.

use crate::step::{Found, Step};

/// A noted event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Position in the order of events; strictly increasing, not necessarily dense.
    pub index: u64,
    /// Nanoseconds since some fixed moment, on the one clock of whoever records.
    pub time_ns: u64,
    /// Who asks. A process has at most one operation open, and is the session of its operations.
    pub process: u32,
    /// The key.
    pub key: String,
    /// What is asked for; a completion repeats it.
    pub call: Call,
    /// Invoked or completed.
    pub phase: Phase,
    /// What is known about who answered.
    pub origin: Origin,
    /// The error as the client showed it, for people.
    pub error: Option<String>,
}

/// Which half of an operation an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The call begins.
    Invoke,
    /// The answer is there.
    Complete(Outcome),
}

/// What is asked for. The first four treat the key as a register, the others as a counter or a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Store a value.
    Put {
        /// The value. Checkers tell most if no two writes of a key store the same.
        value: String,
    },
    /// Remove the key, which need not exist.
    Delete,
    /// Store or remove if the key is as expected.
    Cas {
        /// The condition.
        expected: Expected,
        /// The value; `None` removes the key.
        value: Option<String>,
    },
    /// Read the value.
    Get {
        /// How fresh.
        level: Level,
    },
    /// Add to the counter.
    CounterAdd {
        /// May be negative.
        amount: i64,
    },
    /// Read the counter.
    CounterRead {
        /// How fresh.
        level: Level,
    },
    /// Add an element to the set.
    SetAdd {
        /// The element.
        element: String,
    },
    /// Read all elements.
    SetRead {
        /// How fresh.
        level: Level,
    },
    /// Do several steps on keys that belong together, all or none, at one moment. The event's key names what they
    /// belong to.
    Txn {
        /// In the order in which they are done.
        steps: Vec<Step>,
        /// How fresh the reads have to be. Whatever writes is linearizable.
        level: Level,
    },
    /// Read the rows of a range in the order of their keys: each as it was at some moment of the scan, not all at
    /// the same. The event's key names the range.
    Scan {
        /// All keys of the range that can have rows.
        keys: Vec<String>,
        /// From the highest key down.
        reverse: bool,
        /// How fresh.
        level: Level,
    },
}

/// The condition of a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The version that the key must have; 0: it must not exist.
    pub version: u64,
    /// The value that it must have as well, if that is part of the condition.
    pub value: Option<String>,
}

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Sees every write acknowledged before it began.
    Linearizable,
    /// Sees what its process has seen and written.
    Session,
    /// Sees every write acknowledged more than this long before it began.
    Bounded {
        /// Nanoseconds.
        max_age_ns: u64,
    },
    /// Sees some state that was once current.
    Eventual,
}

/// How an operation ended. `Failed`, `Conflict` and `Refused` are `fail` in a file, `Unknown` is `info`, the
/// others are `ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A write happened.
    Written {
        /// The version it got, never 0; `None` if the answer did not tell.
        version: Option<u64>,
    },
    /// What a get found; `None` if the key did not exist.
    Read(Option<Seen>),
    /// What the counter was.
    Counted(i64),
    /// An addition happened, and the counter then was this.
    Added(i64),
    /// What the set held, in the order of the answer.
    Elements(Vec<String>),
    /// All steps of a transaction were done.
    Done {
        /// The version that all its writes got, never 0; `None` if it wrote nothing or the answer did not tell.
        version: Option<u64>,
        /// What each step found.
        found: Vec<Found>,
    },
    /// The rows of a scan, in the order of the answer: key and value.
    Rows(Vec<(String, Seen)>),
    /// Nothing of a transaction happened, because the condition of one of its steps did not hold.
    Refused {
        /// The step, counted from 0.
        step: usize,
        /// The version found instead; 0: the key did not exist.
        actual: u64,
    },
    /// A compare-and-set did not happen, because its condition did not hold.
    Conflict {
        /// The version found instead; 0: the key did not exist.
        actual: u64,
    },
    /// It certainly did not happen and never will.
    Failed,
    /// It may have happened, may still, or may not.
    Unknown,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The value.
    pub value: String,
    /// Its version, never 0; `None` if the answer did not tell.
    pub version: Option<u64>,
}

/// What is known about who answered. Nothing of it is needed to judge, but for `age_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The node asked or answering.
    pub node: Option<u64>,
    /// The Raft group.
    pub group: Option<u64>,
    /// The applied index of the replica.
    pub applied: Option<u64>,
    /// How old the replica says its state was at most, in nanoseconds.
    pub age_ns: Option<u64>,
}

impl Outcome {
    /// The version that the key is shown to have had at some point of the operation; 0: it did not exist. `None` for
    /// what is about more than one key.
    pub fn version_shown(&self) -> Option<u64> {
        match self {
            Self::Written { version } => *version,
            Self::Conflict { actual } => Some(*actual),
            Self::Read(seen) => Some(seen.as_ref().and_then(|seen| seen.version).unwrap_or(0)),
            _ => None,
        }
    }

    /// The version that its writes got, if it wrote and the answer told.
    pub fn version_written(&self) -> Option<u64> {
        match self {
            Self::Written { version } | Self::Done { version, .. } => *version,
            _ => None,
        }
    }

    /// The highest version in the answer; 0 if there is none.
    pub fn highest_version(&self) -> u64 {
        match self {
            Self::Done { version, found } => {
                let seen = found.iter().filter_map(|found| match found {
                    Found::Value(seen) => seen.as_ref()?.version,
                    Found::Nothing | Found::Elements(_) => None,
                });
                seen.chain(*version).max().unwrap_or(0)
            }
            Self::Rows(rows) => rows
                .iter()
                .filter_map(|(_, seen)| seen.version)
                .max()
                .unwrap_or(0),
            Self::Refused { actual, .. } => *actual,
            other => other.version_shown().unwrap_or(0),
        }
    }
}

impl Call {
    /// A linearizable get.
    pub const GET: Self = Self::Get {
        level: Level::Linearizable,
    };

    /// The value that it stores, if it stores one in a register.
    pub fn stored(&self) -> Option<&str> {
        match self {
            Self::Put { value }
            | Self::Cas {
                value: Some(value), ..
            } => Some(value),
            _ => None,
        }
    }

    /// Whether it removes the key if it happens.
    pub fn removes(&self) -> bool {
        matches!(self, Self::Delete | Self::Cas { value: None, .. })
    }

    /// Whether it treats the key as a register.
    pub fn is_register(&self) -> bool {
        self.stored().is_some() || self.removes() || matches!(self, Self::Get { .. })
    }

    /// Whether it changes something if it happens.
    pub fn is_write(&self) -> bool {
        self.level().is_none()
    }

    /// How fresh a read has to be; `None` for a write.
    pub fn level(&self) -> Option<Level> {
        match *self {
            Self::Get { level }
            | Self::CounterRead { level }
            | Self::SetRead { level }
            | Self::Scan { level, .. } => Some(level),
            Self::Txn { ref steps, level } => (!steps.iter().any(Step::is_write)).then_some(level),
            _ => None,
        }
    }

    /// Its name, as in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put { .. } => "put",
            Self::Delete => "delete",
            Self::Cas { .. } => "cas",
            Self::Get { .. } => "get",
            Self::CounterAdd { .. } => "counter_add",
            Self::CounterRead { .. } => "counter_read",
            Self::SetAdd { .. } => "set_add",
            Self::SetRead { .. } => "set_read",
            Self::Txn { .. } => "txn",
            Self::Scan { .. } => "scan",
        }
    }

    /// Whether this can be the answer.
    pub(crate) fn fits(&self, outcome: &Outcome) -> bool {
        match (outcome, self) {
            (Outcome::Failed | Outcome::Unknown, _)
            | (Outcome::Conflict { .. }, Self::Cas { .. })
            | (Outcome::Counted(_), Self::CounterRead { .. })
            | (Outcome::Added(_), Self::CounterAdd { .. })
            | (Outcome::Elements(_), Self::SetRead { .. }) => true,
            (Outcome::Written { version }, call) => {
                call.is_write() && !matches!(call, Self::Txn { .. }) && *version != Some(0)
            }
            (Outcome::Read(seen), Self::Get { .. }) => is_version(seen.as_ref()),
            (Outcome::Done { version, found }, Self::Txn { steps, .. }) => {
                let fits = |(step, found): (&Step, &Found)| step.fits(found);
                *version != Some(0) && steps.len() == found.len() && steps.iter().zip(found).all(fits)
            }
            (Outcome::Rows(rows), Self::Scan { .. }) => rows.iter().all(|(_, seen)| is_version(Some(seen))),
            (Outcome::Refused { step, .. }, Self::Txn { steps, .. }) => {
                steps.get(*step).is_some_and(Step::has_condition)
            }
            _ => false,
        }
    }
}

fn is_version(seen: Option<&Seen>) -> bool {
    seen.and_then(|seen| seen.version) != Some(0)
}
