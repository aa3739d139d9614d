//! One line of a history: an operation was invoked or completed.

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

/// How an operation ended. `Failed` and `Conflict` are `fail` in a file, `Unknown` is `info`, the
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
    /// What the set held, in the order of the answer.
    Elements(Vec<String>),
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
    /// The version that the key is shown to have had at some point of the operation; 0: it did not exist.
    pub fn version_shown(&self) -> Option<u64> {
        match self {
            Self::Written { version } => *version,
            Self::Conflict { actual } => Some(*actual),
            Self::Read(seen) => Some(seen.as_ref().and_then(|seen| seen.version).unwrap_or(0)),
            Self::Counted(_) | Self::Elements(_) | Self::Failed | Self::Unknown => None,
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
            Self::Get { level } | Self::CounterRead { level } | Self::SetRead { level } => Some(level),
            _ => None,
        }
    }

    /// Whether this can be the answer.
    pub(crate) fn fits(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failed | Outcome::Unknown => true,
            Outcome::Written { version } => self.is_write() && *version != Some(0),
            Outcome::Conflict { .. } => matches!(self, Self::Cas { .. }),
            Outcome::Read(seen) => {
                let version = seen.as_ref().and_then(|seen| seen.version);
                matches!(self, Self::Get { .. }) && version != Some(0)
            }
            Outcome::Counted(_) => matches!(self, Self::CounterRead { .. }),
            Outcome::Elements(_) => matches!(self, Self::SetRead { .. }),
        }
    }
}
