//! Why an entry cannot be applied.

/// Bytes that are not an entry this version understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Written by a version that puts something else there.
    #[error("payload kind {0} is unknown to this version")]
    UnknownKind(u8),
    /// Written by a later version.
    #[error("entry codec version {0} is unknown to this version")]
    UnknownVersion(u8),
    /// A command of a later version that must not be skipped.
    #[error("command {command} has kind {kind}, which is unknown to this version and must not be skipped")]
    UnknownCommand {
        /// Position of the command.
        command: u32,
        /// Its kind.
        kind: u8,
    },
    /// Flags, operations or guards of a later version.
    #[error("{what} {value} at byte {at} is unknown to this version")]
    Unknown {
        /// What is unknown.
        what: &'static str,
        /// Its number.
        value: u8,
        /// Where in the payload or its table.
        at: usize,
    },
    /// The tables and the length do not fit together.
    #[error("malformed entry: {what} at byte {at}")]
    Malformed {
        /// What does not fit.
        what: &'static str,
        /// Where in the payload or its table.
        at: usize,
    },
}

/// A committed entry that this replica cannot apply. Other replicas may be able to, so skipping it
/// would make this one differ: it must stop instead. Nothing of the entry was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The entry is not understood.
    #[error("the entry cannot be applied and this replica must stop: {0}")]
    Decode(#[from] DecodeError),
}
