//! What clients asked for and what they were told.

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked; for messages only.
    pub who: String,
    /// The key.
    pub key: String,
    /// What was asked for.
    pub call: Call,
    /// When it was asked for, on a scale where no two events are at the same time.
    pub invoked: u64,
    /// When the answer was there, on the same scale.
    pub completed: u64,
    /// The answer.
    pub outcome: Outcome,
}

/// What was asked for. Values are numbers; no two writes of a history have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Store a value.
    Put {
        /// The value.
        value: u64,
    },
    /// Store a value if the key has a version; 0: if the key does not exist.
    Cas {
        /// The version.
        expected: u64,
        /// The value.
        value: u64,
    },
    /// Read.
    Get,
}

impl Call {
    /// The value it stores, if it is a write.
    pub fn value(&self) -> Option<u64> {
        match *self {
            Self::Put { value } | Self::Cas { value, .. } => Some(value),
            Self::Get => None,
        }
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored, with this version.
    Written(u64),
    /// Not stored: the key had this version; 0: did not exist.
    Conflict(u64),
    /// Version and value; both 0 if the key does not exist.
    Read {
        /// The version.
        version: u64,
        /// The value.
        value: u64,
    },
    /// An error that promises that nothing was done and nothing will be.
    Nothing,
    /// An error that promises nothing.
    Unknown,
}

impl Outcome {
    /// The version the key is shown to have had at some point of the operation.
    pub fn version(&self) -> Option<u64> {
        match *self {
            Self::Written(version) | Self::Conflict(version) | Self::Read { version, .. } => Some(version),
            Self::Nothing | Self::Unknown => None,
        }
    }
}
